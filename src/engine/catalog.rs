//! The names of SQL: which table or view each stands for, in one [`View`].
//! Views are planned when a statement names them, never before.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;

use super::StaticTable;
use super::scan::{LakeScan, SOURCES};
use crate::directory::TABLE_NAMES;
use crate::flush::View;

/// The catalog that unqualified names belong to.
pub const CATALOG: &str = "spendlake";
/// The schema that unqualified names belong to.
pub const SCHEMA: &str = "public";

macro_rules! views {
    ($($name:literal),+ $(,)?) => {
        /// Every view: its name and the statement it stands for.
        static VIEWS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../queries/views/", $name, ".sql"))),)+
        ];
    };
}

views![
    "usage_daily",
    "usage_daily_net",
    "conversations",
    "organization_daily_stats",
    "organization_weekly_stats",
    "organization_monthly_stats",
    "api_key_daily_stats",
    "api_key_weekly_stats",
    "api_key_monthly_stats",
    "user_daily_stats",
    "user_weekly_stats",
    "user_monthly_stats",
];

/// Views that only our own views use.
const INTERNAL_VIEWS: [&str; 1] = ["usage_daily_net"];

/// Whether the lake or the directory uses `name`.
pub(super) fn is_reserved(name: &str) -> bool {
    SOURCES.iter().any(|source| source.name == name)
        || VIEWS.iter().any(|(view, _)| *view == name)
        || TABLE_NAMES.contains(&name)
}

/// The tables and views of one [`View`].
#[derive(Debug, Clone)]
pub(super) struct ViewTables {
    view: Arc<View>,
    static_tables: [Arc<Vec<StaticTable>>; 2],
    template: Arc<SessionState>,
    audience: Audience,
}

/// Who names tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Statements of users.
    Users,
    /// Our own views and questions, which may use internal names too.
    Ourselves,
}

impl ViewTables {
    pub(super) fn new(
        audience: Audience,
        view: Arc<View>,
        static_tables: [Arc<Vec<StaticTable>>; 2],
        template: Arc<SessionState>,
    ) -> Self {
        Self { view, static_tables, template, audience }
    }

    fn lake_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = SOURCES.iter().find(|source| source.name == name);
        let visible =
            found.filter(|source| self.audience == Audience::Ourselves || !source.internal);
        let Some(source) = visible else { return Ok(None) };
        Ok(Some(Arc::new(LakeScan::new(source, Arc::clone(&self.view))?)))
    }

    fn static_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = self
            .static_tables
            .iter()
            .flat_map(|tables| tables.iter())
            .find(|table| table.name == name);
        let Some(StaticTable { batch, .. }) = found else { return Ok(None) };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]])?;
        Ok(Some(Arc::new(table)))
    }

    /// The views that statements may name.
    fn views(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let inside = self.audience == Audience::Ourselves;
        VIEWS.iter().filter(move |(name, _)| inside || !INTERNAL_VIEWS.contains(name))
    }

    /// Plans a view over the tables of the same [`View`]; views may build on
    /// one another.
    async fn plan(&self, text: &str) -> Result<Arc<dyn TableProvider>> {
        let inside = Self { audience: Audience::Ourselves, ..self.clone() };
        let state = session_state(&self.template, Arc::new(inside));
        let plan = state.create_logical_plan(text).await?;
        Ok(Arc::new(ViewTable::new(plan, Some(text.to_owned()))))
    }
}

#[async_trait]
impl SchemaProvider for ViewTables {
    fn table_names(&self) -> Vec<String> {
        let lake = SOURCES
            .iter()
            .filter(|source| self.audience == Audience::Ourselves || !source.internal);
        let names = lake.map(|source| source.name).chain(self.views().map(|(name, _)| *name));
        let statics = self.static_tables.iter().flat_map(|tables| tables.iter());
        let statics = statics.map(|table| table.name.clone());
        names.map(str::to_owned).chain(statics).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = self.lake_table(name)? {
            return Ok(Some(table));
        }
        match self.views().find(|(view, _)| *view == name) {
            Some((_, text)) => self.plan(text).await.map(Some),
            None => self.static_table(name),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

/// A session state like `template` whose only schema is `tables`.
pub(super) fn session_state(
    template: &SessionState,
    tables: Arc<dyn SchemaProvider>,
) -> SessionState {
    let catalog = MemoryCatalogProvider::new();
    // Neither registration can fail: both collections are new and in memory.
    let _ = catalog.register_schema(SCHEMA, tables);
    let catalogs = MemoryCatalogProviderList::new();
    let _ = catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    SessionStateBuilder::new_from_existing(template.clone())
        .with_catalog_list(Arc::new(catalogs))
        .build()
}
