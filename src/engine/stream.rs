//! One running statement of a user: its rows, within its limits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use futures::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use super::errors::{Limits, explain, query_timeout};
use super::statement;
use crate::error::Result;

/// Plans one read-only statement and starts it.
pub(super) async fn start(
    state: &SessionState,
    text: &str,
) -> DataFusionResult<SendableRecordBatchStream> {
    let plan = statement::plan(state, text).await?;
    let plan = state.create_physical_plan(&plan).await?;
    execute_stream(plan, state.task_ctx())
}

/// The rows of a statement as they are made. Holds its place and its time
/// limit; dropping it cancels the statement. It ends after the first error.
pub struct SqlStream {
    schema: SchemaRef,
    inner: Option<Running>,
    limits: Arc<Limits>,
}

struct Running {
    rows: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl SqlStream {
    pub(super) fn new(
        rows: SendableRecordBatchStream,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
        limits: Arc<Limits>,
    ) -> Self {
        let schema = rows.schema();
        let deadline = Box::pin(sleep_until(deadline));
        Self { schema, inner: Some(Running { rows, deadline, _permit: permit }), limits }
    }

    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Stream for SqlStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(running) = &mut self.inner else { return Poll::Ready(None) };
        if running.deadline.as_mut().poll(context).is_ready() {
            self.inner = None;
            return Poll::Ready(Some(Err(query_timeout(&self.limits))));
        }
        match running.rows.as_mut().poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Some(Err(error))) => {
                self.inner = None;
                Poll::Ready(Some(Err(explain(error, &self.limits))))
            }
            Poll::Ready(None) => {
                self.inner = None;
                Poll::Ready(None)
            }
        }
    }
}

impl std::fmt::Debug for SqlStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let running = self.inner.is_some();
        formatter
            .debug_struct("SqlStream")
            .field("schema", &self.schema)
            .field("running", &running)
            .finish_non_exhaustive()
    }
}
