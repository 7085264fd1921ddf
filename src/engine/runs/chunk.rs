//! Where runs begin within one batch.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::DataType;
use datafusion::error::Result;

/// The runs of a batch: rows that follow one another and are equal in every
/// column that was looked at.
#[derive(Debug)]
pub(super) struct Runs {
    /// Marks the first row of each.
    first: BooleanArray,
}

impl Runs {
    /// Whether values of this type can be compared.
    pub(super) fn takes(data_type: &DataType) -> bool {
        !data_type.is_nested()
            && !matches!(data_type, DataType::Dictionary(..) | DataType::RunEndEncoded(..))
    }

    /// The runs of equal rows of `columns`, each of which has `rows` values.
    pub(super) fn of(columns: &[ArrayRef], rows: usize) -> Result<Self> {
        let mut changes = BooleanBuffer::new_unset(rows.saturating_sub(1));
        for column in columns {
            changes = &changes | &changes_of(column)?;
        }
        let is_first = |row| row == 0 || changes.value(row - 1);
        Ok(Self { first: BooleanBuffer::collect_bool(rows, is_first).into() })
    }

    pub(super) fn len(&self) -> usize {
        self.first.true_count()
    }

    /// For each row, which run it belongs to.
    pub(super) fn numbers(&self) -> Vec<usize> {
        let rows = self.first.len();
        let ends = self.first.values().set_indices().skip(1).chain([rows]);
        let mut numbers = Vec::with_capacity(rows);
        for (number, end) in ends.enumerate() {
            numbers.resize(end, number);
        }
        numbers
    }

    /// The value that each run has in `column`.
    pub(super) fn values(&self, column: &dyn Array) -> Result<ArrayRef> {
        Ok(filter(column, &self.first)?)
    }

    pub(super) fn first(&self) -> &BooleanArray {
        &self.first
    }
}

/// For each row but the first, whether it differs from the one before.
fn changes_of(column: &ArrayRef) -> Result<BooleanBuffer> {
    let Some(last) = column.len().checked_sub(1) else { return Ok(BooleanBuffer::new_unset(0)) };
    if let Some(texts) = column.as_string_view_opt() {
        let Some(nulls) = texts.nulls().filter(|nulls| nulls.null_count() > 0) else {
            return Ok(BooleanBuffer::collect_bool(last, |row| differs(texts, row)));
        };
        return Ok(BooleanBuffer::collect_bool(last, |row| {
            let (is_null, is_null_next) = (nulls.is_null(row), nulls.is_null(row + 1));
            is_null != is_null_next || !is_null && differs(texts, row)
        }));
    }
    let (before, after) = (column.slice(0, last), column.slice(1, last));
    let (changes, _) = distinct(&before, &after)?.into_parts();
    Ok(changes)
}

/// Whether a text is another one than the next. Texts that were read from a
/// dictionary are mostly the same view.
fn differs(texts: &StringViewArray, row: usize) -> bool {
    const START: u128 = u64::MAX as u128;
    let (view, next) = (texts.views()[row], texts.views()[row + 1]);
    // The lower half is the length and the first bytes.
    view != next && (view & START != next & START || texts.value(row) != texts.value(row + 1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    /// The same values as texts of views: short ones, and long ones that share
    /// their first bytes.
    fn texts(values: &[Option<u8>]) -> ArrayRef {
        let text = |value: u8| match value % 2 {
            0 => format!("{value}"),
            _ => format!("a text that no view holds by itself {value}"),
        };
        Arc::new(values.iter().map(|value| value.map(text)).collect::<StringViewArray>())
    }

    proptest! {
        #[test]
        fn a_run_ends_where_any_column_changes(
            rows in proptest::collection::vec((proptest::option::weighted(0.9, 0u8..4), 0i64..2), 0..60),
            nulls: bool,
        ) {
            let one: Vec<Option<u8>> =
                rows.iter().map(|(one, _)| if nulls { *one } else { one.or(Some(9)) }).collect();
            let other = Int64Array::from_iter_values(rows.iter().map(|(_, other)| *other));
            let keys: Vec<_> = one.iter().zip(other.values()).collect();
            let mut numbers = Vec::new();
            for row in 0..keys.len() {
                let same = row > 0 && keys[row] == keys[row - 1];
                numbers.push(numbers.last().map_or(0, |last| last + usize::from(!same)));
            }
            let columns: [ArrayRef; 2] = [texts(&one), Arc::new(other.clone())];
            let runs = Runs::of(&columns, rows.len()).expect("runs");
            prop_assert_eq!(&runs.numbers(), &numbers);
            prop_assert_eq!(runs.len(), numbers.last().map_or(0, |last| last + 1));
            let values = runs.values(&columns[1]).expect("values");
            prop_assert_eq!(values.len(), runs.len());
        }
    }

    #[test]
    fn equal_texts_at_different_places_are_one_run() {
        let long = "a text that no view holds by itself";
        let texts = StringViewArray::from_iter_values([long, long, "short", "short"]);
        let runs = Runs::of(&[Arc::new(texts)], 4).expect("runs");
        assert_eq!(runs.numbers(), [0, 0, 1, 1]);
        let plain: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b"]));
        assert_eq!(Runs::of(&[plain], 3).expect("runs").numbers(), [0, 0, 1]);
    }
}
