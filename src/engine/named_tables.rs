//! What statements of users may name, for doors that list it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::TableType;

use super::Engine;
use super::catalog::{CATALOG, SCHEMA};
use crate::access::Principal;
use crate::error::{Context, Error, Result};
use crate::flush::View;

/// A table or view that statements may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTable {
    /// Its name in the one schema there is.
    pub name: String,
    /// Whether it is computed from others.
    pub is_view: bool,
    /// Its columns.
    pub schema: SchemaRef,
}

impl Engine {
    /// Every table and view that statements of `caller` may name, by name.
    pub async fn named_tables(
        &self,
        view: &Arc<View>,
        caller: &Principal,
    ) -> Result<Vec<NamedTable>> {
        list(&self.users_state(view, caller, None)?).await
    }
}

async fn list(state: &SessionState) -> Result<Vec<NamedTable>> {
    let catalog = state.catalog_list().catalog(CATALOG);
    let schema = catalog.and_then(|catalog| catalog.schema(SCHEMA));
    let schema = schema.ok_or_else(|| Error::internal("a session has no schema"))?;
    let mut names = schema.table_names();
    names.sort_unstable();
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let table = schema.table(&name).await.internal(format!("listing the table {name}"))?;
        let Some(table) = table else { continue };
        let is_view = table.table_type() == TableType::View;
        tables.push(NamedTable { name, is_view, schema: table.schema() });
    }
    Ok(tables)
}
