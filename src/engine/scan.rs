//! A table of the lake as one [`View`] sees it: its Parquet files, and the hot
//! rows that no file holds yet.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Date32Type, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::prune::prune_files;
use crate::flush::View;
use crate::hot::HotBatch;
use crate::lake::{LakeFile, TableSnapshot};
use crate::model::{TABLES, TableSpec};

/// Bytes read from a file's end at once: footer and page index of most files.
const FOOTER_BYTES: usize = 512 << 10;

/// How a name of SQL is read from a [`View`].
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: &'static str,
    /// Only our own views may use the name.
    pub(super) internal: bool,
    spec: &'static TableSpec,
    snapshot: fn(&View) -> &TableSnapshot,
    files: fn(&View) -> &[LakeFile],
    hot: fn(&HotBatch) -> Option<&RecordBatch>,
}

/// Every table that is read from files and hot rows.
pub(super) static SOURCES: [Source; 5] = [
    Source {
        name: "usage_events",
        internal: false,
        spec: &TABLES[0],
        snapshot: |view| &view.events,
        files: |view| &view.events.files,
        hot: |batch| Some(&batch.events),
    },
    Source {
        name: "rejected_events",
        internal: false,
        spec: &TABLES[1],
        snapshot: |view| &view.rejected,
        files: |view| &view.rejected.files,
        hot: |batch| Some(&batch.rejected),
    },
    Source {
        name: "provider_costs",
        internal: false,
        spec: &TABLES[3],
        snapshot: |view| &view.provider_costs,
        files: |view| &view.provider_costs.files,
        hot: |_| None,
    },
    Source {
        name: "usage_daily_files",
        internal: true,
        spec: &TABLES[2],
        snapshot: |view| &view.daily,
        files: |view| &view.daily.files,
        hot: |_| None,
    },
    Source {
        name: "usage_events_uncovered",
        internal: true,
        spec: &TABLES[0],
        snapshot: |view| &view.events,
        files: |view| &view.uncovered_files,
        hot: |batch| Some(&batch.events),
    },
];

/// A [`Source`] of one [`View`]: each row of it exactly once.
#[derive(Debug)]
pub(super) struct LakeScan {
    source: &'static Source,
    view: Arc<View>,
    schema: SchemaRef,
    /// The table's folder in the local file store.
    root: Path,
}

impl LakeScan {
    pub(super) fn new(source: &'static Source, view: Arc<View>) -> Result<Self> {
        let root = std::path::absolute(&(source.snapshot)(&view).root)?;
        let root = Path::from_absolute_path(root)?;
        Ok(Self { source, schema: (source.spec.schema)(), view, root })
    }

