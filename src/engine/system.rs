//! What statements may know of the engine itself: the names and types of
//! tables, columns and functions, and how many rows passed each step of a plan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::format::{ExplainAnalyzeCategories, MetricCategory};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;

/// The schema of the tables about tables.
pub(super) const SCHEMA: &str = INFORMATION_SCHEMA;

/// The settings of the engine, which tell its memory and its folders.
const SETTINGS: &str = "df_settings";

/// `information_schema` over `catalogs`, with no settings.
pub(super) fn tables_about(catalogs: Arc<dyn CatalogProviderList>) -> Arc<dyn SchemaProvider> {
    Arc::new(TablesAbout { inner: InformationSchemaProvider::new(catalogs) })
}

#[derive(Debug)]
struct TablesAbout {
    inner: InformationSchemaProvider,
}

#[async_trait]
impl SchemaProvider for TablesAbout {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.inner.table(name).await?;
        Ok(match table {
            Some(settings) if name.eq_ignore_ascii_case(SETTINGS) => {
                Some(Arc::new(EmptyTable::new(settings.schema())))
            }
            other => other,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

/// Lets EXPLAIN ANALYZE count rows only, and EXPLAIN estimate nothing, whatever
/// they ask for: rows that passed the tenant wall are the caller's own, while
/// times and bytes of what waits for them follow from rows that are not. So do
/// the counters of single partitions (VERBOSE): the one that ends last does what
/// is left for all of them.
#[derive(Debug)]
pub(super) struct RowCountsOnly;

impl AnalyzerRule for RowCountsOnly {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(match plan {
            LogicalPlan::Analyze(mut analyze) => {
                let rows = vec![MetricCategory::Rows];
                analyze.analyze_categories = Some(ExplainAnalyzeCategories::Only(rows));
                analyze.verbose = false;
                LogicalPlan::Analyze(analyze)
            }
            LogicalPlan::Explain(mut explain) => {
                explain.show_statistics = Some(false);
                LogicalPlan::Explain(explain)
            }
            other => other,
        })
    }

    fn name(&self) -> &str {
        "row_counts_only"
    }
}
