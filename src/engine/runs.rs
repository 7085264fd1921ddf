//! Aggregates over runs: equal values that follow one another. Files
//! are sorted by organization, user and time, so what belongs together is
//! mostly read together, and looking at it once is enough (decision 0031).

mod aggregate;
mod chunk;
mod input;
mod repeats;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};

use super::each_node::{Changed, EachNode};
use aggregate::RunAggregateExec;
use repeats::DropRepeatsExec;

/// Lets the first of the two steps of an aggregation work on runs. Comes after
/// every other rule, which know the steps only as they were.
pub(super) const AGGREGATE_RUNS: EachNode = EachNode {
    name: "aggregate_runs",
    change: |node| node.downcast_ref().map_or(Ok(None), over_runs),
};

fn over_runs(step: &AggregateExec) -> Changed {
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
