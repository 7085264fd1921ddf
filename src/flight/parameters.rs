//! Parameters of prepared statements: what a client is told to bind, and what
//! it binds.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::{MessageHeader, root_as_message};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

use super::wire::{wire_batch, wire_schema};
use crate::error::{Context, Error, ErrorKind, Result};

/// Most messages of one binding: the schema, dictionaries, and one row.
const MESSAGES_MAX: usize = 64;

/// The columns that a client binds to `$1`, `$2`, …; of the type null where any
/// type will do.
pub(super) fn parameter_schema(types: &[Option<DataType>]) -> SchemaRef {
    let fields = types.iter().enumerate().map(|(at, data_type)| {
        let data_type = data_type.clone().unwrap_or(DataType::Null);
        Field::new(format!("${}", at + 1), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The values of `$1`, `$2`, … that a client sends: exactly one row, a column
/// a parameter, in order.
pub(super) async fn read_parameters(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    expected: usize,
) -> Result<Vec<ScalarValue>, Status> {
    let plain = |message: FlightData| async move {
        check_plain(&message)?;
        Ok::<_, Status>(message)
    };
    let messages = messages.take(MESSAGES_MAX).and_then(plain).map_err(FlightError::from);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let mut row: Option<RecordBatch> = None;
    while let Some(batch) = batches.try_next().await? {
        match (batch.num_rows(), &row) {
            (0, _) => {}
            (1, None) => row = Some(batch),
            _ => return Err(one_row("more").into()),
        }
    }
    match row {
        Some(row) => Ok(values(&row, expected)?),
        // A client may bind nothing to a statement that takes nothing.
        None if expected == 0 => Ok(Vec::new()),
        None => Err(one_row("none").into()),
    }
}

/// Refuses compressed columns: whoever unpacks them believes the size that the
/// sender states, and one row needs no compression.
fn check_plain(message: &FlightData) -> Result<()> {
    // What is no message at all, the decoder refuses.
    let Ok(header) = root_as_message(&message.data_header) else { return Ok(()) };
    let rows = match header.header_type() {
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            header.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    if rows.is_some_and(|rows| rows.compression().is_some()) {
        return Err(Error::invalid("the parameters are compressed; send them uncompressed"));
    }
    Ok(())
}

fn one_row(found: &str) -> Error {
    Error::invalid(format!(
        "{found} came; bind exactly one row of parameters: a statement runs once for each execution"
    ))
}

fn values(row: &RecordBatch, expected: usize) -> Result<Vec<ScalarValue>> {
    let found = row.num_columns();
    if found != expected {
        return Err(Error::invalid(format!(
            "{found} parameters were bound; the statement takes {expected} ($1, $2, …)"
        )));
    }
    let doing = "the parameters cannot be read";
    let row = wire_batch(row, &wire_schema(&row.schema())).context(ErrorKind::Invalid, doing)?;
    let values = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
    values.collect::<Result<_, _>>().context(ErrorKind::Invalid, doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::IpcWriteOptions;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;

    async fn bind(batches: Vec<RecordBatch>, expected: usize) -> Result<Vec<ScalarValue>, Status> {
        let encoded =
            FlightDataEncoderBuilder::new().build(stream::iter(batches.into_iter().map(Ok)));
        read_parameters(encoded.map_err(Status::from), expected).await
    }

    fn row(columns: Vec<ArrayRef>) -> RecordBatch {
        let columns = columns.into_iter().enumerate();
        RecordBatch::try_from_iter(columns.map(|(at, column)| (at.to_string(), column)))
            .expect("a batch")
    }

    #[tokio::test]
    async fn parameters_keep_their_types_and_digits() {
        let money = Decimal128Array::from(vec![1]).with_precision_and_scale(18, 12);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![7])),
            Arc::new(StringArray::from(vec![None::<&str>])),
            Arc::new(money.expect("a decimal")),
        ];
        let values = bind(vec![row(columns)], 3).await.expect("values");
        assert_eq!(
            values,
            [
                ScalarValue::Int64(Some(7)),
                ScalarValue::Utf8(None),
                ScalarValue::Decimal128(Some(1), 18, 12)
            ]
        );
    }

    #[tokio::test]
    async fn only_one_row_of_the_right_width_is_bound() {
        let column = |values: Vec<i64>| row(vec![Arc::new(Int64Array::from(values))]);
        let error = bind(vec![column(vec![1, 2])], 1).await.expect_err("two rows");
        assert!(error.message().contains("exactly one row"), "{error}");
        let error = bind(vec![column(vec![1]), column(vec![2])], 1).await.expect_err("two rows");
        assert!(error.message().contains("exactly one row"), "{error}");
        let error = bind(vec![column(vec![1])], 2).await.expect_err("one of two");
        assert!(error.message().contains("takes 2"), "{error}");
        let error = bind(vec![], 1).await.expect_err("none");
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        assert_eq!(bind(vec![], 0).await.expect("nothing to bind"), []);
    }

    #[tokio::test]
    async fn compressed_parameters_are_refused_before_anybody_unpacks_them() {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .expect("options");
        let batch = row(vec![Arc::new(StringArray::from(vec!["a".repeat(1000)]))]);
        let encoded =
            FlightDataEncoderBuilder::new().with_options(options).build(stream::iter([Ok(batch)]));
        let error = read_parameters(encoded.map_err(Status::from), 1).await.expect_err("refused");
        assert!(error.message().contains("uncompressed"), "{error}");
    }

    #[test]
    fn a_parameter_of_any_type_is_described_as_null() {
        let schema = parameter_schema(&[Some(DataType::Int64), None]);
        let described = schema.fields().iter().map(|one| (one.name().as_str(), one.data_type()));
        let described: Vec<_> = described.collect();
        assert_eq!(described, [("$1", &DataType::Int64), ("$2", &DataType::Null)]);
    }
}
