//! Merging runs into one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use super::run::{BLOCK_BYTES, Run, entry_fingerprint, entry_key};
use super::run_writer::write_entries;
use crate::error::Result;

/// Runs that are to become one.
#[derive(Debug)]
pub struct MergePlan {
    /// Names the merged run.
    pub(super) number: u64,
    /// Oldest first; at least two.
    pub(super) runs: Vec<Arc<Run>>,
}

/// Writes the merged run of `plan`, holding one block of each run in memory
/// besides the new run's index. Needs no lock.
///
/// Errors: `Unavailable` for a full or failing disk and for damaged runs.
pub fn merge_runs(dir: &Path, plan: &MergePlan) -> Result<Run> {
    let entries = || plan.runs.iter().map(|run| &run.entry);
    let day_min = entries().map(|entry| entry.day_min).min().unwrap_or_default();
    let day_max = entries().map(|entry| entry.day_max).max().unwrap_or_default();
    let rows_max = entries().map(|entry| entry.rows).sum();
    let merge = Merge::new(&plan.runs)?;
    write_entries(dir, plan.number, (day_min, day_max), rows_max, merge)
}

/// The entries of several runs by ascending key, each key once.
struct Merge<'a> {
    cursors: Vec<Cursor<'a>>,
    /// The next entry of each run: key, the run's place, fingerprint. Of equal
    /// keys the oldest run's comes first, and is kept.
    heads: BinaryHeap<Reverse<(u128, usize, u64)>>,
    key_before: Option<u128>,
}

impl<'a> Merge<'a> {
    fn new(runs: &'a [Arc<Run>]) -> Result<Self> {
        let cursors = runs.iter().map(|run| Cursor::new(run)).collect();
        let mut merge = Self { cursors, heads: BinaryHeap::new(), key_before: None };
        for place in 0..runs.len() {
            merge.advance(place)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, place: usize) -> Result<()> {
        if let Some((key, fingerprint)) = self.cursors[place].next()? {
            self.heads.push(Reverse((key, place, fingerprint)));
        }
        Ok(())
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(u128, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((key, place, fingerprint)) = self.heads.pop()?;
            if let Err(error) = self.advance(place) {
                return Some(Err(error));
            }
            if self.key_before.replace(key) != Some(key) {
                return Some(Ok((key, fingerprint)));
            }
        }
    }
}

/// Reads a run from its start, block by block.
struct Cursor<'a> {
    run: &'a Run,
    block_next: usize,
    /// The entries of the block that was read last, in reverse order.
    entries: Vec<(u128, u64)>,
}

impl<'a> Cursor<'a> {
    fn new(run: &'a Run) -> Self {
        Self { run, block_next: 0, entries: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<(u128, u64)>> {
        if self.entries.is_empty() && self.block_next < self.run.block_count() {
            let mut buffer = [0; BLOCK_BYTES];
            let entries = self.run.read_block(self.block_next, &mut buffer)?;
            let pairs = entries.iter().map(|entry| (entry_key(entry), entry_fingerprint(entry)));
            self.entries.extend(pairs.rev());
            self.block_next += 1;
        }
        Ok(self.entries.pop())
    }
}
