//! Runs question files over small tables in memory.
//!
//! Planning a question costs more than running it over a few hundred rows,
//! and the tables' columns never change. So each file is parsed once, and
//! optimized once for each combination of the few parameters that shape it
//! (what to sort by, in which direction); a run binds the other parameters and
//! the tables.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;

use crate::error::{Context, Error, Result};

/// A question file over named tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuestionFile {
    /// Its name, for messages.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

/// A question whose text is parsed and resolved.
#[derive(Debug)]
pub(crate) struct Question {
    name: &'static str,
    plan: LogicalPlan,
    /// The optimized plan by the shaping parameters, whose combinations are
    /// few: names of columns and truth values.
    optimized: Mutex<HashMap<String, LogicalPlan>>,
    state: Arc<SessionState>,
}

/// Values by the names of the parameters they are bound to.
pub(crate) type Parameters = HashMap<String, ScalarValue>;

/// A lean session: one partition, no catalog, no files.
pub(crate) fn lean_state() -> Arc<SessionState> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(8192);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.optimizer.max_passes = 1;
    Arc::new(SessionStateBuilder::new().with_default_features().with_config(config).build())
}

impl Question {
    /// Resolves `file` over `tables`.
    pub(crate) fn prepare(
        state: &Arc<SessionState>,
        file: QuestionFile,
        tables: &[(&str, SchemaRef)],
    ) -> Result<Self> {
        let doing = || format!("preparing the question {}", file.name);
        let context = SessionContext::new_with_state(SessionState::clone(state));
        for (name, schema) in tables {
            // The catalog is shared between clones of a state: a table of an
            // earlier question gives way.
            context.deregister_table(*name).internal(doing())?;
            let empty = MemTable::try_new(Arc::clone(schema), vec![vec![]]).internal(doing())?;
            context.register_table(*name, Arc::new(empty)).internal(doing())?;
        }
        // Resolving over tables in memory never waits.
        let session = context.state();
        let plan = session.create_logical_plan(file.text).now_or_never();
        let plan = plan.ok_or_else(|| Error::internal(doing()))?.internal(doing())?;
        let optimized = Mutex::default();
        Ok(Self { name: file.name, plan, optimized, state: Arc::clone(state) })
    }

    /// Runs over `tables` with both kinds of parameters bound, and answers one
    /// batch. `shape` must have few combinations of values: each is planned
    /// once and kept.
    pub(crate) async fn run(
        &self,
        tables: HashMap<&str, RecordBatch>,
        shape: &[(&str, ScalarValue)],
        parameters: Parameters,
    ) -> Result<RecordBatch> {
        let doing = || format!("running the question {}", self.name);
        let plan = self.shaped(shape)?;
        let plan = match parameters.is_empty() {
            true => plan,
            false => plan.with_param_values(parameters).internal(doing())?,
        };
        let plan = bind_tables(plan, &tables).internal(doing())?;
        let planner = self.state.query_planner();
        let physical =
            planner.create_physical_plan(&plan, self.state.as_ref()).await.internal(doing())?;
        let schema = physical.schema();
        let batches = collect(physical, self.state.task_ctx()).await.internal(doing())?;
        match batches.len() {
            1 => batches.into_iter().next().ok_or_else(|| Error::internal(doing())),
            _ => concat_batches(&schema, &batches).internal(doing()),
        }
    }

    /// The optimized plan of one shape.
    fn shaped(&self, shape: &[(&str, ScalarValue)]) -> Result<LogicalPlan> {
        let doing = || format!("planning the question {}", self.name);
        let key = format!("{shape:?}");
        let known =
            self.optimized.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = bind_some(self.plan.clone(), shape).internal(doing())?;
        let plan = self.state.optimize(&plan).internal(doing())?;
        let mut optimized = self.optimized.lock().unwrap_or_else(PoisonError::into_inner);
        optimized.insert(key, plan.clone());
        Ok(plan)
    }
}

/// Leaves the parameters that are not given as they are.
fn bind_some(
    plan: LogicalPlan,
    values: &[(&str, ScalarValue)],
) -> datafusion::error::Result<LogicalPlan> {
    let bound = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expression| {
            expression.transform_up(|expression| {
                let Expr::Placeholder(placeholder) = &expression else {
                    return Ok(Transformed::no(expression));
                };
                let name = placeholder.id.trim_start_matches('$');
                let value = values.iter().find(|(known, _)| *known == name);
                Ok(match value {
                    Some((_, value)) => Transformed::yes(Expr::Literal(value.clone(), None)),
                    None => Transformed::no(expression),
                })
            })
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(bound.data)
}

fn bind_tables(
    plan: LogicalPlan,
    tables: &HashMap<&str, RecordBatch>,
) -> datafusion::error::Result<LogicalPlan> {
    let bound = plan.transform_up_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::TableScan(mut scan) => {
                if let Some(batch) = tables.get(scan.table_name.table()) {
                    let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?;
                    scan.source = provider_as_source(Arc::new(table));
                }
                Transformed::yes(LogicalPlan::TableScan(scan))
            }
            // A parameter got a cast when the plan was optimized, and the
            // planner takes nothing but a number here.
            LogicalPlan::Limit(mut limit) => {
                if let Some(Expr::Cast(cast)) = limit.fetch.as_deref() {
                    limit.fetch = Some(cast.expr.clone());
                }
                Transformed::yes(LogicalPlan::Limit(limit))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(bound.data)
}
