//! One running statement of a user. It runs on the threads of SQL and hands
//! its rows over through a small channel to whoever asked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tokio_util::task::AbortOnDropHandle;

use super::errors::{Limits, explain, query_timeout, too_many_rows};
use super::growth;
use super::parameters;
use super::places::Place;
use super::registry::{Ticket, cancelled};
use super::statement::{self, Parsed};
use super::stopping::{Stop, stoppable};
use super::texts::{as_plain, in_types};
use super::workers::Workers;
use crate::error::{Context, Error, Result};

/// Batches that are made ahead of whoever reads them.
const BATCHES_AHEAD_MAX: usize = 2;

/// How long a statement past its end may take to say so itself: its thread may
/// be in the middle of a long computation.
const GRACE: Duration = Duration::from_millis(500);

/// A statement that has its place.
pub(super) struct Job {
    pub(super) state: SessionState,
    pub(super) parsed: Parsed,
    pub(super) parameters: Vec<ScalarValue>,
    pub(super) place: Place,
    pub(super) ticket: Ticket,
    pub(super) deadline: Instant,
    pub(super) limits: Arc<Limits>,
}

/// What comes through the channel: the columns, the rows, and the end, without
/// which the answer is not whole.
enum Piece {
    Columns(SchemaRef),
    Rows(RecordBatch),
    End,
}

type Pieces = mpsc::Sender<Result<Piece>>;

impl Job {
    /// Runs to the end, an error, the time limit, or until nobody waits for
    /// the answer any more. The place is free before the last word is said:
    /// whoever reads slowly must not hold it.
    async fn run(self, stopped: CancellationToken, pieces: Pieces) {
        let Self { state, parsed, parameters, place, mut ticket, deadline, limits } = self;
        let cancellation = ticket.cancellation();
        let stop = Stop { token: stopped, deadline };
        let rows = start(&state, parsed, &parameters, &stop);
        let answer = answer(rows, &ticket, &limits, &pieces);
        let done = tokio::select! {
            biased;
            () = cancellation.cancelled() => Err(cancelled()),
            done = timeout_at(deadline, answer) => {
                done.unwrap_or_else(|_| Err(query_timeout(&limits)))
            }
        };
        // Whatever failed after that, failed because of it.
        let done = done.map_err(|error| match Instant::now() {
            now if now > deadline => query_timeout(&limits),
            _ if cancellation.is_cancelled() => cancelled(),
            _ => error,
        });
        drop(state);
        drop(place);
        match &done {
            Ok(()) => ticket.set_done(),
            Err(error) => ticket.set_error(error),
        }
        drop(ticket);
        // Nobody is there to be told when this fails.
        let _ = pieces.send(done.map(|()| Piece::End)).await;
    }
}

/// Sends the columns and rows of what `start` starts.
async fn answer(
    start: impl Future<Output = DataFusionResult<SendableRecordBatchStream>>,
    ticket: &Ticket,
    limits: &Limits,
    pieces: &Pieces,
) -> Result<()> {
    let mut rows = start.await.map_err(|error| explain(error, limits))?;
    let columns = as_plain(&rows.schema());
    send(pieces, Piece::Columns(Arc::clone(&columns))).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| explain(error, limits))?;
        let count = ticket.add_rows(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
        if limits.rows.is_some_and(|most| count > most) {
            return Err(too_many_rows(limits));
        }
        let batch = in_types(batch, &columns).internal("writing texts")?;
        send(pieces, Piece::Rows(batch)).await?;
    }
    Ok(())
}

/// Plans one statement, binds its parameters, and starts it.
async fn start(
    state: &SessionState,
    parsed: Parsed,
    values: &[ScalarValue],
    stop: &Stop,
) -> DataFusionResult<SendableRecordBatchStream> {
    let plan = parameters::bind(statement::plan(state, parsed).await?, values)?;
    let plan = growth::bounded(plan)?;
    let plan = stoppable(state.create_physical_plan(&plan).await?, stop)?;
    execute_stream(plan, state.task_ctx())
}

async fn send(pieces: &Pieces, piece: Piece) -> Result<()> {
    pieces.send(Ok(piece)).await.map_err(|_| cancelled())
}

/// The rows of a statement as they are made. Dropping it cancels the
/// statement. It ends after the first error; an end without an error means
/// that the answer is complete.
pub struct SqlStream {
    id: String,
    schema: SchemaRef,
    inner: Option<Inner>,
    limits: Arc<Limits>,
}

struct Inner {
    pieces: mpsc::Receiver<Result<Piece>>,
    deadline: Pin<Box<Sleep>>,
    cancellation: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Stop the work when dropped: the first within a batch, the second where
    /// it waits.
    _stopped: DropGuard,
    _task: AbortOnDropHandle<()>,
}

impl SqlStream {
    /// Starts `job` on `workers`; ready when its columns are known.
    pub(super) async fn start(workers: &Workers, job: Job) -> Result<Self> {
        let (sender, pieces) = mpsc::channel(BATCHES_AHEAD_MAX);
        let limits = Arc::clone(&job.limits);
        let id = job.ticket.id().to_owned();
        let deadline = Box::pin(sleep_until(job.deadline + GRACE));
        let cancellation = Box::pin(job.ticket.cancellation().cancelled_owned());
        let stopped = job.ticket.cancellation().child_token();
        let task = workers.spawn(job.run(stopped.clone(), sender));
        let _stopped = stopped.drop_guard();
        let inner = Some(Inner { pieces, deadline, cancellation, _stopped, _task: task });
        let mut stream = Self { id, schema: Arc::new(Schema::empty()), inner, limits };
        match std::future::poll_fn(|context| stream.poll_piece(context)).await? {
            Some(Piece::Columns(schema)) => stream.schema = schema,
            _ => return Err(Error::internal("a statement sent something before its columns")),
        }
        Ok(stream)
    }

    /// What the registry knows the statement by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next piece; `None` after the end or an error.
    fn poll_piece(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<Option<Piece>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(Ok(None)) };
        let piece = match inner.pieces.poll_recv(context) {
            Poll::Ready(Some(piece)) => piece,
            // The task panicked.
            Poll::Ready(None) => Err(Error::internal("a statement ended without a word")),
            Poll::Pending if inner.deadline.as_mut().poll(context).is_ready() => {
                Err(query_timeout(&self.limits))
            }
            Poll::Pending => {
                ready!(inner.cancellation.as_mut().poll(context));
                Err(cancelled())
            }
        };
        match piece {
            Ok(Piece::End) => {
                self.inner = None;
                Poll::Ready(Ok(None))
            }
            Ok(piece) => Poll::Ready(Ok(Some(piece))),
            Err(error) => {
                self.inner = None;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl Stream for SqlStream {
    type Item = Result<RecordBatch>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_piece(context)) {
            Ok(Some(Piece::Rows(batch))) => Some(Ok(batch)),
            Ok(Some(Piece::Columns(_))) => {
                self.inner = None;
                Some(Err(Error::internal("a statement sent its columns twice")))
            }
            Ok(Some(Piece::End) | None) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl std::fmt::Debug for SqlStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let running = self.inner.is_some();
        formatter
            .debug_struct("SqlStream")
            .field("id", &self.id)
            .field("schema", &self.schema)
            .field("running", &running)
            .finish_non_exhaustive()
    }
}
