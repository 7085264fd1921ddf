//! Upkeep off the commit path: checkpoints, log cleanup, and vacuum.

use std::collections::HashSet;
use std::fs::DirEntry;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use deltalake::checkpoints;
use futures::TryStreamExt;

use super::table::{LakeTable, in_background};
use crate::error::{Context, ErrorKind, Result};

impl LakeTable {
    /// Writes a checkpoint of the current version, so that opening the table
    /// reads one file instead of every commit, and removes the part of the
    /// log that is older than its retention.
    pub async fn checkpoint_and_clean_log(&self) -> Result<()> {
        let table = self.lock().await?.table.clone();
        let name = self.spec().name;
        let doing = format!("the Delta log of {name} cannot be cleaned up");
        let runtime = tokio::runtime::Handle::current();
        // The library encodes the checkpoint in place, so not on a worker.
        in_background(move || {
            runtime
                .block_on(checkpoints::create_checkpoint(&table, None))
                .context(ErrorKind::Unavailable, format!("no checkpoint of {name} can be written"))
        })
        .await?;
        let mut writer = self.lock().await?;
        let removed = checkpoints::cleanup_metadata(&writer.table, None)
            .await
            .context(ErrorKind::Unavailable, &doing)?;
        tracing::debug!(table = name, removed, "wrote a checkpoint and cleaned the log");
        // The loaded state still refers to commits that may be gone.
        writer.reload().await?;
        self.publish_loaded(&writer)?;
        Ok(())
    }

    /// Removes files that no reader can need any more: replaced longer than
    /// `older_than` before `now`, or left behind that long ago by a write
    /// that never reached its commit. Answers their paths.
    pub async fn vacuum(&self, older_than: TimeDelta, now: DateTime<Utc>) -> Result<Vec<String>> {
        self.remove_before((now - older_than).timestamp_millis()).await
    }

    /// Removes every file that the current version does not need, however
    /// young: readers of older versions fail from now on. Answers their paths.
    pub async fn purge(&self) -> Result<Vec<String>> {
        self.remove_before(i64::MAX).await
    }

    async fn remove_before(&self, before_millis: i64) -> Result<Vec<String>> {
        // With the lease and the writer held no file is being written, so
        // what is in no commit now will never be in one.
        let _lease = self.lease.lock().await;
        let mut writer = self.lock().await?;
        let doing = format!("{} cannot be vacuumed", self.spec().name);
        writer.table.update_state().await.context(ErrorKind::Unavailable, &doing)?;
        writer.forget_transactions();
        let snapshot = self.publish_loaded(&writer)?;
        let state = writer.table.snapshot().internal("the table is not loaded")?;
        let log_store = writer.table.log_store();
        let recent: Vec<String> = state
            .all_tombstones(log_store.as_ref())
            .try_filter_map(|removed| async move {
                // A tombstone without its time keeps the file.
                let at = removed.deletion_timestamp().unwrap_or(i64::MAX - 1);
                Ok((at > before_millis).then(|| removed.path().into_owned()))
            })
            .try_collect()
            .await
            .context(ErrorKind::Unavailable, &doing)?;
        let mut keep: HashSet<String> = recent.into_iter().collect();
        keep.extend(snapshot.files.iter().map(|file| file.path.clone()));
        let (root, column) = (self.folder.root.clone(), self.spec().partition_column);
        in_background(move || {
            remove_unneeded(&root, column, &keep, before_millis)
                .context(ErrorKind::Unavailable, doing)
        })
        .await
    }
}

fn remove_unneeded(
    root: &Path,
    partition_column: &str,
    keep: &HashSet<String>,
    before_millis: i64,
) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for folder in std::fs::read_dir(root)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let partition = name.split_once('=').is_some_and(|(column, _)| column == partition_column);
        if !partition || !folder.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder.path())? {
            let file = file?;
            let path = format!("{name}/{}", file.file_name().to_string_lossy());
            let ours = path.ends_with(".parquet") || path.ends_with(".parquet.new");
            if ours && !keep.contains(&path) && written_before(&file, before_millis)? {
                std::fs::remove_file(file.path())?;
                removed.push(path);
            }
        }
    }
    removed.sort();
    Ok(removed)
}

fn written_before(file: &DirEntry, before_millis: i64) -> io::Result<bool> {
    let modified: DateTime<Utc> = file.metadata()?.modified()?.into();
    Ok(modified.timestamp_millis() <= before_millis)
}
