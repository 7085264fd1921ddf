//! A rule of the physical optimizer that changes nodes one by one.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// What stands in the place of a node; `None` where it stays.
pub(super) type Changed = Result<Option<Arc<dyn ExecutionPlan>>>;

/// Changes each node of a plan, those that it reads from first. The columns of
/// a plan stay the same.
#[derive(Debug)]
pub(super) struct EachNode {
    pub(super) name: &'static str,
    pub(super) change: fn(&Arc<dyn ExecutionPlan>) -> Changed,
}

impl PhysicalOptimizerRule for EachNode {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = (self.change)(&node)?;
            Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .map(|changed| changed.data)
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}
