//! Keeps the tables small in files and true in sums: compaction, vacuum, log
//! clean-up, and the standing comparison of rollup and lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type};
use chrono::{NaiveDate, TimeDelta};

use super::crash::crash_point;
use super::flusher::Flusher;
use super::rollup_refresh::{every_date, rebuild};
use super::state::Tables;
use super::view::View;
use crate::error::{Error, Result};
use crate::lake::{LakeTable, RowMerge, TableSnapshot};
use crate::rollup::merge_daily_rows;

/// What a compaction changed, over all tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Days that were rewritten.
    pub days: usize,
    /// Files replaced.
    pub files_removed: usize,
    /// Files that replace them.
    pub files_added: usize,
    /// Bytes of the replaced files.
    pub bytes_removed: u64,
    /// Bytes of the new files.
    pub bytes_added: u64,
}

/// Which days to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompactScope {
    /// Every day of more than one file.
    All,
    /// Days of at least this many files, and days whose newest file is older
    /// than a flush is likely to follow.
    Due { files_max: usize, quiet_since_millis: i64 },
}

/// The days of `snapshot` to compact, oldest first.
pub(super) fn days_to_compact(snapshot: &TableSnapshot, scope: CompactScope) -> Vec<NaiveDate> {
    let mut days: BTreeMap<NaiveDate, (usize, i64)> = BTreeMap::new();
    for file in &snapshot.files {
        let (count, newest) = days.entry(file.date).or_insert((0, i64::MIN));
        *count += 1;
        *newest = (*newest).max(file.modified_at_millis);
    }
    days.into_iter()
        .filter(|(_, (count, newest))| match scope {
            CompactScope::All => *count > 1,
            CompactScope::Due { files_max, quiet_since_millis } => {
                *count > files_max || (*count > 1 && *newest < quiet_since_millis)
            }
        })
        .map(|(date, _)| date)
        .collect()
}

/// `usage_daily` rows of one grain become one row.
#[derive(Debug)]
struct DailyMerge;

impl RowMerge for DailyMerge {
    fn merge(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        Ok(vec![merge_daily_rows(&batches)?])
    }

    fn total(&self, batches: &[RecordBatch]) -> Result<i128> {
        let mut total = 0;
        for batch in batches {
            let entries = batch
                .column_by_name("entries")
                .ok_or_else(|| Error::internal("usage_daily has no column entries"))?;
            total += entries
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .map(|entries| i128::from(*entries))
                .sum::<i128>();
        }
        Ok(total)
    }
}

impl Flusher {
    /// Rewrites the days of `scope` into few sorted files. The rollup covers
    /// the lake before and after, since the turn is held.
    pub(super) async fn compact(&self, scope: CompactScope) -> Result<CompactReport> {
        let mut report = CompactReport::default();
        for table in self.lake.tables() {
            for date in days_to_compact(&table.snapshot(), scope) {
                self.compact_day(table, date, &mut report).await?;
            }
        }
        Ok(report)
    }

    async fn compact_day(
        &self,
        table: &LakeTable,
        date: NaiveDate,
        report: &mut CompactReport,
    ) -> Result<()> {
        report.days += 1;
        loop {
            // Between two steps a flush may run; it waits for one step only.
            let mut turn = self.turn.lock().await;
            turn.check_finished()?;
            self.cover(&mut turn).await?;
            let outcome = if table.spec().name == "usage_daily" {
                table.compact_merged(date, Arc::new(DailyMerge)).await?
            } else {
                table.compact(date).await?
            };
            crash_point("during_compaction");
            report.files_removed += outcome.files_removed;
            report.files_added += outcome.files_added;
            report.bytes_removed += outcome.bytes_removed;
            report.bytes_added += outcome.bytes_added;
            self.state.rewritten(Tables::of(&self.lake));
            metrics::counter!("spendlake_compacted_files_total")
                .increment(outcome.files_removed as u64);
            if !outcome.more || outcome.files_removed == 0 {
                return Ok(());
            }
        }
    }

    /// Joins the cube's flushed segments once there are many.
    pub(super) async fn join_cube(&self) -> Result<()> {
        const SEGMENTS_MAX: usize = 8;
        let _turn = self.turn.lock().await;
        let mut segments = self.state.covered_segments();
        let Some(cube) = self.state.cube().filter(|_| segments.len() > SEGMENTS_MAX) else {
            return Ok(());
        };
        // The largest is left out until the others amount to a quarter of it:
        // each row is copied a bounded number of times.
        segments.sort_by_key(|segment| segment.rows());
        let largest = segments.last().map_or(0, |segment| segment.rows());
        let others: usize = segments.iter().rev().skip(1).map(|segment| segment.rows()).sum();
        if others * 4 < largest {
            segments.pop();
        }
        let joined = {
            let parts = segments.clone();
            tokio::task::spawn_blocking(move || cube.merge(&parts))
                .await
                .map_err(|error| Error::internal("joining cube segments").caused_by(error))?
        };
        self.state.join_covered(&segments, joined);
        Ok(())
    }

