//! Stored events that give way: the rows that take them back and the rows that
//! count instead go into the lake in one commit, and show in one step.
//!
//! The frame of the log is what decides: once it is durable, the commit is
//! made, by whoever holds the turn next or by the next start. It carries the
//! frame's number, so that it is made once.

use super::crash::crash_point;
use super::flusher::{Flusher, Turn};
use super::open_hot::OpenHot;
use super::record::{FrameContent, Withdrawn};
use super::rollup_refresh::refresh;
use super::state::SupersededTables;
use crate::error::Result;
use crate::hot::HotBatch;
use crate::lake::{LakeTable, Transaction};
use crate::model::{rejected_events_schema, usage_events_schema};
use arrow::array::RecordBatch;

/// A durable frame whose rows the lake is to hold.
#[derive(Debug)]
pub(super) struct Superseding {
    /// The frame's number.
    pub(super) sequence: u64,
    /// Of `usage_events`: reversals, and what counts instead.
    pub(super) rows: RecordBatch,
    /// What counts no more.
    pub(super) sightings: RecordBatch,
    /// Those of them that are hot.
    pub(super) withdrawn: Vec<Withdrawn>,
    pub(super) recorded_at_micros: i64,
}

impl Superseding {
    /// What the frame `sequence` wants of the lake, if anything.
    pub(super) fn of(
        content: &FrameContent,
        sequence: u64,
        recorded_at_micros: i64,
    ) -> Option<Self> {
        (content.superseding.num_rows() > 0).then(|| Self {
            sequence,
            rows: content.superseding.clone(),
            sightings: content.sightings.clone(),
            withdrawn: content.withdrawn.clone(),
            recorded_at_micros,
        })
    }

    /// Commits the rows, unless `events` holds them already.
    pub(super) async fn commit(&self, events: &LakeTable, application: &str) -> Result<()> {
        let version = i64::try_from(self.sequence).unwrap_or(i64::MAX);
        let application = superseding_application(application);
        events.append(vec![self.rows.clone()], Transaction { application, version }).await?;
        Ok(())
    }

    /// What becomes hot of it, as a batch that leaves with the frame `through`.
    fn hot_batch(&self, through: u64) -> HotBatch {
        HotBatch {
            sequence: self.sequence.max(through),
            events: RecordBatch::new_empty(usage_events_schema()),
            rejected: RecordBatch::new_empty(rejected_events_schema()),
            sightings: self.sightings.clone(),
            recorded_at_micros: self.recorded_at_micros,
        }
    }
}

/// Names the commits of superseding frames of the log of `application`.
pub(super) fn superseding_application(application: &str) -> String {
    format!("{application}/superseding")
}

impl Flusher {
    /// Finishes what others began and left: afterwards the view shows what the
    /// tables hold, and the lake holds what superseding frames want of it.
    pub(super) async fn settle(&self, turn: &mut Turn) -> Result<()> {
        self.publish_tables(turn).await?;
        while let Some(superseding) = turn.unapplied.first() {
            crash_point("before_superseding");
            superseding.commit(&self.lake.events, &self.application).await?;
            crash_point("after_superseding");
            let refreshed = refresh(&self.lake).await?;
            crash_point("after_superseding_rollup");
            let covered = self.covered_after(refreshed.change).await?;
            let through = self.flushed_through().await?;
            // Whoever takes the view now sees the old event count; whoever
            // takes it after this the new one.
            let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let hot = OpenHot::new(self.state.open_hot());
            let rows = hot.locate_all(&superseding.sightings, &superseding.withdrawn)?;
            let withdrawals = hot.without(&rows, self.state.cube().as_deref())?;
            let batch = superseding.hot_batch(self.state.view().sequence);
            let events = self.lake.events.snapshot();
            let tables = SupersededTables { events, daily: refreshed.daily, covered, through };
            self.state.superseded(tables, batch, withdrawals);
            drop(log);
            turn.unapplied.remove(0);
        }
        Ok(())
    }
}
