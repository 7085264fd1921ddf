//! Every measure of every group of a scan.

use std::sync::Arc;

use super::aggregate::{GroupSums, Groups, Rows, choose_times};
use super::distinct::Distinct;
use super::latest::Latest;
use super::plan::Plan;
use super::segment::{CONVERSATION, Columns, STATUS, Segment, TOPIC, USER};
use super::sums::{COUNTS, ENTRIES, EVENTS, UNCHARGED_EVENTS};

/// Neighbours of one group, on average, from which they are added together.
const RUN_GROUPS_ROWS_MIN: usize = 8;

/// The measures of every group, by group number.
#[derive(Debug)]
pub(super) struct GroupMeasures {
    pub(super) counts: [GroupSums<i64>; COUNTS.len()],
    pub(super) duration_ms: GroupSums<i64>,
    pub(super) actual: GroupSums<i128>,
    pub(super) charged: GroupSums<i128>,
    pub(super) unpriced_charged: GroupSums<i128>,
    pub(super) first: Vec<i64>,
    pub(super) last: Vec<i64>,
    pub(super) status: Latest,
    pub(super) topic: Latest,
    pub(super) users: Distinct,
    pub(super) conversations: Distinct,
}

impl GroupMeasures {
    pub(super) fn new(plan: &Plan, segments: &[Arc<Segment>], rows: usize) -> Self {
        let users = segments.iter().flat_map(|segment| segment.reversed_users.iter().copied());
        let conversations =
            segments.iter().flat_map(|segment| segment.reversed_conversations.iter().copied());
        Self {
            counts: Default::default(),
            duration_ms: GroupSums::default(),
            actual: GroupSums::default(),
            charged: GroupSums::default(),
            unpriced_charged: GroupSums::default(),
            first: Vec::new(),
            last: Vec::new(),
            status: Latest::default(),
            topic: Latest::default(),
            users: Distinct::new(plan.users, rows, users),
            conversations: Distinct::new(plan.conversations, rows, conversations),
        }
    }

    /// Makes room for `count` groups.
    pub(super) fn grow(&mut self, count: usize) {
        for sums in self.counts.iter_mut().chain([&mut self.duration_ms]) {
            sums.grow(count);
        }
        for sums in [&mut self.actual, &mut self.charged, &mut self.unpriced_charged] {
            sums.grow(count);
        }
        self.first.resize(count, i64::MAX);
        self.last.resize(count, i64::MIN);
        self.status.grow(count);
        self.topic.grow(count);
        self.users.grow(count);
        self.conversations.grow(count);
    }

    /// Adds the rows of a step; there are `count` groups now.
    pub(super) fn add_step(
        &mut self,
        columns: &Columns,
        rows: Rows<'_>,
        groups: Groups<'_>,
        count: usize,
    ) {
        if count > self.first.len() {
            self.grow(count);
        }
        let Groups::Each(each) = groups else {
            return self.add(columns, rows, groups);
        };
        let runs = each.chunk_by(|one, other| one == other);
        if runs.clone().count() * RUN_GROUPS_ROWS_MIN > each.len() {
            return self.add(columns, rows, groups);
        }
        // Rows are sorted: neighbours that share their group add up in a
        // register instead of in memory.
        let mut start = 0;
        for run in runs {
            let end = start + run.len();
            self.add(columns, rows.part(start..end), Groups::One(run[0] as usize));
            start = end;
        }
    }

    fn add(&mut self, columns: &Columns, rows: Rows<'_>, groups: Groups<'_>) {
        let measures = &columns.measures;
        for (place, (sums, column)) in self.counts.iter_mut().zip(&measures.counts).enumerate() {
            if place != ENTRIES && place != UNCHARGED_EVENTS {
                sums.add(column, rows, groups);
            }
        }
        self.duration_ms.add_nullable(&measures.duration_ms, rows, groups);
        self.actual.add_nullable(&measures.actual, rows, groups);
        self.charged.add_nullable(&measures.charged, rows, groups);
        self.unpriced_charged.add(&measures.unpriced_charged, rows, groups);
        choose_times(&mut self.first, &measures.first, rows, groups, i64::min);
        choose_times(&mut self.last, &measures.last, rows, groups, i64::max);
        self.status.add(&columns.codes[STATUS], &measures.last, rows, groups);
        self.topic.add(&columns.codes[TOPIC], &measures.last, rows, groups);
        let events = &measures.counts[EVENTS];
        self.users.add(&columns.codes[USER], events, rows, groups);
        self.conversations.add(&columns.codes[CONVERSATION], events, rows, groups);
    }

    /// Whether some sum went beyond its width.
    pub(super) fn overflowed(&self) -> bool {
        let longs = self.counts.iter().chain([&self.duration_ms]);
        let monies = [&self.actual, &self.charged, &self.unpriced_charged];
        longs.into_iter().any(|sums| sums.overflowed)
            || monies.into_iter().any(|sums| sums.overflowed)
    }
}
