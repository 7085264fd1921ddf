//! How a table of the lake is read for somebody who reaches some of its rows:
//! the same files and hot rows, with the tenant filter applied within a leaf
//! ([`TenantScanExec`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::harmless::is_harmless;
use super::prune::prune_files;
use super::scan::{FileRead, LakeScan};
use super::tenant_exec::{Inside, TenantScanExec};

impl LakeScan {
    /// The rows that `tenant` and all of `filters` accept. `filters` are
    /// harmless ([`is_harmless`]), since they meet rows of others.
    pub(super) fn scan_within(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        tenant: Expr,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.name();
        let schema = TableProvider::schema(self);
        if let Some(filter) = filters.iter().find(|filter| !is_harmless(filter, &schema)) {
            let message = format!("{filter} may not run behind the tenant wall of {table}");
            return Err(DataFusionError::Internal(message));
        }
        let label = label(table, filters);
        let all: Vec<Expr> = [tenant].into_iter().chain(filters.iter().cloned()).collect();
        let files = prune_files(self.files(), self.date_column(), &schema, &all, session);
        let given = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let read = columns_read(&given, &all, &schema)?;
        let read_schema = Arc::new(schema.project(&read)?);
        let filter = physical(session, &all, &read_schema)?;
        let rows = self.read(
            session,
            &FileRead {
                projection: Some(&read),
                limit: None,
                within: Some(physical(session, &all, &self.file_scan_schema())?),
                // The rows of one of many.
                is_selective: true,
            },
            &files,
        )?;
        let place = |column: &usize| read.binary_search(column).unwrap_or_default();
        let inside = Inside { rows, filter, projection: given.iter().map(place).collect() };
        let given = Arc::new(schema.project(&given)?);
        Ok(Arc::new(TenantScanExec::new(inside, given, &label, limit)))
    }
}

/// What EXPLAIN shows: the table and what the caller itself asked for.
fn label(table: &str, filters: &[Expr]) -> String {
    if filters.is_empty() {
        return format!("table={table}");
    }
    let filters: Vec<String> = filters.iter().map(Expr::to_string).collect();
    format!("table={table}, filters=[{}]", filters.join(", "))
}

/// The columns that are given or that a filter looks at, ascending.
fn columns_read(given: &[usize], filters: &[Expr], schema: &Schema) -> Result<Vec<usize>> {
    let mut read: BTreeSet<usize> = given.iter().copied().collect();
    for filter in filters {
        for column in filter.column_refs() {
            read.insert(schema.index_of(column.name())?);
        }
    }
    Ok(read.into_iter().collect())
}

/// All of `filters` over the columns of `schema`.
fn physical(
    session: &dyn Session,
    filters: &[Expr],
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>> {
    let filter =
        conjunction(filters.iter().cloned()).unwrap_or_else(|| datafusion::prelude::lit(false));
    session.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(schema))?)
}
