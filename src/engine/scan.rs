//! A table of the lake as one [`View`] sees it: its Parquet files, and the hot
//! rows that no file holds yet.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Date32Type, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::harmless::is_harmless;
use super::in_place::{InPlaceReaderFactory, ReadsInPlace};
use super::layout::{Layout, statistics};
use super::prune::{is_selective, prune_files};
use super::texts::{Texts, in_types};
use super::wall::{Owners, tenant_filter};
use crate::access::Reach;
use crate::flush::View;
use crate::hot::HotBatch;
use crate::lake::{LakeFile, TableSnapshot};
use crate::model::{TABLES, TableSpec};

/// Bytes read from a file's end at once: footer and page index of most files.
const FOOTER_BYTES: usize = 512 << 10;

/// Most bytes of a file that are read as one part for a tenant.
const PART_BYTES: u64 = 32 << 20;

/// How a name of SQL is read from a [`View`].
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: &'static str,
    /// Only our own views may use the name.
    pub(super) internal: bool,
    /// Whose its rows are.
    pub(super) owners: Owners,
    pub(super) spec: &'static TableSpec,
    snapshot: fn(&View) -> &TableSnapshot,
    files: fn(&View) -> &[LakeFile],
    hot: fn(&HotBatch) -> Option<&RecordBatch>,
}

/// Every table that is read from files and hot rows.
pub(super) static SOURCES: [Source; 6] = [
    Source {
        name: "usage_events",
        internal: false,
        owners: Owners::ATTRIBUTED,
        spec: &TABLES[0],
        snapshot: |view| &view.events,
        files: |view| &view.events.files,
        hot: |batch| Some(&batch.events),
    },
    Source {
        name: "rejected_events",
        internal: false,
        owners: Owners::ORGANIZATION,
        spec: &TABLES[1],
        snapshot: |view| &view.rejected,
        files: |view| &view.rejected.files,
        hot: |batch| Some(&batch.rejected),
    },
    Source {
        name: "provider_costs",
        internal: false,
        owners: Owners::ORGANIZATION,
        spec: &TABLES[3],
        snapshot: |view| &view.provider_costs,
        files: |view| &view.provider_costs.files,
        hot: |_| None,
    },
    Source {
        name: "sightings",
        internal: false,
        owners: Owners::USER,
        spec: &TABLES[4],
        snapshot: |view| &view.sightings,
        files: |view| &view.sightings.files,
        hot: |batch| Some(&batch.sightings),
    },
    Source {
        name: "usage_daily_files",
        internal: true,
        owners: Owners::ATTRIBUTED,
        spec: &TABLES[2],
        snapshot: |view| &view.daily,
        files: |view| &view.daily.files,
        hot: |_| None,
    },
    Source {
        name: "usage_events_uncovered",
        internal: true,
        owners: Owners::ATTRIBUTED,
        spec: &TABLES[0],
        snapshot: |view| &view.events,
        files: |view| &view.uncovered_files,
        hot: |batch| Some(&batch.events),
    },
];

/// A [`Source`] of one [`View`], as somebody sees it: each row within the
/// reach exactly once.
#[derive(Debug)]
pub(super) struct LakeScan {
    source: &'static Source,
    view: Arc<View>,
    reach: Arc<Reach>,
    schema: SchemaRef,
    /// The table's folder in the local file store.
    root: Path,
}

/// How the files and hot rows of a table are read.
#[derive(Debug, Default)]
pub(super) struct FileRead<'a> {
    pub(super) projection: Option<&'a Vec<usize>>,
    /// Rows that are enough.
    pub(super) limit: Option<usize>,
    /// Rows of files that it refuses need not be read; over the columns of
    /// [`LakeScan::file_scan_schema`]. The partitions are then parts of files
    /// in the order of files.
    pub(super) within: Option<Arc<dyn PhysicalExpr>>,
    /// Whether a filter drops so many rows that the other columns are read
    /// only for those which it keeps.
    pub(super) is_selective: bool,
}

impl LakeScan {
    pub(super) fn new(
        source: &'static Source,
        view: Arc<View>,
        reach: Arc<Reach>,
        texts: Texts,
    ) -> Result<Self> {
        let root = std::path::absolute(&(source.snapshot)(&view).root)?;
        let root = Path::from_absolute_path(root)?;
        let schema = texts.of_table((source.spec.schema)());
        Ok(Self { source, schema, view, reach, root })
    }