    fn date_column(&self) -> &'static str {
        self.source.spec.partition_column
    }

    /// The Parquet leg, or `None` without files.
    fn scan_files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: &[&LakeFile],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if files.is_empty() {
            return Ok(None);
        }
        let url = ObjectStoreUrl::local_filesystem();
        let runtime = session.runtime_env();
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let global = session.config_options().execution.parquet.clone();
        let layout = Layout::new(&self.schema, self.date_column());
        let source = ParquetSource::new(layout.table.clone())
            .with_table_parquet_options(TableParquetOptions { global, ..Default::default() })
            .with_metadata_size_hint(FOOTER_BYTES)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let parts = files.iter().map(|file| self.partitioned_file(file));
        let groups = FileGroup::new(parts.collect::<Result<Vec<_>>>()?)
            .split_files(session.config().target_partitions());
        // No order is declared: files of one group overlap, and without it
        // groups may share work.
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics(&layout.table, files))
            .with_limit(limit)
            .with_projection_indices(Some(layout.positions(projection)))?
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    fn partitioned_file(&self, file: &LakeFile) -> Result<PartitionedFile> {
        let inner = Path::from_url_path(&file.path)?;
        let last_modified =
            DateTime::from_timestamp_millis(file.modified_at_millis).unwrap_or_default();
        let meta = ObjectMeta {
            location: self.root.parts().chain(inner.parts()).collect(),
            last_modified,
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        let date = ScalarValue::Date32(Some(Date32Type::from_naive_date(file.date)));
        Ok(PartitionedFile::new_from_meta(meta).with_partition_values(vec![date]))
    }

    /// The leg in memory, or `None` without hot rows.
    fn scan_hot(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let batches = self.view.hot.batches().iter();
        let batches: Vec<RecordBatch> = batches
            .filter_map(|batch| (self.source.hot)(batch))
            .filter(|rows| rows.num_rows() > 0)
            .cloned()
            .collect();
        if batches.is_empty() {
            return Ok(None);
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let config = session.config();
        let parts = rows.div_ceil(config.batch_size()).clamp(1, config.target_partitions().max(1));
        let chunk = batches.len().div_ceil(parts);
        let partitions: Vec<Vec<RecordBatch>> = batches.chunks(chunk).map(<[_]>::to_vec).collect();
        let schema = Arc::clone(&self.schema);
        Ok(Some(MemorySourceConfig::try_new_exec(&partitions, schema, projection.cloned())?))
    }
}

#[async_trait]
impl TableProvider for LakeScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters only choose files, row groups and pages here, so DataFusion
    /// applies every one of them again.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = (self.source.files)(&self.view);
        let mut files = prune_files(files, self.date_column(), &self.schema, filters, session);
        // A limit counts rows after the filters, which are not applied here.
        let limit = limit.filter(|_| filters.is_empty());
        if let Some(limit) = limit {
            files = enough_files(files, limit);
        }
        let stored = self.scan_files(session, projection, &files, limit)?;
        let hot = self.scan_hot(session, projection)?;
        match (stored, hot) {
            (Some(stored), Some(hot)) => UnionExec::try_new(vec![stored, hot]),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => {
                let schema = Arc::clone(&self.schema);
                Ok(MemorySourceConfig::try_new_exec(&[vec![]], schema, projection.cloned())?)
            }
        }
    }
}

/// The first files that together hold at least `limit` rows.
fn enough_files(files: Vec<&LakeFile>, limit: usize) -> Vec<&LakeFile> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut rows = 0_u64;
    files
        .into_iter()
        .take_while(|file| {
            let more = rows < limit;
            rows = rows.saturating_add(file.rows);
            more
        })
        .collect()
}

/// Where columns are in a file scan: those of the files first, then the date,
/// which only the folder's name holds.
struct Layout {
    table: TableSchema,
    /// For each column of the table's schema, its position in the file scan.
    position: Vec<usize>,
}

impl Layout {
    fn new(schema: &SchemaRef, date_column: &str) -> Self {
        let is_date = |field: &&Arc<Field>| field.name() == date_column;
        let stored: Vec<_> =
            schema.fields().iter().filter(|field| !is_date(field)).cloned().collect();
        let dates: Vec<_> = schema.fields().iter().filter(is_date).cloned().collect();
        let last = stored.len();
        let mut next = 0..last;
        let position = schema
            .fields()
            .iter()
            .map(|field| if is_date(&field) { last } else { next.next().unwrap_or(last) })
            .collect();
        let stored = Arc::new(Schema::new(stored));
        let table = TableSchema::builder(stored).with_table_partition_cols(dates).build();
        Self { table, position }
    }

    fn positions(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        match projection {
            Some(columns) => columns.iter().map(|column| self.position[*column]).collect(),
            None => self.position.clone(),
        }
    }
}

/// Exact rows and dates of `files`; organizations as bounds only, since their
/// recorded smallest and largest may be shortened.
fn statistics(table: &TableSchema, files: &[&LakeFile]) -> Statistics {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut statistics = Statistics::new_unknown(table.table_schema());
    statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
    statistics.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    let date = |file: Option<&LakeFile>| match file {
        Some(file) => {
            Precision::Exact(ScalarValue::Date32(Some(Date32Type::from_naive_date(file.date))))
        }
        None => Precision::Absent,
    };
    if let Some(dates) = statistics.column_statistics.last_mut() {
        *dates = ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: date(files.iter().copied().min_by_key(|file| file.date)),
            max_value: date(files.iter().copied().max_by_key(|file| file.date)),
            ..ColumnStatistics::new_unknown()
        };
    }
    statistics
}
