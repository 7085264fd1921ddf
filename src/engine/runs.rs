//! Aggregates over runs: equal values that follow one another. Files
//! are sorted by organization, user and time, so what belongs together is
//! mostly read together, and looking at it once is enough (decision 0031).

mod aggregate;
mod chunk;
mod input;
mod repeats;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};

use aggregate::RunAggregateExec;
use repeats::DropRepeatsExec;

/// Lets the first of the two steps of an aggregation work on runs. Comes after
/// every other rule, which know the steps only as they were.
#[derive(Debug)]
pub(super) struct AggregateRuns;

impl PhysicalOptimizerRule for AggregateRuns {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = node.downcast_ref().map(over_runs).transpose()?.flatten();
            Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .map(|changed| changed.data)
    }

    fn name(&self) -> &'static str {
        "aggregate_runs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn over_runs(step: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_plain = *step.mode() == AggregateMode::Partial
        && step.group_expr().is_single()
        && !step.group_expr().is_empty()
        && step.limit_options().is_none();
    if !is_plain {
        return Ok(None);
    }
    if RunAggregateExec::takes(step) {
        return Ok(Some(Arc::new(RunAggregateExec::new(step.clone()))));
    }
    if !DropRepeatsExec::is_harmless_under(step) {
        return Ok(None);
    }
    let rows = Arc::new(DropRepeatsExec::new(Arc::clone(step.input())));
    Ok(Some(Arc::new(first_step(step, rows)?)))
}

/// The first step of an aggregation over other rows of the same columns.
fn first_step(step: &AggregateExec, rows: Arc<dyn ExecutionPlan>) -> Result<AggregateExec> {
    AggregateExec::try_new(
        AggregateMode::Partial,
        step.group_expr().clone(),
        step.aggr_expr().to_vec(),
        step.filter_expr().to_vec(),
        rows,
        step.input_schema(),
    )
}
