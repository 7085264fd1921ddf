//! The order of rows within a file: sorting batches, and merging sorted ones.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};

use crate::error::{Context, Error, Result};

/// Rows of one merged output batch.
const MERGED_ROWS: usize = 8192;

/// Turns the sort columns of a batch into comparable bytes: ascending, nulls
/// first.
#[derive(Debug)]
pub(crate) struct SortKey {
    converter: RowConverter,
    columns: Vec<usize>,
}

impl SortKey {
    /// The key of `columns`, most significant first.
    pub(crate) fn new(schema: &SchemaRef, columns: &[&str]) -> Result<Self> {
        let columns: Vec<usize> = columns
            .iter()
            .map(|name| schema.index_of(name))
            .collect::<Result<_, _>>()
            .internal("a sort column is not in the schema")?;
        let options = SortOptions { descending: false, nulls_first: true };
        let fields = columns.iter().map(|column| {
            SortField::new_with_options(schema.field(*column).data_type().clone(), options)
        });
        let converter =
            RowConverter::new(fields.collect()).internal("cannot order these columns")?;
        Ok(Self { converter, columns })
    }

    fn rows(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<_> =
            self.columns.iter().map(|column| batch.column(*column).clone()).collect();
        self.converter.convert_columns(&columns).internal("cannot order these rows")
    }
}

/// All rows of `batches` in one batch, ordered by `columns`; equal keys keep
/// their order.
pub(crate) fn sort(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    columns: &[&str],
) -> Result<RecordBatch> {
    let batch = concat_batches(schema, batches).internal("batches of different columns")?;
    let rows = SortKey::new(schema, columns)?.rows(&batch)?;
    let count = u32::try_from(batch.num_rows()).internal("more than 2^32 rows to sort at once")?;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by(|left, right| rows.row(*left as usize).cmp(&rows.row(*right as usize)));
    take_record_batch(&batch, &UInt32Array::from(order)).internal("cannot reorder rows")
}

/// One sorted input of a [`Merge`], for instance a file read batch by batch.
pub(crate) type SortedBatches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Merges sorted inputs into one sorted stream of batches. Holds one batch of
/// each input in memory.
pub(crate) struct Merge {
    key: SortKey,
    cursors: Vec<Cursor>,
    /// Indices into `cursors`; a binary heap with the smallest row on top.
    heap: Vec<usize>,
    started: bool,
}

struct Cursor {
    name: String,
    input: SortedBatches,
    batch: RecordBatch,
    rows: Rows,
    at: usize,
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Merge").field("inputs", &self.cursors.len()).finish_non_exhaustive()
    }
}

impl Merge {
    /// Merges `inputs`, each with a name for messages.
    pub(crate) fn new(
        schema: &SchemaRef,
        columns: &[&str],
        inputs: Vec<(String, SortedBatches)>,
    ) -> Result<Self> {
        let key = SortKey::new(schema, columns)?;
        let empty = RecordBatch::new_empty(schema.clone());
        let cursors = inputs.into_iter().map(|(name, input)| {
            let rows = key.rows(&empty)?;
            Ok(Cursor { name, input, batch: empty.clone(), rows, at: 0 })
        });
        let cursors = cursors.collect::<Result<_>>()?;
        Ok(Self { key, cursors, heap: Vec::new(), started: false })
    }

    fn start(&mut self) -> Result<()> {
        self.started = true;
        for cursor in 0..self.cursors.len() {
            if self.cursors[cursor].refill(&self.key)? {
                self.heap.push(cursor);
            }
        }
        for position in (0..self.heap.len() / 2).rev() {
            self.sift_down(position);
        }
        Ok(())
    }

