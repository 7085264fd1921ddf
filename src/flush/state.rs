//! The one place where a change becomes visible: every publication swaps in a
//! complete [`View`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::cube_state::CubeState;
use super::hot_shares::HotShares;
use super::open_hot::Withdrawal;
use super::plan::{HotStats, pieces_to_join};
use super::view::View;
use crate::error::{Context, Result};
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::{Lake, LakeFile, TableSnapshot};
use crate::model::{rejected_events_schema, sightings_schema, usage_events_schema};
use crate::rollup::{Cube, Segment};

#[derive(Debug)]
struct Inner {
    view: View,
    cube: Option<CubeState>,
    /// Frames up to here are being flushed; they must not be joined with
    /// later ones, since they leave the hot buffer without them.
    frozen_through: u64,
    cube_bytes_max: usize,
}

/// The tables of one moment.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) events: Arc<TableSnapshot>,
    pub(super) rejected: Arc<TableSnapshot>,
    pub(super) daily: Arc<TableSnapshot>,
    pub(super) sightings: Arc<TableSnapshot>,
    pub(super) provider_costs: Arc<TableSnapshot>,
}

impl Tables {
    /// As they are now.
    pub(super) fn of(lake: &Lake) -> Self {
        Self {
            events: lake.events.snapshot(),
            rejected: lake.rejected.snapshot(),
            daily: lake.daily.snapshot(),
            sightings: lake.sightings.snapshot(),
            provider_costs: lake.provider_costs.snapshot(),
        }
    }
}

/// The tables after a superseding frame.
#[derive(Debug)]
pub(super) struct SupersededTables {
    pub(super) events: Arc<TableSnapshot>,
    pub(super) daily: Arc<TableSnapshot>,
    /// The rollup's part of the cube.
    pub(super) covered: Vec<Arc<Segment>>,
    /// The last frame that it covers.
    pub(super) through: u64,
}

/// The current state and its readers' side.
#[derive(Debug)]
pub(super) struct State {
    published: ArcSwap<View>,
    inner: Mutex<Inner>,
    shares: Mutex<HotShares>,
}

impl State {
    /// A state that shows `view`, with `covered` as the rollup's part of the
    /// cube.
    pub(super) fn new(
        view: View,
        cube: Arc<Cube>,
        covered: Vec<Arc<Segment>>,
        cube_bytes_max: usize,
    ) -> Self {
        let published = ArcSwap::from_pointee(view.clone());
        let cube = Some(CubeState::new(cube, covered));
        let inner = Inner { view, cube, frozen_through: 0, cube_bytes_max };
        let state = Self { published, inner: Mutex::new(inner), shares: Mutex::default() };
        state.publish(&mut state.lock());
        state
    }

    /// What a query reads: taken once, it never changes.
    pub(super) fn view(&self) -> Arc<View> {
        self.published.load_full()
    }

    /// The cube, for coding rows outside the lock; `None` once it was dropped
    /// because it outgrew its limit.
    pub(super) fn cube(&self) -> Option<Arc<Cube>> {
        self.lock().cube.as_ref().map(|state| Arc::clone(&state.cube))
    }

    /// Makes a durable frame visible, and what it withdraws invisible.
    pub(super) fn acknowledge(
        &self,
        batch: HotBatch,
        segment: Option<Arc<Segment>>,
        withdrawals: Vec<Withdrawal>,
    ) {
        let mut inner = self.lock();
        inner.view.as_of_micros = batch.recorded_at_micros;
        inner.withdraw(withdrawals);
        inner.push(batch, segment);
        self.publish(&mut inner);
    }

    /// Counts the rows of an acknowledged frame for the tenants that sent them.
    pub(super) fn share_hot<'a>(
        &self,
        sequence: u64,
        rows: impl IntoIterator<Item = (&'a str, usize)>,
    ) {
        let mut shares = self.shares();
        rows.into_iter().for_each(|(tenant, rows)| shares.add(sequence, tenant, rows));
    }

    /// Hot rows that `tenant` sent.
    pub(super) fn hot_rows_of(&self, tenant: &str) -> usize {
        self.shares().rows_of(tenant)
    }

    fn shares(&self) -> MutexGuard<'_, HotShares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes rows out of the hot buffer.
    pub(super) fn withdraw(&self, withdrawals: Vec<Withdrawal>) {
        let mut inner = self.lock();
        inner.withdraw(withdrawals);
        self.publish(&mut inner);
    }

