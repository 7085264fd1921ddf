//! PostgreSQL's catalogs over our own tables, for the tools that look there
//! before they ask for anything: names, columns and types, and nothing of
//! what is in the tables.

mod functions;
mod tables;

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::plan_err;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables};

use tokio::sync::OnceCell;

use super::catalog::{Audience, CATALOG, session_state};
use tables::KnownTables;

type Provider = PgCatalogSchemaProvider<KnownTables, EmptyContextProvider>;

macro_rules! views {
    ($($name:literal),+ $(,)?) => {
        /// Views of our own: `information_schema.…` of PostgreSQL, each under
        /// this name in `pg_catalog` (the engine's own has its own names of
        /// types), and the settings.
        static VIEWS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../queries/pg_catalog/", $name, ".sql"))),)+
        ];
    };
}

views![
    "information_schema_columns",
    "information_schema_constraint_column_usage",
    "information_schema_key_column_usage",
    "information_schema_referential_constraints",
    "information_schema_schemata",
    "information_schema_table_constraints",
    "information_schema_tables",
    "information_schema_views",
    "pg_settings",
];

/// The schema's name.
pub(super) const PG_CATALOG: &str = "pg_catalog";

/// What is the same in every PostgreSQL: types, operators, functions. Read
/// once for the process.
static BUILT_IN: LazyLock<std::result::Result<Arc<PgCatalogStaticTables>, String>> =
    LazyLock::new(|| {
        PgCatalogStaticTables::try_new().map(Arc::new).map_err(|error| error.to_string())
    });

/// The databases, which never change.
const DATABASES: &str = "pg_database";
/// What gets its number when it is looked at first, after the databases and in
/// the order in which that is done here: whoever asks first must not show in the
/// numbers.
const NUMBERED: [&str; 3] = ["pg_namespace", "pg_class", "pg_attribute"];

/// The catalogs of one engine. Tables keep their numbers for as long as it
/// lives, whichever session asks.
#[derive(Debug)]
pub(super) struct PgCatalog {
    known: KnownTables,
    provider: Arc<Provider>,
    databases: Arc<OnceCell<Arc<MemTable>>>,
    template: Arc<SessionState>,
}

impl PgCatalog {
    /// `template` has the functions that views use.
    pub(super) fn new(template: Arc<SessionState>) -> Result<Self> {
        let known = KnownTables::default();
        let provider =
            PgCatalogSchemaProvider::try_new(known.clone(), built_in()?, EmptyContextProvider)?;
        let (provider, databases) = (Arc::new(provider), Arc::default());
        Ok(Self { known, provider, databases, template })
    }

    /// The schema of a session that names `tables`.
    pub(super) fn schema(&self, tables: Arc<dyn SchemaProvider>) -> Arc<dyn SchemaProvider> {
        let (known, template) = (self.known.clone(), Arc::clone(&self.template));
        let (provider, databases) = (Arc::clone(&self.provider), Arc::clone(&self.databases));
        Arc::new(PgCatalogSchema { tables, known, provider, databases, template })
    }
}

fn built_in() -> Result<Arc<PgCatalogStaticTables>> {
    let tables = BUILT_IN.as_ref().map_err(|error| DataFusionError::Internal(error.clone()))?;
    Ok(Arc::clone(tables))
}

/// `state` with PostgreSQL's functions and names of types.
pub(super) fn with_functions(state: SessionState) -> Result<SessionState> {
    let context = SessionContext::new_with_state(state);
    functions::register(&context, built_in()?.as_ref());
    CoerceIntArgsToBigInt::widen(&context);
    let planner = Arc::new(PgOidTypePlanner);
    let state = SessionStateBuilder::new_from_existing(context.state());
    Ok(state.with_type_planner(planner).build())
}

/// The catalogs as one session sees them.
#[derive(Debug, Clone)]
struct PgCatalogSchema {
    tables: Arc<dyn SchemaProvider>,
    known: KnownTables,
    provider: Arc<Provider>,
    databases: Arc<OnceCell<Arc<MemTable>>>,
    template: Arc<SessionState>,
}

impl PgCatalogSchema {
    /// The databases, with everything numbered. They are looked at once: one of
    /// them would get another number each time.
    async fn databases(&self) -> Result<Arc<MemTable>> {
        let numbering = async || {
            let databases = self.rows_of(DATABASES).await?;
            for name in NUMBERED {
                self.rows_of(name).await?;
            }
            let Some(first) = databases.first() else { return plan_err!("there is no database") };
            let databases = MemTable::try_new(first.schema(), vec![databases.clone()])?;
            Ok(Arc::new(databases))
        };
        self.databases.get_or_try_init(numbering).await.map(Arc::clone)
    }

    async fn rows_of(&self, name: &str) -> Result<Vec<RecordBatch>> {
        match self.provider.table(name).await? {
            Some(table) => SessionContext::new().read_table(table)?.collect().await,
            None => Ok(Vec::new()),
        }
    }

    /// Plans a view over these catalogs.
    async fn plan(&self, text: &str) -> Result<Arc<dyn TableProvider>> {
        let state = session_state(
            &self.template,
            Arc::clone(&self.tables),
            Arc::clone(&self.tables),
            Audience::Users,
        );
        if let Some(catalog) = state.catalog_list().catalog(CATALOG) {
            catalog.register_schema(PG_CATALOG, Arc::new(self.clone()))?;
        }
        let plan = state.create_logical_plan(text).await?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

#[async_trait]
impl SchemaProvider for PgCatalogSchema {
    fn table_names(&self) -> Vec<String> {
        self.provider.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some((_, text)) = VIEWS.iter().find(|(view, _)| *view == name) {
            return self.plan(text).await.map(Some);
        }
        self.known.learn(self.tables.as_ref()).await?;
        let databases = self.databases().await?;
        if name == DATABASES {
            return Ok(Some(databases));
        }
        let table = self.provider.table(name).await?;
        match table {
            Some(table) if name == "pg_class" => {
                with_columns(table, &["relacl", "reloptions"]).map(Some)
            }
            table => Ok(table),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.provider.table_exist(name) || VIEWS.iter().any(|(view, _)| *view == name)
    }
}

/// `table` with more columns, of lists that are not known.
fn with_columns(table: Arc<dyn TableProvider>, names: &[&str]) -> Result<Arc<dyn TableProvider>> {
    let list = ScalarValue::try_from(&DataType::new_list(DataType::Utf8, true))?;
    let scan = LogicalPlanBuilder::scan("pg_class", provider_as_source(table), None)?;
    let columns = scan.schema().columns().into_iter().map(Expr::Column);
    let more = names.iter().map(|name| lit(list.clone()).alias(*name));
    let all = columns.chain(more).collect::<Vec<_>>();
    Ok(Arc::new(ViewTable::new(scan.project(all)?.build()?, None)))
}
