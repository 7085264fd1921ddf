//! Below an aggregation that asks only which values there are: a row that
//! repeats the one before tells nothing new.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};

use super::chunk::Runs;
use super::input::try_first;

/// Aggregates that are the same however often a value comes, even where they
/// are not asked for distinct ones.
const OF_SETS: [&str; 7] =
    ["min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "approx_distinct"];

/// Aggregates that heed DISTINCT; the others take every row all the same.
const HEED_DISTINCT: [&str; 5] = ["count", "sum", "avg", "array_agg", "median"];

/// Drops each row that is equal to the one before.
#[derive(Debug)]
pub(super) struct DropRepeatsExec {
    input: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
}

impl DropRepeatsExec {
    /// Whether `step` gives the same without the rows that would be dropped.
    pub(super) fn is_harmless_under(step: &AggregateExec) -> bool {
        let is_of_sets = |aggregate: &Arc<AggregateFunctionExpr>| {
            let name = aggregate.fun().name();
            let is_of_distinct = aggregate.is_distinct() && HEED_DISTINCT.contains(&name);
            aggregate.order_bys().is_empty() && (is_of_distinct || OF_SETS.contains(&name))
        };
        let arguments = step.aggr_expr().iter().flat_map(|aggregate| aggregate.expressions());
        let filters = step.filter_expr().iter().flatten().cloned();
        let groups = step.group_expr().input_exprs();
        step.input().schema().fields().iter().all(|field| Runs::takes(field.data_type()))
            && step.aggr_expr().iter().all(is_of_sets)
            && !arguments.chain(filters).chain(groups).any(|one| is_volatile(&one))
    }

    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for DropRepeatsExec {
    fn fmt_as(&self, _kind: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DropRepeatsExec")
    }
}

impl ExecutionPlan for DropRepeatsExec {
    fn name(&self) -> &'static str {
        "DropRepeatsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::new(input)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let begun = async move {
            let tried = try_first(rows, |batch| Ok(runs_of(batch)?.len())).await?;
            let has_repeats = tried.has_long_runs;
            Ok::<_, DataFusionError>(tried.rows.and_then(move |batch| {
                let compute = metrics.elapsed_compute().timer();
                let rows = if has_repeats { without_repeats(&batch) } else { Ok(batch) };
                compute.done();
                std::future::ready(rows.map(|rows| rows.record_output(&metrics)))
            }))
        };
        let rows = stream::once(begun).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

fn runs_of(batch: &RecordBatch) -> Result<Runs> {
    Runs::of(batch.columns(), batch.num_rows())
}

fn without_repeats(batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(filter_record_batch(batch, runs_of(batch)?.first())?)
}
