//! What a query needs to know of a Delta table at one version: which files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use deltalake::DeltaTable;

use super::stats::read_stats;
use crate::error::{Context, Error, Result};
use crate::model::TableSpec;

/// One active Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFile {
    /// Path relative to the table's root, as object stores spell it.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Rows, from the commit's statistics (always present: we write them).
    pub rows: u64,
    /// The partition that every row of the file belongs to.
    pub date: NaiveDate,
    /// Smallest and largest `organization_id`, where the table has one and
    /// the commit recorded both; prunes whole files. Rows without an
    /// organization lie outside of it.
    pub organizations: Option<(String, String)>,
    /// No event of the file is earlier or later, in microseconds since 1970;
    /// none where the table has no `event_time` or the commit does not say.
    pub event_times: Option<(i64, i64)>,
    /// Modification time recorded in the commit, milliseconds since 1970.
    pub modified_at_millis: i64,
}

impl LakeFile {
    fn place(&self) -> (NaiveDate, &str) {
        (self.date, &self.path)
    }
}

/// The active files of one Delta table at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSnapshot {
    /// The table's folder on the local disk.
    pub root: PathBuf,
    /// The Delta version.
    pub version: i64,
    /// Its active files, ordered by date, then path.
    pub files: Vec<LakeFile>,
}

impl TableSnapshot {
    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The files of one date.
    pub fn files_of(&self, date: NaiveDate) -> &[LakeFile] {
        let start = self.files.partition_point(|file| file.date < date);
        let end = self.files.partition_point(|file| file.date <= date);
        &self.files[start..end]
    }

    /// Whether `file` is active.
    pub(super) fn contains(&self, file: &LakeFile) -> bool {
        self.files.binary_search_by(|active| active.place().cmp(&file.place())).is_ok()
    }

    /// This snapshot without `removed` and with `added`, as `version`.
    pub(super) fn advanced(
        &self,
        version: i64,
        removed: &[LakeFile],
        added: impl Iterator<Item = LakeFile>,
    ) -> Self {
        let removed: HashSet<&str> = removed.iter().map(|file| file.path.as_str()).collect();
        let kept = self.files.iter().filter(|file| !removed.contains(file.path.as_str()));
        let mut files: Vec<LakeFile> = kept.cloned().chain(added).collect();
        files.sort_by(|left, right| left.place().cmp(&right.place()));
        Self { root: self.root.clone(), version, files }
    }
}

/// The files of a loaded table.
pub(super) fn of_table(root: &Path, spec: &TableSpec, table: &DeltaTable) -> Result<TableSnapshot> {
    let state = table.snapshot().internal("the table is not loaded")?;
    let files = state.log_data().into_iter().map(|view| {
        let path = view.path().into_owned();
        let partitions = view.partition_values_map();
        let date = partitions.get(spec.partition_column).and_then(Option::as_deref);
        let stats = read_stats(&path, view.stats().as_deref())?;
        Ok(LakeFile {
            bytes: u64::try_from(view.size()).unwrap_or_default(),
            rows: stats.rows,
            date: partition_date(&path, date)?,
            organizations: stats.organizations,
            event_times: stats.event_times,
            modified_at_millis: view.modification_time(),
            path,
        })
    });
    let mut files = files.collect::<Result<Vec<_>>>()?;
    files.sort_by(|left, right| left.place().cmp(&right.place()));
    let version = i64::try_from(state.version()).internal("a Delta version beyond 2^63")?;
    Ok(TableSnapshot { root: root.to_owned(), version, files })
}

/// Reads the partition of a file from the value in its commit.
pub(super) fn partition_date(path: &str, value: Option<&str>) -> Result<NaiveDate> {
    value.and_then(|value| value.parse().ok()).ok_or_else(|| {
        Error::internal(format!("{path} has no date as its partition in the Delta log: {value:?}"))
    })
}
