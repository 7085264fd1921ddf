//! Brings the stored rollup up to the lake's version: reads the files added
//! since, aggregates them, appends the result with the version it covers.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::lake::{Lake, LakeFile, TableSnapshot, Transaction};
use crate::rollup::{daily_rows, has_reversals, merge_daily_rows, standing_daily_rows};

/// The rollup's commits carry the covered version of `usage_events` under
/// this name.
const COVERAGE: &str = "rollup";

/// Rows aggregated in one step, which bounds memory.
const STEP_ROWS_MAX: usize = 1_000_000;

/// The rollup after a refresh, and what that changed.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) daily: Arc<TableSnapshot>,
    pub(super) change: Change,
}

/// How the stored rollup differs from before.
#[derive(Debug)]
pub(super) enum Change {
    /// These rows were appended, if any.
    Appended(Option<RecordBatch>),
    /// These rows replace all of these days.
    Replaced(BTreeSet<NaiveDate>, Option<RecordBatch>),
    /// An earlier refresh landed without being seen: whoever holds a copy
    /// reads the rollup anew.
    Unknown,
}

/// The version of `usage_events` that the rollup covers; −1 before the first.
pub(super) async fn covered_version(lake: &Lake) -> Result<i64> {
    Ok(lake.daily.transaction_version(COVERAGE).await?.unwrap_or(-1))
}

/// Covers the lake's current version.
pub(super) async fn refresh(lake: &Arc<Lake>) -> Result<Refreshed> {
    let target = lake.events.snapshot();
    let covered = covered_version(lake).await?;
    if covered >= target.version {
        return Ok(Refreshed { daily: lake.daily.snapshot(), change: Change::Unknown });
    }
    let changes = match lake.events.changes_since(covered).await {
        Ok(changes) => changes,
        // The log no longer reaches back to what the rollup covers.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return rebuild(lake, every_date(lake)).await;
        }
        Err(error) => return Err(error),
    };
    // Reversals take back rows of other files, so that their day is summed
    // anew as a whole.
    if !changes.replaced_dates.is_empty() || hold_reversals(lake, &changes.files).await? {
        let replaced = changes.replaced_dates.iter().copied();
        let changed = replaced.chain(changes.files.iter().map(|file| file.date));
        let stored = every_date(lake);
        return rebuild(lake, changed.filter(|date| stored.contains(date)).collect()).await;
    }
    let added = aggregate(lake, changes.files).await?;
    let rows = added.iter().cloned().collect();
    let daily = lake.daily.append(rows, coverage(target.version)).await?;
    Ok(Refreshed { daily, change: Change::Appended(added) })
}

/// Every date that has events. Of other dates the rollup is all that is left
/// once retention dropped the events, so it is never computed anew.
pub(super) fn every_date(lake: &Lake) -> BTreeSet<NaiveDate> {
    lake.events.snapshot().files.iter().map(|file| file.date).collect()
}

/// Replaces the rollup of `dates` by a fresh aggregate of their events, which
/// also covers the lake's current version: the caller sees to it that no other
/// date has uncovered files.
pub(super) async fn rebuild(lake: &Arc<Lake>, dates: BTreeSet<NaiveDate>) -> Result<Refreshed> {
    let target = lake.events.snapshot();
    let of_dates = |snapshot: &TableSnapshot| -> Vec<LakeFile> {
        snapshot.files.iter().filter(|file| dates.contains(&file.date)).cloned().collect()
    };
    let rows = aggregate_days(lake, of_dates(&target)).await?;
    let stale = of_dates(&lake.daily.snapshot());
    let covered = covered_version(lake).await?;
    let transaction = (covered < target.version).then(|| coverage(target.version));
    let daily = lake.daily.replace(stale, rows.iter().cloned().collect(), transaction).await?;
    Ok(Refreshed { daily, change: Change::Replaced(dates, rows) })
}

async fn hold_reversals(lake: &Arc<Lake>, files: &[LakeFile]) -> Result<bool> {
    let (lake, files) = (Arc::clone(lake), files.to_vec());
    tokio::task::spawn_blocking(move || {
        for file in &files {
            if file_holds_reversals(&lake, file)? {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
    .internal("looking for reversals")?
}

fn file_holds_reversals(lake: &Lake, file: &LakeFile) -> Result<bool> {
    for batch in lake.events.read_file(file, Some(&["quantity"]))? {
        if has_reversals(&batch?)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn coverage(version: i64) -> Transaction {
    Transaction { application: COVERAGE.to_owned(), version }
}

/// The daily rows of `files`, in steps of bounded memory.
async fn aggregate(lake: &Arc<Lake>, files: Vec<LakeFile>) -> Result<Option<RecordBatch>> {
    if files.is_empty() {
        return Ok(None);
    }
    let lake = Arc::clone(lake);
    tokio::task::spawn_blocking(move || aggregate_files(&lake, &files))
        .await
        .internal("aggregating new files")?
        .map(Some)
}

/// As [`aggregate`], over all files of whole days.
async fn aggregate_days(lake: &Arc<Lake>, files: Vec<LakeFile>) -> Result<Option<RecordBatch>> {
    if files.is_empty() {
        return Ok(None);
    }
    let lake = Arc::clone(lake);
    tokio::task::spawn_blocking(move || {
        let mut parts = Vec::new();
        for files in files.chunk_by(|one, other| one.date == other.date) {
            let mut holds_reversals = false;
            for file in files {
                holds_reversals |= file_holds_reversals(&lake, file)?;
            }
            parts.push(match holds_reversals {
                // An event and its reversal may be far apart: the whole day
                // is held in memory.
                true => standing_daily_rows(&read_files(&lake, files)?)?,
                false => aggregate_files(&lake, files)?,
            });
        }
        match parts.len() {
            1 => parts.pop().ok_or_else(|| Error::internal("no part")),
            _ => merge_daily_rows(&parts),
        }
    })
    .await
    .internal("aggregating whole days")?
    .map(Some)
}

fn read_files(lake: &Lake, files: &[LakeFile]) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for file in files {
        for batch in lake.events.read_file(file, None)? {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

fn aggregate_files(lake: &Lake, files: &[LakeFile]) -> Result<RecordBatch> {
    let (mut pending, mut pending_rows, mut parts) = (Vec::new(), 0, Vec::new());
    for file in files {
        for batch in lake.events.read_file(file, None)? {
            let batch = batch?;
            pending_rows += batch.num_rows();
            pending.push(batch);
            if pending_rows >= STEP_ROWS_MAX {
                parts.push(daily_rows(&pending)?);
                pending.clear();
                pending_rows = 0;
            }
        }
    }
    if !pending.is_empty() {
        parts.push(daily_rows(&pending)?);
    }
    match parts.len() {
        1 => parts.pop().ok_or_else(|| Error::internal("no part")),
        _ => merge_daily_rows(&parts),
    }
}
