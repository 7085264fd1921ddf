//! The daily aggregates in memory: what the stored rollup covers, and one
//! segment for each hot batch that it does not cover yet.

use std::sync::Arc;

use super::open_hot::Withdrawal;
use crate::rollup::{Cube, CubeSnapshot, Segment};

/// The cube's segment of one or more frames.
#[derive(Debug, Clone)]
struct RecentSegment {
    /// The last frame it holds.
    sequence: u64,
    /// `None` where the frames brought no events.
    segment: Option<Arc<Segment>>,
}

/// The daily aggregates in memory.
#[derive(Debug)]
pub(super) struct CubeState {
    pub(super) cube: Arc<Cube>,
    /// What the stored rollup covers.
    pub(super) covered: Vec<Arc<Segment>>,
    /// Frames that it does not cover yet, oldest first. Those that are not
    /// being flushed stand as the hot batches do, one for one, so that the
    /// rows of a segment can be found.
    recent: Vec<RecentSegment>,
}

impl CubeState {
    pub(super) fn new(cube: Arc<Cube>, covered: Vec<Arc<Segment>>) -> Self {
        Self { cube, covered, recent: Vec::new() }
    }

    pub(super) fn snapshot(&self) -> CubeSnapshot {
        let recent = self.recent.iter().filter_map(|recent| recent.segment.clone());
        self.cube.snapshot(self.covered.iter().cloned().chain(recent).collect())
    }

    /// Adds what the frame `sequence` brought.
    pub(super) fn push(&mut self, sequence: u64, segment: Option<Arc<Segment>>) {
        self.recent.push(RecentSegment { sequence, segment });
    }

    /// Joins the newest `count` segments, as the hot batches were joined.
    pub(super) fn join_newest(&mut self, count: usize) {
        let parts = self.recent.split_off(self.recent.len().saturating_sub(count));
        let sequence = parts.last().map_or(0, |part| part.sequence);
        let segments: Vec<_> = parts.into_iter().filter_map(|part| part.segment).collect();
        let segment = match segments.len() {
            0 | 1 => segments.into_iter().next(),
            _ => Some(self.cube.merge(&segments)),
        };
        self.recent.push(RecentSegment { sequence, segment });
    }

    /// Puts the segment of what is left of a hot batch in the place of its
    /// own.
    pub(super) fn withdraw(&mut self, withdrawal: &Withdrawal) {
        let sequence = withdrawal.batch.sequence;
        let recent = self.recent.iter_mut().find(|recent| recent.sequence == sequence);
        debug_assert!(recent.is_some(), "hot batches and segments stand one for one");
        if let Some(recent) = recent {
            recent.segment.clone_from(&withdrawal.segment);
        }
    }

    /// The stored rollup covers every frame up to `through`.
    pub(super) fn covered_through(&mut self, through: u64) {
        self.recent.retain(|recent| recent.sequence > through);
    }
}
