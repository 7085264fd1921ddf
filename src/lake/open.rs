//! Opening and creating Delta tables.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{StructField, StructType};
use deltalake::logstore::{LogStoreRef, commit_uri_from_version};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, TableProperty};
use object_store::ObjectStore;
use url::Url;

use super::durable::{DurableDisk, SystemDisk};
use super::stats::stats_columns;
use super::store::SyncedStore;
use crate::clock::Clock;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::model::TableSpec;

/// How the tables are kept.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// Size at which a data file is closed and the next begun, bytes.
    pub target_file_bytes: u64,
    /// Days that the Delta log keeps its history.
    pub log_retention_days: u32,
    /// Hours for which the log remembers replaced files: at least as long as
    /// vacuum leaves them readable.
    pub tombstone_retention_hours: u32,
    /// The time that commits are stamped with.
    pub clock: Arc<dyn Clock>,
}

impl LakeOptions {
    /// The usual sizes and retentions.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            target_file_bytes: 128 << 20,
            log_retention_days: 30,
            tombstone_retention_hours: 168,
            clock,
        }
    }

    fn properties(&self, spec: &TableSpec) -> HashMap<String, String> {
        let schema = (spec.schema)();
        let days = self.log_retention_days;
        let hours = self.tombstone_retention_hours;
        [
            (TableProperty::DataSkippingStatsColumns, stats_columns(&schema)),
            (TableProperty::LogRetentionDuration, format!("interval {days} days")),
            (TableProperty::DeletedFileRetentionDuration, format!("interval {hours} hours")),
        ]
        .into_iter()
        .map(|(property, value)| (property.as_ref().to_owned(), value))
        .collect()
    }
}

/// Where files go; tests put counting and failing parts here.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) disk: Arc<DurableDisk>,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl Storage {
    /// The local file system, synced.
    pub(crate) fn local() -> Self {
        let disk = Arc::new(DurableDisk::new(Arc::new(SystemDisk)));
        let store = Arc::new(SyncedStore::new(Arc::clone(&disk)));
        Self { disk, store }
    }
}

/// The latest state of the table that `log_store` belongs to.
pub(super) async fn load(log_store: LogStoreRef) -> Result<DeltaTable> {
    let mut table = DeltaTable::new(log_store);
    let url = table.table_url().clone();
    table
        .load()
        .await
        .context(ErrorKind::Unavailable, format!("the Delta table at {url} cannot be read"))?;
    Ok(table)
}

/// Opens or creates the table in `root`; answers the folder's full path too.
pub(super) async fn open_or_create(
    root: &Path,
    spec: &'static TableSpec,
    options: &LakeOptions,
    storage: &Storage,
) -> Result<(PathBuf, DeltaTable)> {
    let root = create_root(root, &storage.disk)?;
    let invalid = || Error::invalid(format!("{} cannot be the folder of a table", root.display()));
    let url = Url::from_directory_path(&root).map_err(|()| invalid())?;
    let table = DeltaTableBuilder::from_url(url.clone())
        .map(|builder| builder.with_storage_backend(Arc::clone(&storage.store), url))
        .and_then(DeltaTableBuilder::build)
        .internal("cannot set up a Delta table")?;
    let doing = format!("the Delta table in {} cannot be opened", root.display());
    let exists =
        table.verify_deltatable_existence().await.context(ErrorKind::Unavailable, &doing)?;
    if !exists {
        let table = create(&table, spec, options).await?;
        return Ok((root, table));
    }
    let table = load(table.log_store()).await?;
    sync_last_commit(&root, &table, &storage.disk).context(ErrorKind::Unavailable, &doing)?;
    let table = set_properties(table, spec, options).await?;
    Ok((root, table))
}

fn create_root(root: &Path, disk: &DurableDisk) -> Result<PathBuf> {
    let doing = format!("cannot create {}", root.display());
    let root = std::path::absolute(root).context(ErrorKind::Invalid, &doing)?;
    disk.create_directory(Path::new("/"), &root).context(ErrorKind::Unavailable, &doing)?;
    root.canonicalize().context(ErrorKind::Unavailable, doing)
}

async fn create(
    table: &DeltaTable,
    spec: &'static TableSpec,
    options: &LakeOptions,
) -> Result<DeltaTable> {
    let schema: StructType =
        (spec.schema)().as_ref().try_into_kernel().internal("a schema that Delta does not know")?;
    let columns: Vec<StructField> = schema.fields().cloned().collect();
    let properties = options.properties(spec).into_iter().map(|(name, value)| (name, Some(value)));
    table
        .create()
        .with_table_name(spec.name)
        .with_columns(columns)
        .with_partition_columns([spec.partition_column])
        .with_configuration(properties)
        .with_save_mode(SaveMode::Ignore)
        .await
        .context(ErrorKind::Unavailable, format!("the table {} cannot be created", spec.name))
}

/// The last commit may have been named but not yet synced by a process that
/// was killed; what it says must be durable before anybody relies on it.
fn sync_last_commit(root: &Path, table: &DeltaTable, disk: &DurableDisk) -> std::io::Result<()> {
    let log = root.join("_delta_log");
    let commit = root.join(commit_uri_from_version(table.version()).as_ref());
    if let Ok(file) = std::fs::File::open(&commit) {
        disk.sync_file(&file, &commit)?;
    }
    disk.sync_directory(&log)
}

/// Brings the table's retentions in line with the settings.
async fn set_properties(
    table: DeltaTable,
    spec: &'static TableSpec,
    options: &LakeOptions,
) -> Result<DeltaTable> {
    let state = table.snapshot().internal("the table is not loaded")?;
    let current = state.metadata().configuration().clone();
    let wanted = options.properties(spec);
    if wanted.iter().all(|(name, value)| current.get(name) == Some(value)) {
        return Ok(table);
    }
    let commit = CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    table
        .set_tbl_properties()
        .with_properties(wanted)
        .with_commit_properties(commit)
        .await
        .context(ErrorKind::Unavailable, format!("the settings of {} cannot be changed", spec.name))
}
