//! Runs question files over small tables in memory.
//!
//! Parsing and resolving a question costs more than running it over a few
//! hundred rows, and the tables' columns never change: each file becomes a
//! logical plan once, and every run binds its parameters and its tables.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
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
    state: Arc<SessionState>,
}

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
        Ok(Self { name: file.name, plan, state: Arc::clone(state) })
    }

    /// Runs over `tables` with `parameters` bound, and answers one batch.
    pub(crate) async fn run(
        &self,
        tables: HashMap<&str, RecordBatch>,
        parameters: HashMap<String, ScalarValue>,
    ) -> Result<RecordBatch> {
        let doing = || format!("running the question {}", self.name);
        let plan = self.plan.clone().with_param_values(parameters).internal(doing())?;
        let plan = bind_tables(plan, &tables).internal(doing())?;
        let physical = self.state.create_physical_plan(&plan).await.internal(doing())?;
        let schema = physical.schema();
        let batches = collect(physical, self.state.task_ctx()).await.internal(doing())?;
        match batches.len() {
            1 => batches.into_iter().next().ok_or_else(|| Error::internal(doing())),
            _ => concat_batches(&schema, &batches).internal(doing()),
        }
    }
}

fn bind_tables(
    plan: LogicalPlan,
    tables: &HashMap<&str, RecordBatch>,
) -> datafusion::error::Result<LogicalPlan> {
    let bound = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else {
            return Ok(Transformed::no(node));
        };
        let Some(batch) = tables.get(scan.table_name.table()) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?;
        scan.source = provider_as_source(Arc::new(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(bound.data)
}
