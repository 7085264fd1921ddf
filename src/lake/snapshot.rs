//! What a query needs to know of a Delta table at one version: which files.

use std::path::PathBuf;

use chrono::NaiveDate;

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
    /// the commit recorded both; prunes whole files.
    pub organizations: Option<(String, String)>,
    /// Modification time recorded in the commit, milliseconds since 1970.
    pub modified_at_millis: i64,
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
}
