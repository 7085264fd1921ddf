//! One Delta table: opening it, reading it, and appending to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use deltalake::DeltaTable;
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::commit::Change;
use super::encoding::Effort;
use super::files::{FileBatches, TableFolder, WrittenFile};
use super::open::{self, LakeOptions, Storage};
use super::snapshot::{self, LakeFile, TableSnapshot};
use crate::error::{Context, ErrorKind, Result};
use crate::model::TableSpec;

/// What an application has put into a table: `version` grows with each of
/// its commits and says how far its source has been taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Names the source, for instance one write-ahead log.
    pub application: String,
    /// How far it has been taken over, for instance a sequence number.
    pub version: i64,
}

/// One Delta table, kept loaded and advanced after each of its own commits.
#[derive(Debug)]
pub struct LakeTable {
    pub(super) folder: TableFolder,
    pub(super) options: LakeOptions,
    /// Serialises the rewrites of all tables.
    pub(super) lease: Arc<Mutex<()>>,
    pub(super) writer: Mutex<Writer>,
    snapshot: ArcSwap<TableSnapshot>,
}

/// The one writer's state.
pub(super) struct Writer {
    pub(super) table: DeltaTable,
    /// Transaction versions read since the last reload.
    pub(super) transactions: HashMap<String, Option<i64>>,
    /// A commit was begun whose end was not seen: the task may have been
    /// dropped in the middle. Nothing in memory may be believed.
    pub(super) uncertain: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Writer")
            .field("version", &self.table.version())
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) async fn reload(&mut self) -> Result<()> {
        self.table = open::load(self.table.log_store()).await?;
        self.transactions.clear();
        self.uncertain = false;
        Ok(())
    }

    /// Transaction versions are read from the log again: others may have
    /// committed.
    pub(super) fn forget_transactions(&mut self) {
        self.transactions.clear();
    }

    pub(super) async fn transaction_version(&mut self, application: &str) -> Result<Option<i64>> {
        if let Some(known) = self.transactions.get(application) {
            return Ok(*known);
        }
        let log_store = self.table.log_store();
        let state = self.table.snapshot().internal("the table is not loaded")?;
        let version = state
            .transaction_version(log_store.as_ref(), application)
            .await
            .context(ErrorKind::Unavailable, "cannot read a transaction from the Delta log")?;
        self.transactions.insert(application.to_owned(), version);
        Ok(version)
    }
}

impl LakeTable {
    /// Opens the table of `spec` in the folder `root`, creating it where
    /// there is none.
    pub async fn open_or_create(
        root: &Path,
        spec: &'static TableSpec,
        options: LakeOptions,
    ) -> Result<Self> {
        Self::open_with(root, spec, options, Storage::local(), Arc::default()).await
    }

    pub(super) async fn open_with(
        root: &Path,
        spec: &'static TableSpec,
        options: LakeOptions,
        storage: Storage,
        lease: Arc<Mutex<()>>,
    ) -> Result<Self> {
        let (root, table) = open::open_or_create(root, spec, &options, &storage).await?;
        let snapshot = snapshot::of_table(&root, spec, &table)?;
        let target_file_bytes = options.target_file_bytes;
        Ok(Self {
            folder: TableFolder { root, spec, disk: storage.disk, target_file_bytes },
            options,
            lease,
            writer: Mutex::new(Writer { table, transactions: HashMap::new(), uncertain: false }),
            snapshot: ArcSwap::from_pointee(snapshot),
        })
    }

    /// The table's name, columns and order.
    pub fn spec(&self) -> &'static TableSpec {
        self.folder.spec
    }

    /// The table's folder.
    pub fn root(&self) -> &PathBuf {
        &self.folder.root
    }

    /// The files as of the last commit that this process made or saw.
    pub fn snapshot(&self) -> Arc<TableSnapshot> {
        self.snapshot.load_full()
    }

    /// Reads `file` batch by batch, in the table's columns or those of
    /// `columns`, in the order of the table's schema. Blocks: call it where
    /// blocking is allowed.
    pub fn read_file(&self, file: &LakeFile, columns: Option<&[&str]>) -> Result<FileBatches> {
        self.folder.read(file, columns)
    }

    /// How far `application` has been taken over; `None` before its first
    /// commit.
    pub async fn transaction_version(&self, application: &str) -> Result<Option<i64>> {
        self.lock().await?.transaction_version(application).await
    }

    /// Catches up with commits by other processes.
    pub async fn refresh(&self) -> Result<Arc<TableSnapshot>> {
        let mut writer = self.lock().await?;
        let before = writer.table.version();
        let doing = "cannot read the Delta log";
        writer.table.update_state().await.context(ErrorKind::Unavailable, doing)?;
        if writer.table.version() != before {
            writer.forget_transactions();
            return self.publish_loaded(&writer);
        }
        Ok(self.snapshot())
    }

    /// Adds `batches`, which have the table's columns, and `transaction` in
    /// one commit. What the table already holds by its transactions is not
    /// added again, whatever `batches` has. No rows still move the
    /// transaction's version.
    ///
    /// After an error of kind `Unavailable` nothing was added, or the disk
    /// failed and only a restart can tell.
    pub async fn append(
        &self,
        batches: Vec<RecordBatch>,
        transaction: Transaction,
    ) -> Result<Arc<TableSnapshot>> {
        let mut writer = self.lock().await?;
        let held = writer.transaction_version(&transaction.application).await?;
        if held.is_some_and(|held| held >= transaction.version) {
            return Ok(self.snapshot());
        }
        // The same rows get the same names, so a repeated attempt replaces
        // the files of one that did not get as far as its commit.
        let application = xxh3_64(transaction.application.as_bytes());
        let name = format!("{application:016x}-{}", transaction.version);
        let add = self.write(batches, name).await?;
        let change =
            Change { remove: vec![], add, transaction: Some(transaction), data_change: true };
        self.commit(&mut writer, change).await
    }

    pub(super) async fn lock(&self) -> Result<tokio::sync::MutexGuard<'_, Writer>> {
        let mut writer = self.writer.lock().await;
        self.folder.disk.check()?;
        if writer.uncertain {
            writer.reload().await?;
            self.publish_loaded(&writer)?;
        }
        Ok(writer)
    }

    /// Writes sorted files in the background.
    pub(super) async fn write(
        &self,
        batches: Vec<RecordBatch>,
        name: String,
    ) -> Result<Vec<WrittenFile>> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Vec::new());
        }
        let folder = self.folder.clone();
        in_background(move || folder.write(&batches, &name, Effort::Append)).await
    }

    pub(super) fn publish_loaded(&self, writer: &Writer) -> Result<Arc<TableSnapshot>> {
        let snapshot = snapshot::of_table(&self.folder.root, self.folder.spec, &writer.table)?;
        Ok(self.publish(snapshot))
    }

    pub(super) fn publish(&self, snapshot: TableSnapshot) -> Arc<TableSnapshot> {
        let snapshot = Arc::new(snapshot);
        self.snapshot.store(Arc::clone(&snapshot));
        snapshot
    }
}

/// Runs CPU or disk work where it does not hold up the asynchronous tasks.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.internal("a background task of the lake stopped")?
}
