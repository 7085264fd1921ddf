//! The rows of a running statement as a stream of Flight messages.

use std::pin::Pin;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::running::Running;
use super::status::status_of;
use super::wire::{MESSAGE_BYTES_TARGET, pieces, wire_batch, wire_schema};
use crate::engine::{Engine, SqlStream};
use crate::error::{Error, ErrorKind, Result};

/// Messages that are made before the client takes them.
const MESSAGES_AHEAD: usize = 2;

/// Largest message, bytes: what ADBC clients take unless told otherwise. Only a
/// single row makes one that is larger than [`MESSAGE_BYTES_TARGET`].
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What DoGet answers.
pub(super) type FlightStream =
    Pin<Box<dyn Stream<Item = std::result::Result<FlightData, Status>> + Send>>;

/// Sends `rows` until they end, fail, are cancelled, or the client takes none
/// for `stall`. Whatever breaks them off is the stream's last item. Dropping
/// the stream cancels the statement.
pub(super) fn send(
    engine: &Engine,
    rows: SqlStream,
    running: Running,
    stall: Duration,
) -> FlightStream {
    let (sender, receiver) = channel(MESSAGES_AHEAD);
    let work = engine.spawn(async move {
        let cancelled = running.cancelled();
        tokio::select! {
            biased;
            () = cancelled => Err(cancelled_by_client()),
            sent = make(rows, &sender, stall) => sent,
        }
    });
    Box::pin(receive(receiver, work))
}

/// One batch that is made already.
pub(super) fn send_batch(batch: RecordBatch) -> FlightStream {
    let schema = batch.schema();
    Box::pin(encode(schema, stream::iter([Ok(batch)])).map_err(Status::from))
}

/// The answer to whoever waits for a statement that another call cancelled.
pub(super) fn cancelled_by_client() -> Status {
    Status::cancelled("the statement was cancelled by its principal")
}

async fn make(
    rows: SqlStream,
    sender: &Sender<FlightData>,
    stall: Duration,
) -> std::result::Result<(), Status> {
    let schema = wire_schema(&rows.schema());
    let columns = SchemaRef::clone(&schema);
    let batches = rows.map(move |batch| {
        let batch = batch.map_err(|error| status_of(&error))?;
        let sent = pieces(wire_batch(&batch, &columns)?, MESSAGE_BYTES_TARGET)?;
        Ok::<_, FlightError>(stream::iter(sent.into_iter().map(Ok::<_, FlightError>)))
    });
    let mut messages = encode(schema, batches.try_flatten());
    while let Some(message) = messages.try_next().await? {
        check_size(&message).map_err(|error| status_of(&error))?;
        match timeout(stall, sender.send(message)).await {
            Ok(Ok(())) => {}
            // Nobody listens any more.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(stalled(stall)),
        }
    }
    Ok(())
}

/// `batches` as messages, one each: they are small enough already.
fn encode(
    schema: SchemaRef,
    batches: impl Stream<Item = std::result::Result<RecordBatch, FlightError>> + Send + 'static,
) -> impl Stream<Item = std::result::Result<FlightData, FlightError>> + Send + Unpin {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_max_flight_data_size(usize::MAX)
        .build(batches)
}

fn check_size(message: &FlightData) -> Result<()> {
    let bytes = message.data_header.len() + message.data_body.len();
    if bytes <= MESSAGE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "a row has about {bytes} bytes; a message of Flight holds {MESSAGE_BYTES_MAX} at most: \
             select fewer columns, or shorter values"
        ),
    ))
}

fn stalled(stall: Duration) -> Status {
    let seconds = stall.as_secs();
    Status::deadline_exceeded(format!(
        "the client took no rows for {seconds} seconds, as long as a statement may run \
         (query_seconds_max); read faster, or ask for less"
    ))
}

fn receive(
    receiver: Receiver<FlightData>,
    work: AbortOnDropHandle<std::result::Result<(), Status>>,
) -> impl Stream<Item = std::result::Result<FlightData, Status>> + Send {
    stream::unfold(Some((receiver, work)), |state| async move {
        let (mut receiver, work) = state?;
        if let Some(message) = receiver.recv().await {
            return Some((Ok(message), Some((receiver, work))));
        }
        // The channel is closed, so the work is over, and says how.
        let status = match work.await {
            Ok(Ok(())) => return None,
            Ok(Err(status)) => status,
            Err(error) => {
                status_of(&Error::internal("sending the rows of a statement").caused_by(error))
            }
        };
        Some((Err(status), None))
    })
}
