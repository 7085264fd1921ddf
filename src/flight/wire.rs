//! Rows as Flight sends them: types that every client reads, one schema in the
//! description and in the stream, and messages below the limit of gRPC.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

/// What a message of rows should hold at most, bytes. Clients take 4 MiB unless
/// told otherwise, and the size of rows is known before they are encoded only
/// about.
pub(super) const MESSAGE_BYTES_TARGET: usize = 2 << 20;

/// The columns as they are sent. Dictionaries and views, which not every client
/// reads, become plain columns. Every column may be null: the planner knows
/// more of that for a running statement than for a described one, and a client
/// refuses rows whose schema is not the described one.
pub(super) fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = wire_type(field.data_type());
        Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// `batch` with the columns of `schema`, which [`wire_schema`] made of its own.
pub(super) fn wire_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// `batch` in pieces of at most `bytes_max`, in order; a piece of one row may be
/// larger. Halving finds the large rows of a batch that are mostly small.
pub(super) fn pieces(batch: RecordBatch, bytes_max: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut found = Vec::new();
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        let rows = batch.num_rows();
        if rows > 1 && slice_bytes(&batch)? > bytes_max {
            let half = rows / 2;
            waiting.push(batch.slice(half, rows - half));
            waiting.push(batch.slice(0, half));
        } else {
            found.push(batch);
        }
    }
    Ok(found)
}

/// About how many bytes the rows of `batch` have on the wire.
fn slice_bytes(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, DictionaryArray, StringArray, StringViewArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::Int32Type;

    #[test]
    fn dictionaries_and_views_are_sent_as_plain_columns() {
        let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let views = StringViewArray::from(vec![Some("x"), None, Some("z")]);
        let batch = RecordBatch::try_from_iter([
            ("d", Arc::new(dictionary) as Arc<dyn Array>),
            ("v", Arc::new(views) as Arc<dyn Array>),
        ])
        .expect("a batch");
        let schema = wire_schema(&batch.schema());
        let sent = wire_batch(&batch, &schema).expect("a batch");
        assert!(schema.fields().iter().all(|one| *one.data_type() == DataType::Utf8));
        let read = |at: usize| sent.column(at).as_string::<i32>().iter().collect::<Vec<_>>();
        assert_eq!(read(0), [Some("a"), Some("b"), Some("a")]);
        assert_eq!(read(1), [Some("x"), None, Some("z")]);
    }

    #[test]
    fn a_batch_without_columns_keeps_its_rows() {
        let empty = Arc::new(Schema::empty());
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&empty), vec![], &options);
        let sent = wire_batch(&batch.expect("a batch"), &wire_schema(&empty)).expect("a batch");
        assert_eq!(sent.num_rows(), 3);
    }

    #[test]
    fn pieces_are_small_and_hold_every_row_in_order() {
        // One large row among many small ones.
        let texts = (0..1000).map(|at| if at == 500 { "x".repeat(9000) } else { at.to_string() });
        let column = StringArray::from_iter_values(texts);
        let batch = RecordBatch::try_from_iter([("t", Arc::new(column) as Arc<dyn Array>)]);
        let batch = batch.expect("a batch");
        let found = pieces(batch.clone(), 2000).expect("pieces");
        for piece in &found {
            let bytes = slice_bytes(piece).expect("a size");
            assert!(bytes <= 2000 || piece.num_rows() == 1, "{bytes} bytes");
        }
        assert!(found.len() < 40, "{} pieces", found.len());
        assert_eq!(concat_batches(&batch.schema(), &found).expect("a batch"), batch);
    }
}
