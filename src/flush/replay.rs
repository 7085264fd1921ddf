//! Replays the log: what only it holds becomes hot again, and what the tables
//! hold already does not.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use super::open_hot::{OpenHot, for_each_request, segment_of, texts};
use super::record::{FrameContent, Withdrawn};
use super::recover::HeldSequences;
use super::requests::RecentRequests;
use super::state::State;
use super::superseding::Superseding;
use crate::dedup::Dedup;
use crate::error::{Error, Result};
use crate::hot::HotBatch;
use crate::model::{Entry, Winner, rejected_events_schema, sightings_schema, usage_events_schema};
use crate::rollup::Cube;
use crate::wal::Frame;

/// Puts replayed frames where the acknowledgement had put them.
#[derive(Debug)]
pub(super) struct Replay {
    state: Arc<State>,
    cube: Arc<Cube>,
    held: HeldSequences,
    frames: u64,
    requests: RecentRequests,
    /// By their frames' sightings, what leaves the hot buffer.
    withdrawn: Vec<(RecordBatch, Vec<Withdrawn>)>,
    unapplied: Vec<Superseding>,
}

impl Replay {
    pub(super) fn new(state: Arc<State>, cube: Arc<Cube>, held: HeldSequences) -> Self {
        Self {
            state,
            cube,
            held,
            frames: 0,
            requests: RecentRequests::default(),
            withdrawn: Vec::new(),
            unapplied: Vec::new(),
        }
    }

    pub(super) fn frame(&mut self, frame: &Frame, dedup: &mut Dedup) -> Result<()> {
        let flushed = self.held.latest();
        if self.frames == 0 && frame.sequence > flushed + 1 {
            return Err(Error::unavailable(format!(
                "the write-ahead log starts with frame {}, but the lake holds frames up to \
                 {flushed}: a log file is missing; restore it from a backup (nothing was changed)",
                frame.sequence
            )));
        }
        self.frames += 1;
        let mut content = FrameContent::decode(&frame.records)?;
        for key in &content.keys {
            dedup.insert(key.key, key.fingerprint);
        }
        let mut fresh: HashSet<u128> = content.keys.iter().map(|key| key.key).collect();
        self.remember(&content.events, &mut fresh, frame.sequence)?;
        self.remember(&content.superseding, &mut fresh, frame.sequence)?;
        if frame.sequence <= self.held.events {
            content.events = RecordBatch::new_empty(usage_events_schema());
        }
        if frame.sequence <= self.held.rejected {
            content.rejected = RecordBatch::new_empty(rejected_events_schema());
        }
        if !content.withdrawn.is_empty() {
            self.withdrawn.push((content.sightings.clone(), content.withdrawn.clone()));
        }
        if frame.sequence > self.held.superseding {
            let at = recorded_at(&content);
            self.unapplied.extend(Superseding::of(&content, frame.sequence, at));
        }
        if frame.sequence <= self.held.sightings {
            content.sightings = RecordBatch::new_empty(sightings_schema());
        }
        if content.is_empty() {
            return Ok(());
        }
        let segment = segment_of(&content.events, Some(&self.cube))?;
        let recorded_at_micros = recorded_at(&content);
        let FrameContent { events, rejected, sightings, .. } = content;
        let sequence = frame.sequence;
        let batch = HotBatch { sequence, events, rejected, sightings, recorded_at_micros };
        self.state.acknowledge(batch, segment, Vec::new());
        Ok(())
    }

    /// The requests of a frame's events count by these from now on. `fresh`
    /// has the keys of those that the frame was the first to name.
    fn remember(
        &mut self,
        events: &RecordBatch,
        fresh: &mut HashSet<u128>,
        sequence: u64,
    ) -> Result<()> {
        let (sources, event_ids) = (texts(events, "source")?, texts(events, "event_id")?);
        let entries = texts(events, "entry")?;
        let requests = &mut self.requests;
        for_each_request(events, |row, key| {
            if entries.value(row) == Entry::Usage.as_str() {
                let text = |texts: &StringArray| texts.value(row).to_owned();
                let winner = Winner { source: text(sources), event_id: text(event_ids) };
                let other = requests.find(key).is_some_and(|known| known.source != winner.source);
                // An event is beside others unless it is known to be the first
                // one, or to take the place of another source's.
                match fresh.remove(&key) || other {
                    true => requests.insert(key, winner, sequence),
                    false => requests.join(key, winner, sequence),
                }
            }
        })
    }

    /// Withdraws what the frames withdrew, all at once: nobody takes a view
    /// yet, and each time costs a pass over a batch.
    pub(super) fn finish(self) -> Result<(RecentRequests, Vec<Superseding>)> {
        let hot = OpenHot::new(self.state.open_hot());
        let mut rows = Vec::new();
        for (sightings, withdrawn) in &self.withdrawn {
            rows.extend(hot.locate_all(sightings, withdrawn)?);
        }
        self.state.withdraw(hot.without(&rows, Some(&self.cube))?);
        Ok((self.requests, self.unapplied))
    }
}

fn recorded_at(content: &FrameContent) -> i64 {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    let first = |batch: &RecordBatch, name: &str| {
        let column = batch.column_by_name(name)?.as_primitive::<TimestampMicrosecondType>();
        (!column.is_empty()).then(|| column.value(0))
    };
    first(&content.events, "recorded_at")
        .or_else(|| first(&content.rejected, "received_at"))
        .or_else(|| first(&content.sightings, "received_at"))
        .unwrap_or(0)
}
