//! Stored rows with a pseudonym in the place of a user.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray};

use crate::directory::Erasure;
use crate::error::{Context, Error, Result};

/// The rows with the pseudonym in the place of the user, in the column
/// `user_id` and in tags with exactly this value.
pub(super) fn replace_user(
    rows: &RecordBatch,
    erasure: &Erasure,
) -> Result<Option<(RecordBatch, u64)>> {
    let organizations = text_column(rows, "organization_id")?;
    let users = text_column(rows, "user_id")?;
    let ours = |row: usize| organizations.value(row) == erasure.organization_id;
    let is_user = |text: Option<&str>| text == Some(erasure.user_id.as_str());
    let mut changed = 0;
    let replaced: StringArray = (0..rows.num_rows())
        .map(|row| {
            let user = users.is_valid(row).then(|| users.value(row));
            if ours(row) && is_user(user) {
                changed += 1;
                return Some(erasure.pseudonym.as_str());
            }
            user
        })
        .collect();
    let mut rows = with_column(rows, "user_id", Arc::new(replaced))?;
    if let Some(tags) = rows.column_by_name("tags").cloned() {
        let tags = tags.as_map();
        let (tags, in_tags) = replace_in_tags(tags, ours, erasure)?;
        changed += in_tags;
        if in_tags > 0 {
            rows = with_column(&rows, "tags", Arc::new(tags))?;
        }
    }
    Ok((changed > 0).then_some((rows, changed)))
}

fn replace_in_tags(
    tags: &MapArray,
    ours: impl Fn(usize) -> bool,
    erasure: &Erasure,
) -> Result<(MapArray, u64)> {
    let values = tags.values().as_string::<i32>();
    let offsets = tags.value_offsets();
    let mut owned = vec![false; values.len()];
    for row in (0..tags.len()).filter(|row| ours(*row)) {
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        entries.for_each(|entry| owned[entry] = true);
    }
    let mut changed = 0;
    let replaced: StringArray = values
        .iter()
        .zip(owned)
        .map(|(value, owned)| match value {
            Some(value) if owned && value == erasure.user_id => {
                changed += 1;
                Some(erasure.pseudonym.as_str())
            }
            value => value,
        })
        .collect();
    let entries = tags.entries();
    let columns: Vec<ArrayRef> = vec![Arc::clone(entries.column(0)), Arc::new(replaced)];
    let doing = "replacing tags";
    let fields = entries.fields().clone();
    let entries = arrow::array::StructArray::try_new(fields, columns, entries.nulls().cloned());
    let arrow::datatypes::DataType::Map(field, ordered) = tags.data_type() else {
        return Err(Error::internal(doing));
    };
    let map = MapArray::try_new(
        Arc::clone(field),
        tags.offsets().clone(),
        entries.internal(doing)?,
        tags.nulls().cloned(),
        *ordered,
    );
    Ok((map.internal(doing)?, changed))
}

pub(super) fn text_column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| Error::internal(format!("rows to be rewritten have no {name}")))
}

pub(super) fn with_column(rows: &RecordBatch, name: &str, values: ArrayRef) -> Result<RecordBatch> {
    let place = rows.schema().index_of(name).internal("rewriting rows")?;
    let mut columns = rows.columns().to_vec();
    columns[place] = values;
    RecordBatch::try_new(rows.schema(), columns).internal("rewriting rows")
}
