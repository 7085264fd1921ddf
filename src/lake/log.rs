//! Reading the commits of a Delta log: what changed after a version.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::NaiveDate;
use deltalake::kernel::{Add, Remove};
use serde::Deserialize;

use super::snapshot::{LakeFile, partition_date};
use super::stats::read_stats;
use super::table::LakeTable;
use crate::error::{Context, Error, ErrorKind, Result};

/// What commits changed in the rows of a table. Compactions do not appear:
/// they change no rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LakeChanges {
    /// The last version that was looked at.
    pub version: i64,
    /// Files that brought rows and that no later change of rows removed, in
    /// the order of their commits. A compaction may have replaced them since;
    /// they can be read until vacuum removes them.
    pub files: Vec<LakeFile>,
    /// Dates of which rows were removed or replaced: what was summed from
    /// them before is no longer right, and has to be computed anew from all
    /// active files of the date.
    pub replaced_dates: BTreeSet<NaiveDate>,
}

#[derive(Deserialize)]
struct LogLine {
    add: Option<Add>,
    remove: Option<Remove>,
}

impl LakeTable {
    /// What the commits after `version`, up to the current snapshot, changed.
    ///
    /// An error of kind `NotFound` says that the log no longer reaches back
    /// to `version`: rebuild from all files instead.
    pub async fn changes_since(&self, version: i64) -> Result<LakeChanges> {
        let log_store = self.lock().await?.table.log_store();
        let current = self.snapshot().version;
        let table = self.spec().name;
        if version > current {
            let message = format!(
                "{table} is at version {current}, so nothing can have changed since version \
                 {version}; was the table's folder replaced by an older one?"
            );
            return Err(Error::invalid(message));
        }
        let mut changes = Changes::default();
        for version in version + 1..=current {
            let doing = format!("cannot read version {version} of {table}");
            let number = u64::try_from(version).internal(&doing)?;
            let commit = log_store.read_commit_entry(number).await;
            let commit = commit.context(ErrorKind::Unavailable, &doing)?.ok_or_else(|| {
                Error::not_found(format!(
                    "version {version} is no longer in the log of {table}; rebuild what depends \
                     on it from the table's files"
                ))
            })?;
            changes.apply(self.spec().partition_column, &commit)?;
        }
        Ok(LakeChanges {
            version: current,
            files: changes.files.into_values().collect(),
            replaced_dates: changes.replaced_dates,
        })
    }

    /// The files of [`Self::changes_since`]. An error of kind `Invalid` says
    /// that rows were replaced as well, so that the files alone would mislead.
    pub async fn added_since(&self, version: i64) -> Result<Vec<LakeFile>> {
        let changes = self.changes_since(version).await?;
        match changes.replaced_dates.first() {
            None => Ok(changes.files),
            Some(date) => Err(Error::invalid(format!(
                "rows of {date} were replaced since version {version} of {}; use changes_since",
                self.spec().name
            ))),
        }
    }
}

#[derive(Default)]
struct Changes {
    /// By the order of arrival.
    files: BTreeMap<usize, LakeFile>,
    arrivals: usize,
    replaced_dates: BTreeSet<NaiveDate>,
}

impl Changes {
    fn apply(&mut self, partition_column: &str, commit: &Bytes) -> Result<()> {
        for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: LogLine = serde_json::from_slice(line).internal("a damaged commit")?;
            if let Some(remove) = line.remove.filter(|remove| remove.data_change) {
                let values = remove.partition_values.unwrap_or_default();
                let date = values.get(partition_column).and_then(Option::as_deref);
                self.replaced_dates.insert(partition_date(&remove.path, date)?);
                self.files.retain(|_, file| file.path != remove.path);
            }
            if let Some(add) = line.add.filter(|add| add.data_change) {
                self.files.insert(self.arrivals, file_of(add, partition_column)?);
                self.arrivals += 1;
            }
        }
        Ok(())
    }
}

fn file_of(add: Add, partition_column: &str) -> Result<LakeFile> {
    let stats = read_stats(&add.path, add.stats.as_deref())?;
    let date = add.partition_values.get(partition_column).and_then(Option::as_deref);
    Ok(LakeFile {
        bytes: u64::try_from(add.size).unwrap_or_default(),
        rows: stats.rows,
        date: partition_date(&add.path, date)?,
        organizations: stats.organizations,
        event_times: stats.event_times,
        modified_at_millis: add.modification_time,
        path: add.path,
    })
}
