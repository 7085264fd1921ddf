//! Aggregates and texts over runs: equal values that follow one another. Files
//! are sorted by organization, user and time, so what belongs together is
//! mostly read together, and looking at it once is enough (decision 0031).

mod aggregate;
mod chunk;
mod expression;
mod input;
mod repeats;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

use aggregate::RunAggregateExec;
use expression::once_a_run;
use repeats::DropRepeatsExec;

/// Lets filters of texts, and the first of two steps of an aggregation, work on
/// runs. Comes after every other rule, which know the steps only as they were.
#[derive(Debug)]
pub(super) struct WorkOnRuns;

impl PhysicalOptimizerRule for WorkOnRuns {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = match (node.downcast_ref(), node.downcast_ref()) {
                (Some(filter), _) => filter_runs(filter)?,
                (_, Some(step)) => aggregate_runs(step)?,
                (None, None) => None,
            };
            Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .map(|changed| changed.data)
    }

    fn name(&self) -> &'static str {
        "work_on_runs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn filter_runs(filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let predicate = once_a_run(Arc::clone(filter.predicate()), &filter.input().schema())?;
    if !predicate.transformed {
        return Ok(None);
    }
    let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data).build()?;
    Ok(Some(Arc::new(filter)))
}

fn aggregate_runs(step: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_plain = *step.mode() == AggregateMode::Partial
        && step.group_expr().is_single()
        && !step.group_expr().is_empty()
        && step.limit_options().is_none();
    if !is_plain {
        return Ok(None);
    }
    let by_runs = RunAggregateExec::takes(step);
    if !by_runs && !DropRepeatsExec::is_harmless_under(step) {
        return Ok(None);
    }
    let schema = step.input().schema();
    let groups = step.group_expr().expr().iter().map(|(group, name)| {
        let group = once_a_run(Arc::clone(group), &schema)?;
        Ok((group.data, name.clone()))
    });
    let input = match by_runs {
        true => Arc::clone(step.input()),
        false => Arc::new(DropRepeatsExec::new(Arc::clone(step.input()))) as _,
    };
    let step = AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(groups.collect::<Result<_>>()?),
        step.aggr_expr().to_vec(),
        step.filter_expr().to_vec(),
        input,
        step.input_schema(),
    )?;
    Ok(Some(match by_runs {
        true => Arc::new(RunAggregateExec::new(step)),
        false => Arc::new(step),
    }))
}