    /// The hot batches that no flush has begun to write. Whoever holds the
    /// log's lock is the only one who adds to them, joins or changes them.
    pub(super) fn open_hot(&self) -> Vec<Arc<HotBatch>> {
        let inner = self.lock();
        inner.view.hot.after(inner.frozen_through).batches().to_vec()
    }

    /// Marks what is hot now as being flushed, and hands it out.
    pub(super) fn freeze(&self) -> HotSnapshot {
        let mut inner = self.lock();
        inner.frozen_through = inner.view.sequence;
        inner.view.hot.clone()
    }

    /// The lake holds every frame up to `through`: its files replace the hot
    /// rows in one step.
    pub(super) fn flushed(&self, tables: Tables, uncovered_files: Vec<LakeFile>, through: u64) {
        let mut inner = self.lock();
        inner.view.events = tables.events;
        inner.view.rejected = tables.rejected;
        inner.view.sightings = tables.sightings;
        inner.view.uncovered_files = uncovered_files;
        inner.view.hot = inner.view.hot.after(through);
        self.shares().flushed(through);
        self.publish(&mut inner);
    }

    /// The stored rollup covers every frame up to `through`; `added` holds the
    /// same rows as the recent segments that it replaces.
    pub(super) fn rolled_up(
        &self,
        daily: Arc<TableSnapshot>,
        added: Option<Arc<Segment>>,
        through: u64,
    ) {
        let mut inner = self.lock();
        inner.view.daily = daily;
        inner.view.uncovered_files = Vec::new();
        if let Some(cube) = &mut inner.cube {
            cube.covered_through(through);
            cube.covered.extend(added);
        }
        self.publish(&mut inner);
    }

    /// Rewritten files: other files, the same rows.
    pub(super) fn rewritten(&self, tables: Tables) {
        let mut inner = self.lock();
        inner.view.set(tables);
        self.publish(&mut inner);
    }

    /// Reports of providers were replaced, or their files rewritten.
    pub(super) fn provider_costs_changed(&self, provider_costs: Arc<TableSnapshot>) {
        let mut inner = self.lock();
        inner.view.provider_costs = provider_costs;
        self.publish(&mut inner);
    }

    /// The rollup covers every frame up to `through` in another way than
    /// before: `covered` replaces its whole part of the cube.
    pub(super) fn rebuilt(
        &self,
        daily: Arc<TableSnapshot>,
        covered: Vec<Arc<Segment>>,
        through: u64,
    ) {
        let mut inner = self.lock();
        inner.view.daily = daily;
        inner.view.uncovered_files = Vec::new();
        if let Some(cube) = &mut inner.cube {
            cube.covered_through(through);
            cube.covered = covered;
        }
        self.publish(&mut inner);
    }

    /// Rows were added to the lake beside the hot buffer, and the stored rollup
    /// covers the lake by `covered`: both show in one step.
    pub(super) fn corrected(
        &self,
        events: Arc<TableSnapshot>,
        daily: Arc<TableSnapshot>,
        covered: Vec<Arc<Segment>>,
        at_micros: i64,
    ) {
        let mut inner = self.lock();
        inner.view.events = events;
        inner.view.daily = daily;
        inner.view.as_of_micros = inner.view.as_of_micros.max(at_micros);
        if let Some(cube) = &mut inner.cube {
            cube.covered = covered;
        }
        self.publish(&mut inner);
    }

    /// The lake holds the rows of a superseding frame, and `change` its sums:
    /// they show together with what is hot of it.
    pub(super) fn superseded(
        &self,
        change: SupersededTables,
        batch: HotBatch,
        withdrawals: Vec<Withdrawal>,
    ) {
        let mut inner = self.lock();
        inner.view.events = change.events;
        inner.view.daily = change.daily;
        inner.view.uncovered_files = Vec::new();
        inner.view.as_of_micros = inner.view.as_of_micros.max(batch.recorded_at_micros);
        if let Some(cube) = &mut inner.cube {
            cube.covered_through(change.through);
            cube.covered = change.covered;
        }
        inner.withdraw(withdrawals);
        inner.push(batch, None);
        self.publish(&mut inner);
    }

    /// Shows the tables as they are now; the rollup covers every frame up to
    /// `through` by `covered`.
    pub(super) fn reloaded(&self, tables: Tables, covered: Vec<Arc<Segment>>, through: u64) {
        let mut inner = self.lock();
        inner.view.set(tables);
        inner.view.uncovered_files = Vec::new();
        if let Some(cube) = &mut inner.cube {
            cube.covered_through(through);
            cube.covered = covered;
        }
        self.publish(&mut inner);
    }

