//! The first step of an aggregation, without a hash table: each run becomes one
//! row of sums, and the last step puts those of one group together.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::utils::evaluate_expressions_to_arrays;
use datafusion::physical_plan::aggregates::{AggregateExec, evaluate_many};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};

use super::chunk::Runs;
use super::first_step;
use super::input::{OnePartition, Tried, try_first};

/// Gives what `step` gives, or what stands for the same once it is put
/// together by the last step.
#[derive(Debug)]
pub(super) struct RunAggregateExec {
    /// The step as it was planned: it is taken where runs are short.
    step: AggregateExec,
    metrics: ExecutionPlanMetricsSet,
}

impl RunAggregateExec {
    /// Whether every aggregate of `step` can be added up by runs.
    pub(super) fn takes(step: &AggregateExec) -> bool {
        let groups = step.group_expr().group_schema(&step.input_schema());
        groups
            .is_ok_and(|groups| groups.fields().iter().all(|field| Runs::takes(field.data_type())))
            && step.aggr_expr().iter().all(|aggregate| {
                aggregate.groups_accumulator_supported() && aggregate.order_bys().is_empty()
            })
    }

    pub(super) fn new(step: AggregateExec) -> Self {
        Self { step, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RunAggregateExec {
    fn fmt_as(&self, kind: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RunAggregateExec: ")?;
        self.step.fmt_as(kind, formatter)
    }
}

impl ExecutionPlan for RunAggregateExec {
    fn name(&self) -> &'static str {
        "RunAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.step.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.step.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let step = Arc::new(self.step.clone()).replace_children(children, options)?;
        match step.downcast_ref::<AggregateExec>() {
            Some(step) => Ok(Arc::new(Self::new(step.clone()))),
            None => Ok(step),
        }
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
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.step.apply_expressions(visit)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.step.input().execute(partition, Arc::clone(&context))?;
        let work = Work::new(&self.step, BaselineMetrics::new(&self.metrics, partition))?;
        let (step, schema) = (self.step.clone(), self.schema());
        let groups = work.groups.clone();
        let begun = async move {
            let tried = try_first(rows, |batch| Ok(runs_of(&groups, batch)?.1.len())).await?;
            if tried.has_long_runs {
                Ok(work.run(tried.rows))
            } else {
                plain(&step, tried, context, work.metrics)
            }
        };
        let rows = stream::once(begun).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The step as it was planned, over rows of which some were looked at.
fn plain(
    step: &AggregateExec,
    tried: Tried,
    context: Arc<TaskContext>,
    metrics: BaselineMetrics,
) -> Result<SendableRecordBatchStream> {
    let once = Arc::new(OnePartition::new(tried.rows));
    let schema = step.input().schema();
    let rows = StreamingTableExec::try_new(schema, vec![once], None, [], false, None)?;
    let sums = first_step(step, Arc::new(rows))?.execute(0, context)?;
    let schema = sums.schema();
    let sums = sums.inspect_ok(move |sums| metrics.record_output(sums.num_rows()));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, sums)))
}

/// The groups of the rows of `batch`, and their runs.
fn runs_of(groups: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<(Vec<ArrayRef>, Runs)> {
    let groups = evaluate_expressions_to_arrays(groups, batch)?;
    let runs = Runs::of(&groups, batch.num_rows())?;
    Ok((groups, runs))
}

/// What turns batches into rows of sums.
struct Work {
    groups: Vec<Arc<dyn PhysicalExpr>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    schema: SchemaRef,
    metrics: BaselineMetrics,
}

impl Work {
    fn new(step: &AggregateExec, metrics: BaselineMetrics) -> Result<Self> {
        let aggregates = step.aggr_expr().iter();
        Ok(Self {
            groups: step.group_expr().input_exprs(),
            arguments: aggregates.clone().map(|aggregate| aggregate.expressions()).collect(),
            filters: step.filter_expr().to_vec(),
            accumulators: aggregates
                .map(|aggregate| aggregate.create_groups_accumulator())
                .collect::<Result<_>>()?,
            schema: step.schema(),
            metrics,
        })
    }

    fn run(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let sums = stream::try_unfold((self, rows), async |(mut work, mut rows)| {
            // Some accumulators have no state of no rows.
            while let Some(batch) = rows.try_next().await? {
                if batch.num_rows() > 0 {
                    return Ok(Some((work.sums_of(&batch)?, (work, rows))));
                }
            }
            Ok(None)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, sums))
    }

    /// One row for each run of `batch`.
    fn sums_of(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let compute = self.metrics.elapsed_compute().clone();
        let _timer = compute.timer();
        let (groups, runs) = runs_of(&self.groups, batch)?;
        let numbers = runs.numbers();
        let arguments = evaluate_many(&self.arguments, batch)?;
        let mut columns =
            groups.iter().map(|group| runs.values(group)).collect::<Result<Vec<_>>>()?;
        let each = self.accumulators.iter_mut().zip(&self.filters).zip(&arguments);
        for ((accumulator, filter), values) in each {
            let kept = match filter {
                Some(filter) => Some(filter.evaluate(batch)?.into_array(batch.num_rows())?),
                None => None,
            };
            let kept = kept.as_ref().map(|kept| kept.as_boolean());
            accumulator.update_batch(values, &numbers, kept, runs.len())?;
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        let sums = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(sums.record_output(&self.metrics))
    }
}
