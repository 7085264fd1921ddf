//! The rows that runs are looked for in: the first of them tell whether that
//! pays.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::EmptyRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};

/// Rows that are looked at before it is decided, unless they are long: they are
/// held meanwhile, and no memory pool knows of them.
const TRIED_ROWS: usize = 32_768;
const TRIED_BYTES: usize = 4 << 20;

/// Rows that a run must have on average: with shorter ones, the last step would
/// get nearly as many rows as there are.
const RUN_ROWS_MIN: usize = 3;

/// What is known of the rows of a stream after the first ones.
pub(super) struct Tried {
    pub(super) has_long_runs: bool,
    /// Every row, those that were looked at among them.
    pub(super) rows: SendableRecordBatchStream,
}

/// Looks at the first rows of `rows`, of which `count_runs` tells the runs.
pub(super) async fn try_first(
    mut rows: SendableRecordBatchStream,
    count_runs: impl Fn(&RecordBatch) -> Result<usize>,
) -> Result<Tried> {
    let (mut tried, mut seen, mut bytes, mut runs) = (Vec::new(), 0, 0, 0);
    while seen < TRIED_ROWS
        && bytes < TRIED_BYTES
        && let Some(batch) = rows.try_next().await?
    {
        if batch.num_rows() == 0 {
            continue;
        }
        seen += batch.num_rows();
        bytes += batch.get_array_memory_size();
        runs += count_runs(&batch)?;
        tried.push(Ok(batch));
    }
    let schema = rows.schema();
    let rows = RecordBatchStreamAdapter::new(schema, stream::iter(tried).chain(rows));
    Ok(Tried { has_long_runs: runs * RUN_ROWS_MIN <= seen, rows: Box::pin(rows) })
}

/// A stream as the one partition of a plan, which is run once.
pub(super) struct OnePartition {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl OnePartition {
    pub(super) fn new(rows: SendableRecordBatchStream) -> Self {
        Self { schema: rows.schema(), rows: Mutex::new(Some(rows)) }
    }
}

impl Debug for OnePartition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OnePartition").finish_non_exhaustive()
    }
}

impl PartitionStream for OnePartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
    }
}
