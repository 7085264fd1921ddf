//! Changes of what is stored: rows that correct others, rewritten rows, and
//! days that are dropped.
//!
//! Ingest only ever adds new events, so whoever holds the [`Corrections`]
//! knows that no stored event changes under its hands: it can read, decide and
//! write. Each change is one commit, published together with its sums.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use tokio::sync::OwnedMutexGuard;

use super::crash::crash_point;
use super::flusher::{Flusher, Turn};
use super::rollup_refresh::{Change, refresh};
use super::state::Tables;
use super::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{LakeFile, LakeTable, Transaction};

/// Names the commits of corrections in the log of `usage_events`.
const APPLICATION: &str = "corrections";

/// The right to change stored events; one holder at a time.
#[derive(Debug)]
pub struct Corrections {
    flusher: Arc<Flusher>,
    _alone: OwnedMutexGuard<()>,
}

/// A stored table, for [`Corrections::rewrite`] and [`Corrections::drop_days`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredTable {
    /// `usage_events`; its sums follow.
    Events,
    /// `rejected_events`
    Rejected,
    /// `usage_daily`
    Daily,
    /// `sightings`
    Sightings,
    /// `provider_costs`
    ProviderCosts,
}

impl StoredTable {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "usage_events",
            Self::Rejected => "rejected_events",
            Self::Daily => "usage_daily",
            Self::Sightings => "sightings",
            Self::ProviderCosts => "provider_costs",
        }
    }
}

/// What a rewrite or a drop changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RewriteReport {
    /// Days of which files were replaced or dropped.
    pub days: usize,
    /// Rows changed or dropped.
    pub rows: u64,
}

impl Corrections {
    pub(super) fn new(flusher: Arc<Flusher>, alone: OwnedMutexGuard<()>) -> Self {
        Self { flusher, _alone: alone }
    }

    /// The current state, with every correction so far.
    pub fn view(&self) -> Arc<View> {
        self.flusher.state.view()
    }

    /// Adds `rows` of `usage_events` in one commit: all of them are in the
    /// next view, with their sums, or none. Durable when it returns.
    pub async fn append(&self, rows: Vec<RecordBatch>) -> Result<()> {
        let flusher = &self.flusher;
        let mut turn = flusher.turn.lock().await;
        if !turn.unapplied.is_empty() {
            flusher.settle(&mut turn).await?;
            return Err(Error::new(
                ErrorKind::Busy,
                "stored events changed after they were read; nothing was corrected: try again",
            ));
        }
        // A day is summed anew over what the lake holds of it, so what is
        // taken back has to be there.
        flusher.flush_in(&mut turn).await?;
        let events = &flusher.lake.events;
        let held = events.transaction_version(APPLICATION).await?.unwrap_or(0);
        let transaction = Transaction { application: APPLICATION.to_owned(), version: held + 1 };
        turn.unpublished = true;
        crash_point("before_correction");
        let snapshot = events.append(rows, transaction).await?;
        crash_point("after_correction");
        let refreshed = refresh(&flusher.lake).await?;
        crash_point("after_correction_rollup");
        if matches!(refreshed.change, Change::Unknown) {
            return flusher.publish_tables(&mut turn).await;
        }
        let covered = flusher.covered_after(refreshed.change).await?;
        let now = flusher.clock.now().timestamp_micros();
        flusher.state.corrected(snapshot, refreshed.daily, covered, now);
        turn.unpublished = false;
        Ok(())
    }

    /// Replaces every row that `rewrite` changes, in place. `rewrite` answers
    /// a batch with as many rows, or `None` where nothing changes. Each day is
    /// one commit; the view shows the change once all days are done. Replaced
    /// files and log segments are deleted at once, whoever still reads them.
    pub async fn rewrite(
        &self,
        table: StoredTable,
        rewrite: Arc<RewriteRows>,
    ) -> Result<RewriteReport> {
        let flusher = &self.flusher;
        let mut turn = flusher.turn.lock().await;
        // What is hot has to be in files to be rewritten, and out of the log.
        flusher.flush_in(&mut turn).await?;
        let table = flusher.table(table);
        let mut report = RewriteReport::default();
        for date in dates_of(table) {
            let files = table.snapshot().files_of(date).to_vec();
            let changed = changed_files(table, files, Arc::clone(&rewrite)).await?;
            if changed.files.is_empty() {
                continue;
            }
            report.days += 1;
            report.rows += changed.rows;
            turn.unpublished = true;
            crash_point("before_rewrite");
            table.replace(changed.files, changed.batches, None).await?;
            crash_point("after_rewrite");
        }
        flusher.publish_tables(&mut turn).await?;
        Ok(report)
    }

