//! Our tables and views, as the catalogs list them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::SchemaProvider;
use datafusion::error::Result;
use datafusion::logical_expr::TableType;
use datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;

use super::super::catalog::{CATALOG, SCHEMA};
use super::PG_CATALOG;

/// What is known of a table.
#[derive(Debug, Clone)]
struct Known {
    columns: SchemaRef,
    kind: TableType,
}

/// The tables that sessions have named so far. Columns are those of the
/// program, so that what one session learned holds for all.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownTables(Arc<RwLock<BTreeMap<String, Known>>>);

impl KnownTables {
    /// Looks at those of `tables` that are not known yet. A view is planned
    /// for that, once.
    pub(super) async fn learn(&self, tables: &dyn SchemaProvider) -> Result<()> {
        for name in tables.table_names() {
            if self.find(&name).is_some() {
                continue;
            }
            let Some(table) = tables.table(&name).await? else { continue };
            let known = Known { columns: table.schema(), kind: table.table_type() };
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, known);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

#[async_trait]
impl CatalogInfo for KnownTables {
    async fn catalog_names(&self) -> Result<Vec<String>> {
        Ok(vec![CATALOG.to_owned()])
    }

    async fn schema_names(&self, catalog: &str) -> Result<Option<Vec<String>>> {
        let names = [SCHEMA, PG_CATALOG, "information_schema"].map(str::to_owned).to_vec();
        Ok((catalog == CATALOG).then_some(names))
    }

    async fn table_names(&self, catalog: &str, schema: &str) -> Result<Option<Vec<String>>> {
        let is_ours = catalog == CATALOG && schema == SCHEMA;
        Ok(Some(if is_ours { self.names() } else { Vec::new() }))
    }

    async fn table_schema(
        &self,
        _catalog: &str,
        _schema: &str,
        table: &str,
    ) -> Result<Option<SchemaRef>> {
        Ok(self.find(table).map(|known| known.columns))
    }

    async fn table_type(
        &self,
        _catalog: &str,
        _schema: &str,
        table: &str,
    ) -> Result<Option<TableType>> {
        Ok(self.find(table).map(|known| known.kind))
    }
}
