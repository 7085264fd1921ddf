//! The Delta tables: the only module that uses `deltalake`.
//!
//! A table is a folder of Parquet files, one folder a date, and a log of
//! commits. Rows are written and synced first and become visible with their
//! commit, which carries how far their source has been taken over.

mod commit;
mod durable;
mod encoding;
mod files;
mod log;
mod maintain;
mod open;
mod rewrite;
mod snapshot;
mod sort;
mod stats;
mod store;
mod table;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub use encoding::{Effort, writer_properties};
pub use files::FileBatches;
pub use log::LakeChanges;
pub use open::LakeOptions;
pub use rewrite::{COMPACT_INPUTS_MAX, CompactionOutcome, RowMerge};
pub use snapshot::{LakeFile, TableSnapshot};
pub use table::{LakeTable, Transaction};

use crate::error::Result;
use crate::model::{TABLES, TableSpec};

/// Every table of one data directory.
#[derive(Debug)]
pub struct Lake {
    /// `usage_events`
    pub events: LakeTable,
    /// `rejected_events`
    pub rejected: LakeTable,
    /// `usage_daily`
    pub daily: LakeTable,
    /// `provider_costs`
    pub provider_costs: LakeTable,
    /// `sightings`
    pub sightings: LakeTable,
}

impl Lake {
    /// Opens the tables under `<data_dir>/lake`, creating those that are not
    /// there. Their rewrites (compaction, replacement, vacuum) run under one
    /// lease, one at a time.
    pub async fn open(data_dir: &Path, options: &LakeOptions) -> Result<Self> {
        let lease = Arc::default();
        let storage = open::Storage::local();
        let open = |spec: &'static TableSpec| {
            let root = data_dir.join("lake").join(spec.name);
            let (options, storage, lease) = (options.clone(), storage.clone(), Arc::clone(&lease));
            async move { LakeTable::open_with(&root, spec, options, storage, lease).await }
        };
        let [events, rejected, daily, provider_costs, sightings] = &TABLES;
        Ok(Self {
            events: open(events).await?,
            rejected: open(rejected).await?,
            daily: open(daily).await?,
            provider_costs: open(provider_costs).await?,
            sightings: open(sightings).await?,
        })
    }

    /// Every table, in the order that rows reach them.
    pub fn tables(&self) -> [&LakeTable; 5] {
        [&self.events, &self.rejected, &self.daily, &self.provider_costs, &self.sightings]
    }
}
