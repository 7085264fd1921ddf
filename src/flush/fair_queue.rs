//! Which request is next: one lane a tenant, served by deficit round robin
//! (Shreedhar and Varghese, 1995) over rows, so that who floods the server
//! waits behind himself. Pure; `queue` puts threads around it. SQL statements
//! wait in one too (`engine::places`), each as dear as a whole turn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Rows that a lane may send in its turn. A request of more rows waits for
/// several turns, a lane of small ones sends several in one.
pub(crate) const TURN_ROWS: usize = 1_000;

/// What may wait at once, over all lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueBounds {
    /// Requests (`ingest_queue_max`).
    pub(crate) requests: usize,
    /// Rows (`ingest_queue_rows_max`).
    pub(crate) rows: usize,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Requests that wait for the log.
    pub requests: usize,
    /// Their rows.
    pub rows: usize,
    /// Tenants that they are of.
    pub lanes: usize,
}

/// Why a request finds no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many requests wait; of this lane alone, when `lane`.
    Requests { lane: bool },
    /// Too many rows wait; of this lane alone, when `lane`.
    Rows { lane: bool },
}

/// Whether somebody who holds `held` of the `total` that is taken may take
/// `more` of `bound`. A newcomer takes what is there. Who holds something must
/// leave as much free as he then holds: one alone gets half, two get a third
/// each, and the next newcomer still finds room. (The dynamic threshold of
/// Choudhury and Hahne, 1998.)
pub fn may_hold(held: usize, more: usize, total: usize, bound: usize) -> bool {
    let left = bound.checked_sub(total.saturating_add(more));
    left.is_some_and(|left| held == 0 || held.saturating_add(more) <= left)
}

#[derive(Debug)]
struct Entry<T> {
    rows: usize,
    item: T,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<Entry<T>>,
    rows: usize,
    /// Rows that it may send now; kept while it waits for enough.
    deficit: usize,
}

/// Requests that wait, by tenant.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    bounds: QueueBounds,
    lanes: HashMap<Arc<str>, Lane<T>>,
    /// Every lane in `lanes` once; the front one has the turn.
    round: VecDeque<Arc<str>>,
    /// Whether the front lane got this turn's rows already.
    turn_begun: bool,
    requests: usize,
    rows: usize,
}

impl<T> FairQueue<T> {
    pub(crate) fn new(bounds: QueueBounds) -> Self {
        let (lanes, round) = (HashMap::new(), VecDeque::new());
        Self { bounds, lanes, round, turn_begun: false, requests: 0, rows: 0 }
    }

    /// Puts `item` at the end of its tenant's lane, or gives it back with the
    /// reason. A queue that is empty takes a request of any size.
    pub(crate) fn push(&mut self, tenant: &str, rows: usize, item: T) -> Result<(), (T, Full)> {
        // A request without rows still costs a place.
        let rows = rows.max(1);
        if let Some(full) = self.full(tenant, rows) {
            return Err((item, full));
        }
        self.requests += 1;
        self.rows += rows;
        if !self.lanes.contains_key(tenant) {
            let tenant: Arc<str> = tenant.into();
            self.round.push_back(Arc::clone(&tenant));
            self.lanes.insert(tenant, Lane { waiting: VecDeque::new(), rows: 0, deficit: 0 });
        }
        if let Some(lane) = self.lanes.get_mut(tenant) {
            lane.rows += rows;
            lane.waiting.push_back(Entry { rows, item });
        }
        Ok(())
    }

    fn full(&self, tenant: &str, rows: usize) -> Option<Full> {
        if self.requests == 0 {
            return None;
        }
        let held = self.lanes.get(tenant).map_or((0, 0), |lane| (lane.waiting.len(), lane.rows));
        let QueueBounds { requests, rows: rows_max } = self.bounds;
        if !may_hold(held.0, 1, self.requests, requests) {
            return Some(Full::Requests { lane: self.requests < requests });
        }
        if !may_hold(held.1, rows, self.rows, rows_max) {
            return Some(Full::Rows { lane: self.rows + rows <= rows_max });
        }
        None
    }

    /// Takes the request that is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.pop_where(|_| true)
    }

    /// Takes the request that is next among the tenants that are `ready`. The
    /// others keep their place in the round and save nothing up.
    pub(crate) fn pop_where(&mut self, ready: impl Fn(&str) -> bool) -> Option<T> {
        if !self.round.iter().any(|tenant| ready(tenant)) {
            return None;
        }
        loop {
            let tenant = self.round.front()?;
            if ready(tenant) {
                let lane = self.lanes.get_mut(tenant)?;
                if !self.turn_begun {
                    lane.deficit += TURN_ROWS;
                    self.turn_begun = true;
                }
                if let Some(entry) = lane.waiting.pop_front_if(|next| next.rows <= lane.deficit) {
                    lane.deficit -= entry.rows;
                    lane.rows -= entry.rows;
                    self.requests -= 1;
                    self.rows -= entry.rows;
                    if lane.waiting.is_empty() {
                        self.lanes.remove(tenant);
                        self.round.pop_front();
                        self.turn_begun = false;
                    }
                    return Some(entry.item);
                }
            }
            self.round.rotate_left(1);
            self.turn_begun = false;
        }
    }

    /// Drops what waits in vain.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let front = self.round.front().cloned();
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|entry| keep(&entry.item));
            lane.rows = lane.waiting.iter().map(|entry| entry.rows).sum();
        }
        self.lanes.retain(|_, lane| !lane.waiting.is_empty());
        self.round.retain(|tenant| self.lanes.contains_key(tenant));
        if self.round.front() != front.as_ref() {
            self.turn_begun = false;
        }
        self.requests = self.lanes.values().map(|lane| lane.waiting.len()).sum();
        self.rows = self.lanes.values().map(|lane| lane.rows).sum();
    }

    pub(crate) fn stats(&self) -> QueueStats {
        QueueStats { requests: self.requests, rows: self.rows, lanes: self.lanes.len() }
    }
}

#[cfg(test)]
mod tests;
