//! A filter stays with the column that it names. The rules that move filters
//! down a physical plan look columns up by their names alone, and a join can
//! have two columns of one name: a filter on the one would be moved to the
//! other, and rows that it should drop would be answered.

mod barrier;

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, assert_eq_or_internal_err};
use datafusion::error::Result;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;

use barrier::BarrierExec;

/// The names of the rules that move filters: `FilterPushdown` moves those of the
/// statement, `FilterPushdown(Post)` those that are known while it runs.
const MOVES_FILTERS: &str = "FilterPushdown";

/// `state`, whose rules move no filter to another column of the same name.
pub(super) fn guarded(state: SessionState) -> Result<SessionState> {
    let mut rules = state.physical_optimizers().to_vec();
    let mut moving: Vec<_> =
        rules.iter_mut().filter(|rule| rule.name().starts_with(MOVES_FILTERS)).collect();
    assert_eq_or_internal_err!(moving.len(), 2, "rules of DataFusion that move filters");
    for rule in &mut moving {
        **rule = Arc::new(Guarded { rule: Arc::clone(rule) });
    }
    Ok(SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build())
}

/// A rule that sees barriers wherever a name says too little.
#[derive(Debug)]
struct Guarded {
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for Guarded {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !has_same_names(&plan)? {
            return self.rule.optimize(plan, config);
        }
        let plan = self.rule.optimize(with_barriers(plan)?, config)?;
        without_barriers(plan)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

fn has_same_names(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found = is_ambiguous(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a filter that gets into `node` may be moved to the wrong column.
fn is_ambiguous(node: &Arc<dyn ExecutionPlan>) -> bool {
    has_a_name_twice(node) || node.downcast_ref().is_some_and(misleads)
}

fn has_a_name_twice(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    !schema.fields().iter().all(|field| names.insert(field.name()))
}

/// A semi join moves filters on its keys to the side that it does not answer as
/// well, to the column of the same name there: that must be the key's partner.
fn misleads(join: &HashJoinExec) -> bool {
    let other = match join.join_type() {
        JoinType::LeftSemi => join.right().schema(),
        JoinType::RightSemi => join.left().schema(),
        _ => return false,
    };
    join.on().iter().any(|(left, right)| {
        let is_left = *join.join_type() == JoinType::LeftSemi;
        let (key, partner) = if is_left { (left, right) } else { (right, left) };
        let Some(key) = key.downcast_ref::<Column>() else { return false };
        let Ok(found) = other.index_of(key.name()) else { return false };
        partner.downcast_ref::<Column>().is_none_or(|partner| partner.index() != found)
    })
}

/// No filter from above gets into a node that would look it up among columns of
/// the same name: its own, or those that it reads.
fn with_barriers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let reads = node.children().into_iter().any(is_ambiguous);
        if reads || is_ambiguous(&node) {
            return Ok(Transformed::yes(Arc::new(BarrierExec::new(node)) as _));
        }
        Ok(Transformed::no(node))
    });
    changed.map(|changed| changed.data)
}

fn without_barriers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let below = node.downcast_ref().map(BarrierExec::below);
        Ok(below.map_or_else(|| Transformed::no(Arc::clone(&node)), Transformed::yes))
    });
    changed.map(|changed| changed.data)
}
