//! Rewrites: replacing files of a table, and compacting one date.
//!
//! Two rewrites of the same files would both be let through by the library
//! and double the rows. Here they run one after the other under a lease, each
//! checks that its inputs are still active, and each commits only on top of
//! the very version it was checked against.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use uuid::{NoContext, Timestamp, Uuid};

use super::commit::Change;
use super::encoding::Effort;
use super::files::{TableFolder, WrittenFile};
use super::snapshot::{LakeFile, TableSnapshot};
use super::sort::{Merge, SortedBatches};
use super::table::{LakeTable, Transaction, in_background};
use crate::error::{Error, Result};

/// Files merged by one compaction: bounds memory and open files. With more,
/// the smallest go first and the outcome says that more is to be done.
pub const COMPACT_INPUTS_MAX: usize = 64;

/// What one compaction did.
#[derive(Debug, Clone)]
pub struct CompactionOutcome {
    /// The table afterwards.
    pub snapshot: Arc<TableSnapshot>,
    /// Files read and replaced; 0 when there was nothing to do.
    pub files_removed: usize,
    /// Files written.
    pub files_added: usize,
    /// Bytes of the files read.
    pub bytes_removed: u64,
    /// Bytes of the files written.
    pub bytes_added: u64,
    /// Rows of the files written.
    pub rows: u64,
    /// Whether the date has small files left for another call.
    pub more: bool,
}

/// How rows that mean one thing together become one row.
pub trait RowMerge: Debug + Send + Sync {
    /// Merges rows of equal grain; the order of the answer does not matter.
    fn merge(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>>;

    /// A sum that merging must not change, for instance of `entries`.
    fn total(&self, batches: &[RecordBatch]) -> Result<i128>;
}

impl LakeTable {
    /// Removes the files of `remove` and adds `batches` in one commit that
    /// says that rows changed. With a transaction that the table already
    /// holds, nothing happens.
    ///
    /// `remove` comes from the snapshot that `batches` was computed from; an
    /// error of kind `Busy` says that one of them was rewritten meanwhile:
    /// compute again.
    pub async fn replace(
        &self,
        remove: Vec<LakeFile>,
        batches: Vec<RecordBatch>,
        transaction: Option<Transaction>,
    ) -> Result<Arc<TableSnapshot>> {
        let _lease = self.lease.lock().await;
        if let Some(transaction) = &transaction {
            let held = self.transaction_version(&transaction.application).await?;
            if held.is_some_and(|held| held >= transaction.version) {
                return Ok(self.snapshot());
            }
        }
        let name = self.rewrite_name();
        let add = self.write(batches, name).await?;
        let mut writer = self.lock().await?;
        self.commit(&mut writer, Change { remove, add, transaction, data_change: true }).await
    }

    /// Rewrites the files of `date` that are smaller than half the target
    /// size into files of that size, in the table's sort order. The rows stay the same, which is checked by
    /// their count before the commit.
    pub async fn compact(&self, date: NaiveDate) -> Result<CompactionOutcome> {
        self.compact_with(date, |folder, inputs, date, name| {
            let files = merge_files(folder, inputs, date, name)?;
            check_total(
                folder,
                inputs.iter().map(|file| i128::from(file.rows)).sum(),
                files.iter().map(|file| i128::from(file.rows)).sum(),
            )?;
            Ok(files)
        })
        .await
    }

    /// As [`Self::compact`], for tables whose rows of equal grain add up.
    /// Reads the small files of `date` into memory; `rows.total` must be the
    /// same before and after.
    pub async fn compact_merged(
        &self,
        date: NaiveDate,
        rows: Arc<dyn RowMerge>,
    ) -> Result<CompactionOutcome> {
        self.compact_with(date, move |folder, inputs, _date, name| {
            let mut batches = Vec::new();
            for file in inputs {
                for batch in folder.read(file, None)? {
                    batches.push(batch?);
                }
            }
            let before = rows.total(&batches)?;
            let merged = rows.merge(batches)?;
            check_total(folder, before, rows.total(&merged)?)?;
            folder.write(&merged, name, Effort::Rewrite)
        })
        .await
    }

    /// A name that no other rewrite has, not even one by another process:
    /// whether a rewrite landed is told by its files.
    fn rewrite_name(&self) -> String {
        let now = self.options.clock.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let time = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        format!("rewrite-{}", Uuid::new_v7(time))
    }

    async fn compact_with(
        &self,
        date: NaiveDate,
        rewrite: impl FnOnce(&TableFolder, &[LakeFile], NaiveDate, &str) -> Result<Vec<WrittenFile>>
        + Send
        + 'static,
    ) -> Result<CompactionOutcome> {
        let _lease = self.lease.lock().await;
        let snapshot = self.snapshot();
        let (inputs, more) = inputs(snapshot.files_of(date), self.options.target_file_bytes);
        if inputs.len() < 2 {
            return Ok(CompactionOutcome {
                snapshot,
                files_removed: 0,
                files_added: 0,
                bytes_removed: 0,
                bytes_added: 0,
                rows: 0,
                more: false,
            });
        }
        let name = self.rewrite_name();
        let folder = self.folder.clone();
        let work = move || rewrite(&folder, &inputs, date, &name).map(|files| (inputs, files));
        let (remove, add) = in_background(work).await?;
        let mut outcome = CompactionOutcome {
            snapshot,
            files_removed: remove.len(),
            files_added: add.len(),
            bytes_removed: remove.iter().map(|file| file.bytes).sum(),
            bytes_added: add.iter().map(|file| file.bytes).sum(),
            rows: add.iter().map(|file| file.rows).sum(),
            more,
        };
        let mut writer = self.lock().await?;
        let change = Change { remove, add, transaction: None, data_change: false };
        outcome.snapshot = self.commit(&mut writer, change).await?;
        Ok(outcome)
    }
}

/// Which of a date's files to compact, and whether small ones are left over.
fn inputs(files: &[LakeFile], target_file_bytes: u64) -> (Vec<LakeFile>, bool) {
    // A file is closed by an estimate of its size and may end up below the
    // target; it must not be rewritten for that again and again.
    let mut small: Vec<&LakeFile> =
        files.iter().filter(|file| file.bytes < target_file_bytes / 2).collect();
    small.sort_by_key(|file| (file.bytes, &file.path));
    let more = small.len() > COMPACT_INPUTS_MAX;
    (small.into_iter().take(COMPACT_INPUTS_MAX).cloned().collect(), more)
}

fn merge_files(
    folder: &TableFolder,
    inputs: &[LakeFile],
    date: NaiveDate,
    name: &str,
) -> Result<Vec<WrittenFile>> {
    let inputs = inputs.iter().map(|file| {
        let rows: SortedBatches = Box::new(folder.read(file, None)?);
        Ok((file.path.clone(), rows))
    });
    let schema = (folder.spec.schema)();
    let merge = Merge::new(&schema, folder.spec.sort_columns, inputs.collect::<Result<_>>()?)?;
    folder.write_sorted(date, merge, name, Effort::Rewrite)
}

fn check_total(folder: &TableFolder, before: i128, after: i128) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let table = folder.spec.name;
    Err(Error::internal(format!(
        "compacting {table} would turn {before} into {after}; nothing was committed; \
         `spendlake verify` compares the table with its files"
    )))
}
