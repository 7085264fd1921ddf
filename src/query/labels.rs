//! Adds to the groups of an answer what a reader and a cursor need: a display
//! name and a unique key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::directory::{Directory, DirectoryKind};
use crate::error::{Context, Error, Result};
use crate::rollup::{Dimension, usage_schema};

/// What stands where an event said nothing.
pub(crate) const NONE_NAME: &str = "(none)";

/// The columns of `usage_schema`, then `name` and `key`.
pub(crate) fn labelled_schema() -> SchemaRef {
    let mut fields = usage_schema().fields().to_vec();
    fields.push(Arc::new(Field::new("name", DataType::Utf8, false)));
    fields.push(Arc::new(Field::new("key", DataType::Utf8, false)));
    Arc::new(Schema::new(fields))
}

/// Names a value of `dimension`: by the directory, else by itself.
pub(crate) fn display_name<'a>(
    directory: &'a Directory,
    dimension: Dimension,
    id: Option<&'a str>,
) -> &'a str {
    let Some(id) = id else { return NONE_NAME };
    let kind = match dimension {
        Dimension::Organization => DirectoryKind::Organization,
        Dimension::Team => DirectoryKind::Team,
        Dimension::User => DirectoryKind::User,
        Dimension::ApiKey => DirectoryKind::ApiKey,
        _ => return id,
    };
    directory.name(kind, id).unwrap_or(id)
}

/// The values of one dimension as text.
pub(crate) fn dimension_texts(usage: &RecordBatch, dimension: Dimension) -> Result<StringArray> {
    let name = dimension.column();
    let column = usage.column_by_name(name);
    let column = column.ok_or_else(|| Error::internal(format!("no column {name}")))?;
    let texts = cast(column, &DataType::Utf8).internal("reading the groups")?;
    let texts = texts.as_string_opt::<i32>().cloned();
    texts.ok_or_else(|| Error::internal(format!("column {name} is not text")))
}

/// Adds `name` (the groups' names, outermost first) and `key` (every
/// dimension's value; unambiguous, since each carries its length).
pub(crate) fn label(
    usage: &RecordBatch,
    group_by: &[Dimension],
    directory: &Directory,
) -> Result<RecordBatch> {
    let columns = group_by
        .iter()
        .map(|dimension| Ok((*dimension, dimension_texts(usage, *dimension)?)))
        .collect::<Result<Vec<_>>>()?;
    let rows = usage.num_rows();
    let mut names = StringBuilder::with_capacity(rows, rows * 16);
    let mut keys = StringBuilder::with_capacity(rows, rows * 24);
    let (mut name, mut key) = (String::new(), String::new());
    for row in 0..rows {
        name.clear();
        key.clear();
        for (dimension, texts) in &columns {
            let id = texts.is_valid(row).then(|| texts.value(row));
            if !name.is_empty() {
                name.push_str(" / ");
            }
            name.push_str(display_name(directory, *dimension, id));
            match id {
                // `~` is greater than every digit: nulls come last among keys.
                None => key.push('~'),
                Some(id) => {
                    key.push_str(&id.len().to_string());
                    key.push(':');
                    key.push_str(id);
                }
            }
        }
        names.append_value(&name);
        keys.append_value(&key);
    }
    let mut columns: Vec<ArrayRef> = usage.columns().to_vec();
    columns.push(Arc::new(names.finish()));
    columns.push(Arc::new(keys.finish()));
    RecordBatch::try_new(labelled_schema(), columns).internal("naming the groups")
}
