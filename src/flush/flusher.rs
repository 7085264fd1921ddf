//! Commits what is hot, truncates the log, and covers the lake by the rollup.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::crash::crash_point;
use super::recover::DirectoryLock;
use super::rollup_refresh::{Change, Refreshed, refresh};
use super::state::State;
use super::writer::{Log, approximate};
use crate::clock::Clock;
use crate::dedup::{FrozenKeys, merge_runs, write_run};
use crate::error::{Context, Error, Result};
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::{Lake, LakeFile, LakeTable, TableSnapshot, Transaction};
use crate::rollup::Segment;
use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};

/// What the holder of the turn finds.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Keys that a flush took out of the memory and did not save yet.
    unsaved_keys: Vec<Arc<FrozenKeys>>,
    /// Whether a flush broke off: the tables may hold rows that are still
    /// shown as hot.
    unfinished: bool,
    /// Whether a change of stored rows broke off: the tables may hold rows
    /// that the published view does not show yet.
    pub(super) unpublished: bool,
}

impl Turn {
    /// Rewrites publish what the tables hold, so they wait until a flush that
    /// broke off has been finished.
    pub(super) fn check_finished(&self) -> Result<()> {
        if self.unfinished {
            return Err(Error::unavailable("a flush broke off; it has to be finished first"));
        }
        Ok(())
    }
}

/// The flusher's parts. One flush runs at a time.
#[derive(Debug)]
pub(super) struct Flusher {
    pub(super) lake: Arc<Lake>,
    pub(super) state: Arc<State>,
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) dedup_dir: PathBuf,
    /// Names this data directory in the tables' application transactions.
    pub(super) application: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) _directory_lock: Arc<dyn DirectoryLock>,
    /// Held by whoever changes the tables, one at a time.
    pub(super) turn: tokio::sync::Mutex<Turn>,
    /// Since when the memory of keys is complete, microseconds since 1970; the
    /// epoch says that it has forgotten nothing. A copy of what stands in the
    /// log, so that a request need not wait for a group's fsync to ask.
    pub(super) keys_covered_since_micros: AtomicI64,
}

impl Flusher {
    /// Commits everything that is hot now. Safe to call again after an error:
    /// what the tables hold already is not written again.
    pub(super) async fn flush(&self) -> Result<()> {
        self.flush_in(&mut *self.turn.lock().await).await
    }

    /// [`Self::flush`] for who holds the turn.
    pub(super) async fn flush_in(&self, turn: &mut Turn) -> Result<()> {
        self.publish_tables(turn).await?;
        let started = Instant::now();
        let hot = {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            turn.unsaved_keys.extend(log.dedup.freeze());
            // What is being flushed and what comes meanwhile stand in
            // different segments, so that the former can be removed.
            log.wal.rotate();
            self.state.freeze()
        };
        let Some(last) = hot.batches().last() else { return self.cover(turn).await };
        let through = last.sequence;
        turn.unfinished = true;
        let rows = |batch: &HotBatch| batch.rejected.clone();
        let rejected = self.commit(&self.lake.rejected, &hot, through, rows).await?;
        crash_point("between_table_commits");
        let before = self.state.view();
        let rows = |batch: &HotBatch| batch.events.clone();
        let events = self.commit(&self.lake.events, &hot, through, rows).await?;
        let uncovered = uncovered_files(&before.uncovered_files, &before.events, &events);
        crash_point("after_commit");
        self.state.flushed(events, rejected, uncovered, through);
        turn.unfinished = false;
        self.save_keys(&mut turn.unsaved_keys).await?;
        crash_point("before_truncate");
        self.truncate(through)?;
        metrics::histogram!("spendlake_flush_seconds").record(started.elapsed());
        metrics::counter!("spendlake_flushed_rows_total").increment(hot.rows() as u64);
        self.cover(turn).await
    }

    /// Appends the rows of `hot` that `table` does not hold yet.
    async fn commit(
        &self,
        table: &LakeTable,
        hot: &HotSnapshot,
        through: u64,
        rows: impl Fn(&HotBatch) -> RecordBatch,
    ) -> Result<Arc<TableSnapshot>> {
        let held = held_sequence(table, &self.application).await?;
        let missing: Vec<RecordBatch> = hot
            .batches()
            .iter()
            .filter(|batch| batch.sequence > held)
            .map(|batch| rows(batch))
            .filter(|batch| batch.num_rows() > 0)
            .collect();
        if missing.is_empty() {
            return Ok(table.snapshot());
        }
        let version = i64::try_from(through).internal("a WAL sequence number beyond 2^63")?;
        let application = self.application.clone();
        table.append(missing, Transaction { application, version }).await
    }

