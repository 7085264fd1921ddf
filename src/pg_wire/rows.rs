//! The rows of one statement on their way to the client: as many as it asks
//! for at a time, until the end, a limit, or somebody's wish to stop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::encode::RowWriter;
use super::fault::{Fault, Outcome};
use super::frontend::Formats;
use super::wire::Wire;
use crate::error::Result;

/// Rows that are written before it is looked whether to send them.
const CHUNK_ROWS: usize = 256;

/// What ends a statement before its time.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) cancelled: CancellationToken,
    /// By the client's own `statement_timeout`.
    pub(super) deadline: Option<Instant>,
}

impl Guard {
    /// The outcome of `work`, unless the client cancels, hangs up, or its time
    /// is over.
    pub(super) async fn run<T>(
        &self,
        wire: &mut Wire,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let timeout = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => {
                Err(Fault::new("57014", "canceling statement due to user request"))
            }
            () = timeout => Err(Fault::new("57014", "canceling statement due to statement timeout")),
            outcome = work => outcome,
            () = wire.hung_up() => Err(Fault::fatal("08006", "the client hung up")),
        }
    }
}

/// Where batches come from.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// Rows that were not sent yet.
pub(super) struct Rows {
    /// The columns that the client is told.
    pub(super) columns: SchemaRef,
    batches: Batches,
    batch: Option<RecordBatch>,
    /// Until when the statement may hold its place.
    pub(super) expires: Instant,
}

/// How far a request for rows came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) rows: usize,
    pub(super) is_done: bool,
}

impl Rows {
    pub(super) fn new(columns: SchemaRef, batches: Batches, expires: Instant) -> Self {
        Self { columns, batches, batch: None, expires }
    }

    /// One batch that is there already.
    pub(super) fn of_batch(batch: RecordBatch, expires: Instant) -> Self {
        let columns = batch.schema();
        Self::new(columns, Box::pin(futures::stream::iter([Ok(batch)])), expires)
    }

    /// Sends at most `rows_max` rows.
    pub(super) async fn send(
        &mut self,
        wire: &mut Wire,
        style: (&Formats, Tz),
        rows_max: Option<usize>,
        guard: &Guard,
    ) -> Outcome<Progress> {
        let mut rows = 0;
        while rows_max.is_none_or(|most| rows < most) {
            let Some(batch) = self.batch(wire, guard).await? else {
                return Ok(Progress { rows, is_done: true });
            };
            let wanted = rows_max.map_or(CHUNK_ROWS, |most| (most - rows).min(CHUNK_ROWS));
            let chunk = batch.slice(0, wanted.min(batch.num_rows()));
            write(&chunk, &self.columns, style, wire)?;
            rows += chunk.num_rows();
            self.pass(chunk.num_rows());
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        Ok(Progress { rows, is_done: false })
    }

    /// Passes over at most `rows_max` rows.
    pub(super) async fn skip(
        &mut self,
        wire: &mut Wire,
        rows_max: Option<usize>,
        guard: &Guard,
    ) -> Outcome<usize> {
        let mut rows = 0;
        while rows_max.is_none_or(|most| rows < most) {
            let Some(batch) = self.batch(wire, guard).await? else { break };
            let all = batch.num_rows();
            let passed = rows_max.map_or(all, |most| (most - rows).min(all));
            self.pass(passed);
            rows += passed;
        }
        Ok(rows)
    }

    /// The batch that the next row is in; `None` at the end.
    async fn batch(&mut self, wire: &mut Wire, guard: &Guard) -> Outcome<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| batch.num_rows() > 0) {
                return Ok(Some(batch.clone()));
            }
            let next = async { self.batches.next().await.transpose().map_err(Fault::from) };
            match guard.run(wire, next).await? {
                Some(batch) => self.batch = Some(batch),
                None => return Ok(None),
            }
        }
    }

    fn pass(&mut self, rows: usize) {
        let rest = self.batch.take().filter(|batch| batch.num_rows() > rows);
        self.batch = rest.map(|batch| batch.slice(rows, batch.num_rows() - rows));
    }
}

/// Adds the rows to what is sent next; a row that cannot be written leaves no
/// part of itself.
fn write(
    chunk: &RecordBatch,
    columns: &SchemaRef,
    (formats, zone): (&Formats, Tz),
    wire: &mut Wire,
) -> Outcome<()> {
    let writer = RowWriter::new(chunk, columns, formats, zone)?;
    for row in 0..chunk.num_rows() {
        let out = wire.output();
        let mark = out.len();
        if let Err(fault) = writer.put_row(row, out) {
            out.truncate(mark);
            return Err(fault);
        }
    }
    Ok(())
}

impl fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rows")
            .field("columns", &Arc::clone(&self.columns))
            .finish_non_exhaustive()
    }
}