    /// Deletes the files that no current version of a table needs, however
    /// young they are.
    pub async fn purge(&self) -> Result<usize> {
        let _turn = self.flusher.turn.lock().await;
        let mut deleted = 0;
        for table in self.flusher.lake.tables() {
            deleted += table.purge().await?.len();
        }
        Ok(deleted)
    }

    /// Drops every day before `horizon` from a table. Daily sums of dropped
    /// events stay.
    pub async fn drop_days(&self, table: StoredTable, horizon: NaiveDate) -> Result<RewriteReport> {
        let flusher = &self.flusher;
        let mut turn = flusher.turn.lock().await;
        turn.check_finished()?;
        flusher.cover(&mut turn).await?;
        let table = flusher.table(table);
        let mut report = RewriteReport::default();
        for date in dates_of(table).into_iter().filter(|date| *date < horizon) {
            let files = table.snapshot().files_of(date).to_vec();
            report.days += 1;
            report.rows += files.iter().map(|file| file.rows).sum::<u64>();
            turn.unpublished = true;
            table.replace(files, Vec::new(), None).await?;
        }
        flusher.publish_tables(&mut turn).await?;
        Ok(report)
    }
}

/// Changes the rows of a batch, or answers `None` where none changes; the
/// number says how many did.
pub type RewriteRows = dyn Fn(&RecordBatch) -> Result<Option<(RecordBatch, u64)>> + Send + Sync;

#[derive(Debug, Default)]
struct Changed {
    files: Vec<LakeFile>,
    batches: Vec<RecordBatch>,
    rows: u64,
}

fn dates_of(table: &LakeTable) -> BTreeSet<NaiveDate> {
    table.snapshot().files.iter().map(|file| file.date).collect()
}

/// The files of which a row changes, and all their rows as they are then.
async fn changed_files(
    table: &LakeTable,
    files: Vec<LakeFile>,
    rewrite: Arc<RewriteRows>,
) -> Result<Changed> {
    let mut changed = Changed::default();
    for file in files {
        let batches = table.read_file(&file, None)?;
        let rewrite = Arc::clone(&rewrite);
        let (batches, rows) = tokio::task::spawn_blocking(move || {
            let (mut kept, mut rows) = (Vec::new(), 0);
            for batch in batches {
                let batch = batch?;
                match rewrite(&batch)? {
                    Some((batch, changed)) => {
                        kept.push(batch);
                        rows += changed;
                    }
                    None => kept.push(batch),
                }
            }
            Ok::<_, Error>((kept, rows))
        })
        .await
        .map_err(|error| Error::internal("rewriting rows").caused_by(error))??;
        if rows > 0 {
            changed.files.push(file);
            changed.batches.extend(batches);
            changed.rows += rows;
        }
    }
    Ok(changed)
}

impl Flusher {
    fn table(&self, table: StoredTable) -> &LakeTable {
        match table {
            StoredTable::Events => &self.lake.events,
            StoredTable::Rejected => &self.lake.rejected,
            StoredTable::Daily => &self.lake.daily,
            StoredTable::Sightings => &self.lake.sightings,
            StoredTable::ProviderCosts => &self.lake.provider_costs,
        }
    }

    /// Covers the lake by the rollup and shows both, where a change of stored
    /// rows was committed but not published.
    pub(super) async fn publish_tables(&self, turn: &mut Turn) -> Result<()> {
        if !turn.unpublished {
            return Ok(());
        }
        let daily = refresh(&self.lake).await?.daily;
        let through = self.flushed_through().await?;
        let covered = self.load_covered().await?;
        self.state.reloaded(Tables { daily, ..Tables::of(&self.lake) }, covered, through);
        turn.unpublished = false;
        Ok(())
    }
}