    pub(super) fn name(&self) -> &'static str {
        self.source.name
    }

    pub(super) fn files(&self) -> &[LakeFile] {
        (self.source.files)(&self.view)
    }

    /// The columns of a file scan, in their order there.
    pub(super) fn file_scan_schema(&self) -> SchemaRef {
        Arc::clone(Layout::new(&self.schema, self.date_column()).table.table_schema())
    }

    /// Reads `files` and all hot rows.
    pub(super) fn read(
        &self,
        session: &dyn Session,
        read: &FileRead<'_>,
        files: &[&LakeFile],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stored = self.scan_files(session, read, files)?;
        let hot = self.scan_hot(session, read.projection)?;
        match (stored, hot) {
            (Some(stored), Some(hot)) => UnionExec::try_new(vec![stored, hot]),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => {
                let schema = Arc::clone(&self.schema);
                let projection = read.projection.cloned();
                Ok(MemorySourceConfig::try_new_exec(&[vec![]], schema, projection)?)
            }
        }
    }

    pub(super) fn date_column(&self) -> &'static str {
        self.source.spec.partition_column
    }

    /// The Parquet leg, or `None` without files.
    fn scan_files(
        &self,
        session: &dyn Session,
        read: &FileRead<'_>,
        files: &[&LakeFile],
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
        // Behind the wall, a thread that reads by itself would go through files of
        // others before it turns to the other part of a view, and the order of
        // rows would tell how many there are.
        let in_place =
            read.within.is_none() && session.config().get_extension::<ReadsInPlace>().is_some();
        let reader: Arc<dyn ParquetFileReaderFactory> = match in_place {
            true => Arc::new(InPlaceReaderFactory::new(reader)),
            false => Arc::new(reader),
        };
        let global = session.config_options().execution.parquet.clone();
        let layout = Layout::new(&self.schema, self.date_column());
        let mut source = ParquetSource::new(layout.table.clone())
            .with_table_parquet_options(TableParquetOptions { global, ..Default::default() })
            .with_pushdown_filters(read.is_selective)
            .with_metadata_size_hint(FOOTER_BYTES)
            .with_parquet_file_reader_factory(reader);
        let parts = files.iter().map(|file| self.partitioned_file(file));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let groups = match &read.within {
            Some(filter) => {
                source = source.with_predicate(Arc::clone(filter));
                parts.iter().flat_map(pieces).map(|piece| FileGroup::new(vec![piece])).collect()
            }
            // No order is declared: files of one group overlap, and without it
            // groups may share work.
            None => FileGroup::new(parts).split_files(session.config().target_partitions()),
        };
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_preserve_order(read.within.is_some())
            .with_statistics(statistics(&layout.table, files))
            .with_limit(read.limit)
            .with_projection_indices(Some(layout.positions(read.projection)))?
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
        let projected = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let project = |batch: RecordBatch| {
            let batch = match projection {
                Some(columns) => batch.project(columns)?,
                None => batch,
            };
            in_types(batch, &projected)
        };
        let batches = batches.into_iter().map(project).collect::<Result<Vec<_>, _>>()?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let config = session.config();
        let parts = rows.div_ceil(config.batch_size()).clamp(1, config.target_partitions().max(1));
        let chunk = batches.len().div_ceil(parts);
        let partitions: Vec<Vec<RecordBatch>> = batches.chunks(chunk).map(<[_]>::to_vec).collect();
        Ok(Some(MemorySourceConfig::try_new_exec(&partitions, projected, None)?))
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

    /// Where everything is within reach, filters only choose files, row groups
    /// and pages here, and DataFusion applies every one of them again. Else
    /// those that are harmless are applied behind the tenant wall, and no other
    /// is even looked at there.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let everything = *self.reach == Reach::Everything;
        let verdict = |filter: &&Expr| match (everything, is_harmless(filter, &self.schema)) {
            (true, _) => TableProviderFilterPushDown::Inexact,
            (false, true) => TableProviderFilterPushDown::Exact,
            (false, false) => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(verdict).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(tenant) = tenant_filter(&self.reach, &self.source.owners) {
            return self.scan_within(session, projection, tenant, filters, limit);
        }
        let mut files =
            prune_files(self.files(), self.date_column(), &self.schema, filters, session);
        // A limit counts rows after the filters, which are not applied here.
        let limit = limit.filter(|_| filters.is_empty());
        if let Some(limit) = limit {
            files = enough_files(files, limit);
        }
        let is_selective = filters.iter().any(is_selective);
        self.read(session, &FileRead { projection, limit, within: None, is_selective }, &files)
    }
}

/// A large file in ranges of bytes, each of which is read for the row groups
/// whose middle lies in it.
fn pieces(file: &PartitionedFile) -> Vec<PartitionedFile> {
    let bytes = file.object_meta.size;
    let count = bytes.div_ceil(PART_BYTES).max(1);
    let at = |piece: u64| i64::try_from(piece.saturating_mul(PART_BYTES).min(bytes));
    let piece = |piece| match (at(piece), at(piece + 1)) {
        (Ok(start), Ok(end)) if count > 1 => file.clone().with_range(start, end),
        _ => file.clone(),
    };
    (0..count).map(piece).collect()
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