    /// Whether input `left` comes before `right`; equal rows keep the order
    /// of the inputs.
    fn before(&self, left: usize, right: usize) -> bool {
        let (one, other) = (&self.cursors[left], &self.cursors[right]);
        (one.rows.row(one.at), left) < (other.rows.row(other.at), right)
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let mut smallest = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[smallest]) {
                    smallest = child;
                }
            }
            if smallest == position {
                return;
            }
            self.heap.swap(position, smallest);
            position = smallest;
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if !self.started {
            self.start()?;
        }
        // The batches that this output takes rows from, and for each input
        // the place of its current one.
        let mut sources: Vec<RecordBatch> = Vec::new();
        let mut places: Vec<Option<usize>> = vec![None; self.cursors.len()];
        let mut picks: Vec<(usize, usize)> = Vec::with_capacity(MERGED_ROWS);
        while picks.len() < MERGED_ROWS {
            let Some(&top) = self.heap.first() else { break };
            let cursor = &mut self.cursors[top];
            let place = *places[top].get_or_insert_with(|| {
                sources.push(cursor.batch.clone());
                sources.len() - 1
            });
            picks.push((place, cursor.at));
            cursor.at += 1;
            if cursor.at == cursor.batch.num_rows() {
                places[top] = None;
                if !cursor.refill(&self.key)? {
                    self.heap.swap_remove(0);
                }
            }
            self.sift_down(0);
        }
        if picks.is_empty() {
            return Ok(None);
        }
        let sources: Vec<&RecordBatch> = sources.iter().collect();
        interleave_record_batch(&sources, &picks).internal("cannot merge rows").map(Some)
    }
}

impl Cursor {
    /// Moves to the next batch that has rows; false at the end. Refuses an
    /// input that is not sorted: its rows would land in the wrong place.
    fn refill(&mut self, key: &SortKey) -> Result<bool> {
        for batch in self.input.by_ref() {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let rows = key.rows(&batch)?;
            let last = self.rows.num_rows().checked_sub(1).map(|last| self.rows.row(last));
            let follows = last.is_none_or(|last| last <= rows.row(0));
            let inside = (1..rows.num_rows()).all(|row| rows.row(row - 1) <= rows.row(row));
            if !follows || !inside {
                let message = format!("{} is not in the table's sort order", self.name);
                return Err(Error::internal(message));
            }
            (self.batch, self.rows, self.at) = (batch, rows, 0);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn schema() -> SchemaRef {
        let fields = vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("number", DataType::Int64, false),
        ];
        Arc::new(Schema::new(fields))
    }

    fn batch(rows: &[(Option<&str>, i64)]) -> RecordBatch {
        let names: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0)));
        let numbers: ArrayRef =
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
        RecordBatch::try_new(schema(), vec![names, numbers]).expect("batch")
    }

    fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
        let columns = batches.iter().map(|batch| batch.column(1).as_primitive::<Int64Type>());
        columns.flat_map(|column| column.values().to_vec()).collect()
    }

    fn merge(inputs: Vec<Vec<RecordBatch>>) -> Result<Vec<RecordBatch>> {
        let inputs = inputs.into_iter().map(|batches| {
            let input: SortedBatches = Box::new(batches.into_iter().map(Ok));
            ("input".to_owned(), input)
        });
        Merge::new(&schema(), &["name", "number"], inputs.collect())?.collect()
    }

    #[test]
    fn nulls_come_first_then_names_then_numbers() {
        let rows = [batch(&[(Some("b"), 3), (None, 9), (Some("a"), 2)]), batch(&[(Some("a"), 1)])];
        let sorted = sort(&schema(), &rows, &["name", "number"]).expect("sorted");
        assert_eq!(numbers(&[sorted]), [9, 1, 2, 3]);
    }

    #[test]
    fn a_merge_of_sorted_parts_equals_the_sort_of_the_whole() {
        // A small linear congruential generator: the same numbers every run.
        let mut state = 7_i64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).rem_euclid(5_000)
        };
        let parts: Vec<RecordBatch> = (0..7)
            .map(|part| {
                let rows: Vec<_> = (0..part * 1_700).map(|_| (Some("n"), next())).collect();
                sort(&schema(), &[batch(&rows)], &["name", "number"]).expect("sorted")
            })
            .collect();
        let whole = sort(&schema(), &parts, &["name", "number"]).expect("sorted");
        let inputs = parts.iter().map(|part| {
            let step = 1_000;
            let starts = (0..part.num_rows()).step_by(step);
            starts.map(|start| part.slice(start, step.min(part.num_rows() - start))).collect()
        });
        let merged = merge(inputs.collect()).expect("merged");
        assert_eq!(numbers(&merged), numbers(&[whole]));
    }

    #[test]
    fn an_unsorted_input_is_refused() {
        let within = merge(vec![vec![batch(&[(None, 2), (None, 1)])]]);
        assert!(within.is_err());
        let between = merge(vec![vec![batch(&[(None, 2)]), batch(&[(None, 1)])]]);
        assert!(between.is_err());
    }
}