    /// Compares the rollup's entries with the lake's rows, day by day, and
    /// rebuilds the days that differ. Returns those days.
    pub(super) async fn check_rollup(&self) -> Result<BTreeSet<NaiveDate>> {
        let mut turn = self.turn.lock().await;
        turn.check_finished()?;
        self.cover(&mut turn).await?;
        let lake_rows = rows_by_date(&self.lake.events.snapshot());
        let lake = Arc::clone(&self.lake);
        let entries = tokio::task::spawn_blocking(move || stored_entries(&lake.daily))
            .await
            .map_err(|error| Error::internal("reading the rollup").caused_by(error))??;
        let differing = differing_days(&lake_rows, &entries);
        if differing.is_empty() {
            self.check_cube().await?;
        } else {
            tracing::error!(?differing, "rollup and lake differ; these days are rebuilt");
            metrics::counter!("spendlake_rollup_rebuilt_days_total")
                .increment(differing.len() as u64);
            self.rebuild_days(differing.clone()).await?;
        }
        Ok(differing)
    }

    /// Compares the cube's entries with those of the events it was made of,
    /// and reads it anew when they differ.
    async fn check_cube(&self) -> Result<()> {
        let view = self.state.view();
        let Some(cube) = &view.cube else { return Ok(()) };
        let entries = cube.entries_by_date();
        let held = rows_held(&view);
        // Of days that retention emptied, only the sums are left.
        let cached: i64 = held.keys().filter_map(|date| entries.get(date)).sum();
        let held: i64 = held.values().sum();
        if cached != held {
            tracing::error!(cached, held, "the aggregates in memory differ; they are read anew");
            let through = self.flushed_through().await?;
            let covered = self.load_covered().await?;
            self.state.rebuilt(self.lake.daily.snapshot(), covered, through);
        }
        Ok(())
    }

    /// Rebuilds the rollup of every day that has events or daily rows.
    pub(super) async fn rebuild_all(&self) -> Result<()> {
        let mut turn = self.turn.lock().await;
        turn.check_finished()?;
        self.cover(&mut turn).await?;
        self.rebuild_days(every_date(&self.lake)).await
    }

    async fn rebuild_days(&self, dates: BTreeSet<NaiveDate>) -> Result<()> {
        let through = self.flushed_through().await?;
        let daily = rebuild(&self.lake, dates).await?.daily;
        let covered = self.load_covered().await?;
        self.state.rebuilt(daily, covered, through);
        Ok(())
    }

    /// Deletes replaced and orphaned files past their retention, and writes
    /// checkpoints.
    pub(super) async fn clean_up(&self, retention: TimeDelta) -> Result<usize> {
        let mut deleted = 0;
        for table in self.lake.tables() {
            deleted += table.vacuum(retention, self.clock.now()).await?.len();
            table.checkpoint_and_clean_log().await?;
        }
        Ok(deleted)
    }
}

/// The rows of `usage_events` by date, hot ones included.
fn rows_held(view: &View) -> BTreeMap<NaiveDate, i64> {
    let mut rows = rows_by_date(&view.events);
    for batch in view.hot.batches() {
        let dates = batch.events.column_by_name("usage_date");
        let days = dates.and_then(|dates| dates.as_primitive_opt::<Date32Type>());
        for day in days.map(|days| days.values().iter()).into_iter().flatten() {
            *rows.entry(Date32Type::to_naive_date_opt(*day).unwrap_or_default()).or_insert(0) += 1;
        }
    }
    rows
}

fn rows_by_date(snapshot: &TableSnapshot) -> BTreeMap<NaiveDate, i64> {
    let mut rows = BTreeMap::new();
    for file in &snapshot.files {
        *rows.entry(file.date).or_insert(0) += i64::try_from(file.rows).unwrap_or(i64::MAX);
    }
    rows
}

fn stored_entries(daily: &LakeTable) -> Result<BTreeMap<NaiveDate, i64>> {
    let mut entries = BTreeMap::new();
    for file in &daily.snapshot().files {
        for batch in daily.read_file(file, Some(&["entries"]))? {
            let sum: i64 = batch?.column(0).as_primitive::<Int64Type>().values().iter().sum();
            *entries.entry(file.date).or_insert(0) += sum;
        }
    }
    Ok(entries)
}

fn differing_days(
    lake: &BTreeMap<NaiveDate, i64>,
    rollup: &BTreeMap<NaiveDate, i64>,
) -> BTreeSet<NaiveDate> {
    let rows = |days: &BTreeMap<NaiveDate, i64>, date| days.get(date).copied().unwrap_or(0);
    lake.keys().filter(|date| rows(lake, *date) != rows(rollup, *date)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::LakeFile;

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).expect("date")
    }

    fn snapshot(files: &[(u32, i64)]) -> TableSnapshot {
        let files = files
            .iter()
            .map(|(day, modified_at_millis)| LakeFile {
                path: String::new(),
                bytes: 1,
                rows: 1,
                date: date(*day),
                organizations: None,
                event_times: None,
                modified_at_millis: *modified_at_millis,
            })
            .collect();
        TableSnapshot { root: "/".into(), version: 1, files }
    }

    #[test]
    fn a_day_is_due_by_its_files_or_by_its_quiet() {
        let snapshot =
            snapshot(&[(1, 5), (2, 5), (2, 5), (3, 50), (3, 50), (4, 50), (4, 50), (4, 50)]);
        let due = CompactScope::Due { files_max: 2, quiet_since_millis: 10 };
        assert_eq!(days_to_compact(&snapshot, due), [date(2), date(4)]);
        assert_eq!(days_to_compact(&snapshot, CompactScope::All), [date(2), date(3), date(4)]);
    }

    #[test]
    fn a_day_without_its_sums_differs_and_sums_without_events_stay() {
        let lake = BTreeMap::from([(date(1), 1), (date(2), 2)]);
        let rollup = BTreeMap::from([(date(1), 1), (date(3), 3)]);
        assert_eq!(differing_days(&lake, &rollup), BTreeSet::from([date(2)]));
    }
}