    /// Writes the keys of the flushed frames to disk, so that the log is no
    /// longer needed to remember them.
    async fn save_keys(&self, unsaved: &mut Vec<Arc<FrozenKeys>>) -> Result<()> {
        let day = self.today();
        while let Some(frozen) = unsaved.first().cloned() {
            let (dir, keys) = (self.dedup_dir.clone(), Arc::clone(&frozen));
            let run = tokio::task::spawn_blocking(move || write_run(&dir, &keys, day))
                .await
                .internal("writing dedup keys")??;
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.dedup.install(&frozen, run)?;
            unsaved.remove(0);
        }
        Ok(())
    }

    /// Forgets keys that are older than the window, and merges key runs.
    pub(super) async fn maintain_keys(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let log = || self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let covered_since = {
            let mut log = log();
            log.dedup.expire(self.today())?;
            log.dedup.covered_since().timestamp_micros()
        };
        self.keys_covered_since_micros.store(covered_since, Ordering::SeqCst);
        loop {
            let Some(plan) = log().dedup.plan_merge() else { return Ok(()) };
            let dir = self.dedup_dir.clone();
            let (plan, run) = tokio::task::spawn_blocking(move || {
                let run = merge_runs(&dir, &plan);
                (plan, run)
            })
            .await
            .internal("merging dedup keys")?;
            log().dedup.install_merged(&plan, run?)?;
        }
    }

    /// Since when the memory of keys is complete.
    pub(super) fn keys_covered_since(&self) -> DateTime<Utc> {
        let micros = self.keys_covered_since_micros.load(Ordering::SeqCst);
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// Days since 1970-01-01.
    fn today(&self) -> i32 {
        i32::try_from(self.clock.now().timestamp().div_euclid(86_400)).unwrap_or(i32::MAX)
    }

    fn truncate(&self, through: u64) -> Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.wal.truncate_through(through)?;
        metrics::gauge!("spendlake_wal_bytes").set(approximate(log.wal.bytes()));
        Ok(())
    }

    /// Brings the rollup up to the lake's version, and the cube with it.
    pub(super) async fn cover(&self, turn: &mut Turn) -> Result<()> {
        self.publish_tables(turn).await?;
        crash_point("before_rollup");
        let view = self.state.view();
        if view.uncovered_files.is_empty() {
            return Ok(());
        }
        // Frames after the lake's last one stay in their own segments.
        let through = self.flushed_through().await?;
        let Refreshed { daily, change } = refresh(&self.lake).await?;
        match change {
            Change::Appended(rows) => {
                let segment = self.segment(rows)?;
                self.state.rolled_up(daily, segment, through);
            }
            Change::Replaced(dates, rows) => {
                let covered = self.with_days(&dates, rows)?;
                self.state.rebuilt(daily, covered, through);
            }
            Change::Unknown => {
                let covered = self.load_covered().await?;
                self.state.rebuilt(daily, covered, through);
            }
        }
        Ok(())
    }

    /// Daily rows as a segment of the cube, where there is one.
    pub(super) fn segment(&self, rows: Option<RecordBatch>) -> Result<Option<Arc<Segment>>> {
        match (self.state.cube(), rows.filter(|rows| rows.num_rows() > 0)) {
            (Some(cube), Some(rows)) => cube.segment(&rows).map(Some),
            _ => Ok(None),
        }
    }

    /// The rollup's part of the cube with `rows` in the place of some days.
    pub(super) fn with_days(
        &self,
        dates: &BTreeSet<NaiveDate>,
        rows: Option<RecordBatch>,
    ) -> Result<Vec<Arc<Segment>>> {
        let Some(cube) = self.state.cube() else { return Ok(Vec::new()) };
        let mut covered = cube.without_dates(&self.state.covered_segments(), dates);
        covered.extend(self.segment(rows)?);
        Ok(covered)
    }

    /// The last frame whose events the lake holds.
    pub(super) async fn flushed_through(&self) -> Result<u64> {
        held_sequence(&self.lake.events, &self.application).await
    }

    /// Reads the whole stored rollup into segments.
    pub(super) async fn load_covered(&self) -> Result<Vec<Arc<Segment>>> {
        let Some(cube) = self.state.cube() else { return Ok(Vec::new()) };
        super::recover::load_segments(&self.lake, &cube).await
    }
}

/// The last frame that `table` holds of this data directory; 0 before the
/// first.
pub(super) async fn held_sequence(table: &LakeTable, application: &str) -> Result<u64> {
    let version = table.transaction_version(application).await?;
    Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
}

/// The files of `after` that the rollup does not cover: those that were
/// uncovered, and those that are new.
fn uncovered_files(
    uncovered: &[LakeFile],
    before: &TableSnapshot,
    after: &TableSnapshot,
) -> Vec<LakeFile> {
    let known: std::collections::HashSet<&str> =
        before.files.iter().map(|file| file.path.as_str()).collect();
    let fresh = after.files.iter().filter(|file| !known.contains(file.path.as_str()));
    uncovered.iter().chain(fresh).cloned().collect()
}
