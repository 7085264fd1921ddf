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
use super::static_wall;
use super::system::{self, RowCountsOnly};
use super::texts::Texts;
use crate::access::Reach;
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

/// The tables and views of one [`View`], with the rows of one [`Reach`]: a
/// view is planned over tables of the same reach, so it has no wall of its own.
#[derive(Debug, Clone)]
pub(super) struct ViewTables {
    view: Arc<View>,
    reach: Arc<Reach>,
    /// The price list and its like, and those of the directory.
    static_tables: [Arc<Vec<StaticTable>>; 2],
    template: Arc<SessionState>,
    audience: Audience,
    texts: Texts,
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
        reach: Arc<Reach>,
        static_tables: [Arc<Vec<StaticTable>>; 2],
        template: Arc<SessionState>,
    ) -> Self {
        let texts = match audience {
            Audience::Users => Texts::Views,
            Audience::Ourselves => Texts::Plain,
        };
        Self { view, reach, static_tables, template, audience, texts }
    }

    /// A session in which the names stand for these tables.
    pub(super) fn into_session(self) -> SessionState {
        let template = Arc::clone(&self.template);
        let (audience, counts_only) = (self.audience, *self.reach != Reach::Everything);
        let shown = Arc::new(self.plain());
        let mut state = session_state(&template, Arc::new(self), shown, audience);
        if counts_only {
            state.add_analyzer_rule(Arc::new(RowCountsOnly));
        }
        state
    }

    /// The same tables, whose columns have the types of answers.
    pub(super) fn plain(&self) -> Self {
        Self { texts: Texts::Plain, ..self.clone() }
    }

    fn lake_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = SOURCES.iter().find(|source| source.name == name);
        let visible =
            found.filter(|source| self.audience == Audience::Ourselves || !source.internal);
        let Some(source) = visible else { return Ok(None) };
        let (view, reach) = (Arc::clone(&self.view), Arc::clone(&self.reach));
        Ok(Some(Arc::new(LakeScan::new(source, view, reach, self.texts)?)))
    }

    fn static_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let mut all = self.static_tables.iter().flat_map(|tables| tables.iter());
        let Some(table) = all.find(|table| table.name == name) else { return Ok(None) };
        let batch = static_wall::within(&self.reach, table, &self.static_tables[1])?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
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
        let state = inside.into_session();
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

/// A session state like `template` whose only schema is `tables`, beside the
/// tables about `shown`.
pub(super) fn session_state(
    template: &SessionState,
    tables: Arc<dyn SchemaProvider>,
    shown: Arc<dyn SchemaProvider>,
    audience: Audience,
) -> SessionState {
    let builder = SessionStateBuilder::new_from_existing(template.clone());
    let catalog = catalog_of(&tables);
    if audience == Audience::Ourselves {
        return begun(builder.with_catalog_list(catalog_list(catalog)).build());
    }
    // Made over a list of its own, that no list holds itself.
    let about = system::tables_about(catalog_list(catalog_of(&shown)));
    let _ = catalog.register_schema(system::SCHEMA, about);
    let config = template.config().clone().with_information_schema(false);
    begun(builder.with_config(config).with_catalog_list(catalog_list(catalog)).build())
}

/// `state`, whose `now()` is now, and which counts the names that its plans make
/// up: not that of the template, for all statements.
fn begun(mut state: SessionState) -> SessionState {
    state.mark_start_execution();
    state
}

// The registrations cannot fail: the collections are new and in memory.

fn catalog_of(tables: &Arc<dyn SchemaProvider>) -> Arc<MemoryCatalogProvider> {
    let catalog = MemoryCatalogProvider::new();
    let _ = catalog.register_schema(SCHEMA, Arc::clone(tables));
    Arc::new(catalog)
}

fn catalog_list(catalog: Arc<MemoryCatalogProvider>) -> Arc<dyn CatalogProviderList> {
    let catalogs = MemoryCatalogProviderList::new();
    let _ = catalogs.register_catalog(CATALOG.to_owned(), catalog);
    Arc::new(catalogs)
}
