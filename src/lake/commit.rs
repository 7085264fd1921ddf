//! The commit that every change of a table goes through.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Remove, Transaction as DeltaTransaction};
use deltalake::protocol::{DeltaOperation, SaveMode};

use super::files::WrittenFile;
use super::snapshot::{LakeFile, TableSnapshot};
use super::table::{LakeTable, Transaction, Writer};
use crate::error::{Context, Error, ErrorKind, Result};

/// Commits by others that an append may find in its way before it gives up.
const APPEND_RETRIES: usize = 15;

/// A change that is ready to be committed.
pub(super) struct Change {
    pub(super) remove: Vec<LakeFile>,
    pub(super) add: Vec<WrittenFile>,
    pub(super) transaction: Option<Transaction>,
    /// False when the rows stay the same and only their files change.
    pub(super) data_change: bool,
}

impl LakeTable {
    /// Commits `change` once, and answers whether it is in the table: an
    /// error of the library leaves that open, the table's log decides.
    pub(super) async fn commit(
        &self,
        writer: &mut Writer,
        change: Change,
    ) -> Result<Arc<TableSnapshot>> {
        self.folder.disk.check()?;
        self.check_still_active(&change)?;
        writer.uncertain = true;
        let now_millis = self.options.clock.now().timestamp_millis();
        let log_store = writer.table.log_store();
        let state = writer.table.snapshot().internal("the table is not loaded")?;
        let built = CommitBuilder::from(commit_properties(&change))
            .with_actions(self.actions(&change, now_millis))
            .build(Some(state), log_store, self.operation(&change));
        match built.await {
            Ok(done) => {
                let previous = self.snapshot();
                writer.table.state = Some(done.snapshot());
                writer.uncertain = false;
                if let Some(transaction) = change.transaction.clone() {
                    writer.transactions.insert(transaction.application, Some(transaction.version));
                }
                let version =
                    i64::try_from(done.version()).internal("a Delta version beyond 2^63")?;
                if version != previous.version + 1 {
                    // Others have committed in between.
                    writer.transactions.clear();
                    return self.publish_loaded(writer);
                }
                Ok(self.publish(advanced(&previous, version, change, now_millis)))
            }
            Err(error) => self.after_error(writer, change, error).await,
        }
    }

    /// Finds out whether a commit landed whose call returned an error.
    async fn after_error(
        &self,
        writer: &mut Writer,
        change: Change,
        error: deltalake::DeltaTableError,
    ) -> Result<Arc<TableSnapshot>> {
        // What a failed sync left behind may be gone after a power cut, even
        // if it can be read now.
        self.folder.disk.check()?;
        writer.reload().await?;
        let snapshot = self.publish_loaded(writer)?;
        let landed = match &change.transaction {
            Some(transaction) => writer
                .transaction_version(&transaction.application)
                .await?
                .is_some_and(|held| held >= transaction.version),
            None => is_in(&change, &snapshot),
        };
        let table = self.folder.spec.name;
        if landed {
            tracing::warn!(table, %error, "a commit returned an error, but the table holds it");
            return Ok(snapshot);
        }
        let message = format!("the commit to {table} failed and left nothing in it; try again");
        Err(Error::unavailable(message).caused_by(error))
    }

    /// Removing a file that is no longer active would let a second rewrite
    /// of the same rows through, which doubles them: the library does not
    /// look.
    fn check_still_active(&self, change: &Change) -> Result<()> {
        let snapshot = self.snapshot();
        for file in &change.remove {
            if !snapshot.contains(file) {
                let table = self.folder.spec.name;
                let message = format!(
                    "{table}: {} was replaced by another rewrite meanwhile; take a new snapshot \
                     and start again",
                    file.path
                );
                return Err(Error::new(ErrorKind::Busy, message));
            }
        }
        Ok(())
    }

    fn actions(&self, change: &Change, now_millis: i64) -> Vec<Action> {
        let partition = |date: NaiveDate| {
            HashMap::from([(self.folder.spec.partition_column.to_owned(), Some(date.to_string()))])
        };
        let removes = change.remove.iter().map(|file| {
            Action::Remove(Remove {
                path: file.path.clone(),
                data_change: change.data_change,
                deletion_timestamp: Some(now_millis),
                extended_file_metadata: Some(true),
                partition_values: Some(partition(file.date)),
                size: i64::try_from(file.bytes).ok(),
                ..Remove::default()
            })
        });
        let adds = change.add.iter().map(|file| {
            Action::Add(Add {
                path: file.path.clone(),
                partition_values: partition(file.date),
                size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
                modification_time: now_millis,
                data_change: change.data_change,
                stats: Some(file.stats.clone()),
                ..Add::default()
            })
        });
        removes.chain(adds).collect()
    }

    fn operation(&self, change: &Change) -> DeltaOperation {
        if change.data_change {
            let partition_by = Some(vec![self.folder.spec.partition_column.to_owned()]);
            let mode =
                if change.remove.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
            return DeltaOperation::Write { mode, partition_by, predicate: None };
        }
        let target_size = i64::try_from(self.options.target_file_bytes).unwrap_or(i64::MAX);
        DeltaOperation::Optimize { predicate: None, target_size }
    }
}

/// The snapshot after a commit that nobody else's came before.
fn advanced(
    previous: &TableSnapshot,
    version: i64,
    change: Change,
    now_millis: i64,
) -> TableSnapshot {
    let added = change.add.into_iter().map(|file| LakeFile {
        path: file.path,
        bytes: file.bytes,
        rows: file.rows,
        date: file.date,
        organizations: file.organizations,
        event_times: file.event_times,
        modified_at_millis: now_millis,
    });
    previous.advanced(version, &change.remove, added)
}

/// No checkpoint and no log cleanup within the commit: they cost time, and
/// their failure would look like a failure of the commit.
fn commit_properties(change: &Change) -> CommitProperties {
    let blind = change.remove.is_empty();
    let transactions = change
        .transaction
        .iter()
        .map(|transaction| DeltaTransaction::new(&transaction.application, transaction.version));
    CommitProperties::default()
        .with_application_transactions(transactions.collect())
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
        // A rewrite is right only on top of the version it was checked
        // against; an append is right on top of any.
        .with_max_retries(if blind { APPEND_RETRIES } else { 0 })
        .with_metadata([("isBlindAppend".to_owned(), blind.into())])
}

/// Whether `snapshot` shows the outcome of `change`, whose paths are unique.
fn is_in(change: &Change, snapshot: &TableSnapshot) -> bool {
    let active: HashSet<&str> = snapshot.files.iter().map(|file| file.path.as_str()).collect();
    change.add.iter().all(|file| active.contains(file.path.as_str()))
        && !change.remove.iter().any(|file| active.contains(file.path.as_str()))
}