    /// The rollup's segments, for joining them outside the lock.
    pub(super) fn covered_segments(&self) -> Vec<Arc<Segment>> {
        self.lock().cube.as_ref().map(|cube| cube.covered.clone()).unwrap_or_default()
    }

    /// Puts `joined` in the place of the segments it was made of. Only the
    /// flusher changes them, so they are still there.
    pub(super) fn join_covered(&self, parts: &[Arc<Segment>], joined: Arc<Segment>) {
        let mut inner = self.lock();
        if let Some(cube) = &mut inner.cube {
            let is_part = |one: &Arc<Segment>| parts.iter().any(|part| Arc::ptr_eq(part, one));
            cube.covered.retain(|one| !is_part(one));
            cube.covered.push(joined);
        }
        self.publish(&mut inner);
    }

    /// What is hot now.
    pub(super) fn hot_stats(&self) -> HotStats {
        let view = self.view();
        HotStats {
            rows: view.hot.rows(),
            bytes: view.hot.bytes(),
            oldest_micros: view.hot.batches().first().map(|batch| batch.recorded_at_micros),
        }
    }

    fn publish(&self, inner: &mut Inner) {
        inner.view.cube = inner.cube.as_ref().map(CubeState::snapshot);
        if inner.view.cube.as_ref().is_some_and(|cube| cube.bytes() > inner.cube_bytes_max) {
            tracing::warn!(
                limit = inner.cube_bytes_max,
                "the daily aggregates outgrew rollup_cache_bytes_max; they are read from Parquet now"
            );
            inner.cube = None;
            inner.view.cube = None;
        }
        self.published.store(Arc::new(inner.view.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn set(&mut self, tables: Tables) {
        self.events = tables.events;
        self.rejected = tables.rejected;
        self.daily = tables.daily;
        self.sightings = tables.sightings;
        self.provider_costs = tables.provider_costs;
    }
}

impl Inner {
    /// Adds a frame, as one hot batch and one segment.
    fn push(&mut self, batch: HotBatch, segment: Option<Arc<Segment>>) {
        self.view.sequence = batch.sequence;
        if let Some(cube) = &mut self.cube {
            cube.push(batch.sequence, segment);
        }
        self.view.hot = self.view.hot.with(Arc::new(batch));
        match join_hot(&self.view.hot, self.frozen_through) {
            Ok(Some((joined, count))) => {
                self.view.hot = joined;
                if let Some(cube) = &mut self.cube {
                    cube.join_newest(count);
                }
            }
            Ok(None) => {}
            // More pieces are slower to read, not wrong.
            Err(error) => {
                tracing::error!(error = error.full_message(), "hot rows stay unjoined");
            }
        }
    }

    fn withdraw(&mut self, withdrawals: Vec<Withdrawal>) {
        if withdrawals.is_empty() {
            return;
        }
        let mut batches = self.view.hot.batches().to_vec();
        for withdrawal in withdrawals {
            if let Some(cube) = &mut self.cube {
                cube.withdraw(&withdrawal);
            }
            let sequence = withdrawal.batch.sequence;
            if let Some(batch) = batches.iter_mut().find(|batch| batch.sequence == sequence) {
                *batch = Arc::new(withdrawal.batch);
            }
        }
        self.view.hot = HotSnapshot::from_batches(batches);
    }
}

/// Joins the newest small batches into one, and says how many they were.
fn join_hot(hot: &HotSnapshot, frozen_through: u64) -> Result<Option<(HotSnapshot, usize)>> {
    let batches = hot.batches();
    let open = batches.partition_point(|batch| batch.sequence <= frozen_through);
    let rows: Vec<usize> = batches[open..].iter().map(|batch| batch.rows()).collect();
    let count = pieces_to_join(&rows);
    if count < 2 {
        return Ok(None);
    }
    let (kept, parts) = batches.split_at(batches.len() - count);
    let join = |schema, rows: fn(&HotBatch) -> &RecordBatch| {
        let rows = parts.iter().map(|part| rows(part));
        concat_batches(&schema, rows).internal("joining hot rows")
    };
    let joined = HotBatch {
        sequence: parts.last().map_or(0, |part| part.sequence),
        events: join(usage_events_schema(), |part| &part.events)?,
        rejected: join(rejected_events_schema(), |part| &part.rejected)?,
        sightings: join(sightings_schema(), |part| &part.sightings)?,
        recorded_at_micros: parts.first().map_or(0, |part| part.recorded_at_micros),
    };
    Ok(Some((HotSnapshot::from_batches(kept.to_vec()).with(Arc::new(joined)), count)))
}
