//! How many steps a plan has once everything that it names is written out. A
//! query under WITH is kept once, however often it is named, but is planned,
//! optimized and run anew at each place: thirty of them that each name the one
//! before twice are a billion.

use std::collections::HashMap;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Most steps of one statement.
const STEPS_MAX: usize = 5_000;

/// Refuses a plan that would take hours to optimize.
pub(super) fn check_steps(plan: &LogicalPlan) -> Result<()> {
    if steps(plan, &mut HashMap::new())? <= STEPS_MAX {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!(
        "the statement has more than {STEPS_MAX} steps once the queries under WITH are \
         written out at each place that names them; name them less often"
    )))
}

/// The steps of `plan`; `known` holds those of plans that were met before.
fn steps(plan: &LogicalPlan, known: &mut HashMap<*const LogicalPlan, usize>) -> Result<usize> {
    let place = std::ptr::from_ref(plan);
    if let Some(steps) = known.get(&place) {
        return Ok(*steps);
    }
    let mut sum = 1_usize;
    for input in plan.inputs() {
        sum = sum.saturating_add(steps(input, known)?);
    }
    plan.apply_expressions(|expression| {
        expression.apply(|part| {
            let inner = match part {
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(within) => Some(&within.subquery),
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::SetComparison(comparison) => Some(&comparison.subquery),
                _ => None,
            };
            if let Some(inner) = inner {
                sum = sum.saturating_add(steps(&inner.subquery, known)?);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    known.insert(place, sum);
    Ok(sum)
}
