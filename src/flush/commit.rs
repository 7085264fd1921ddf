//! Makes a group of requests durable and visible: judged, appended as one
//! frame, synced, published.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use chrono::{DateTime, Utc};

use super::booking::bookings;
use super::contest::{Contest, Place};
use super::crash::crash_point;
use super::found::Found;
use super::group::{JudgedGroup, Lost, NewWinner, PendingRequest, Wanted, judge, wanted};
use super::known::Known;
use super::old_events::OldEventReader;
use super::open_hot::{HotRow, OpenHot, segment_of};
use super::queue::tenant_of;
use super::record::{FrameContent, Withdrawn};
use super::report::IngestReport;
use super::state::State;
use super::superseding::Superseding;
use super::writer::{Log, approximate};
use crate::directory::{Directory, SharedDirectory};
use crate::error::{Context, Error, Result};
use crate::hot::HotBatch;
use crate::lake::Lake;
use crate::model::{
    CorrectionStamp, PRECEDENCE_CORRECTION, SourcePrecedence, Winner, reversals, sightings_batch,
    sightings_schema, usage_events_schema,
};

/// Acknowledges. Whoever has the log's lock is alone in it.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) state: Arc<State>,
    pub(super) lake: Arc<Lake>,
    pub(super) old_events: Arc<OldEventReader>,
    /// Says which months are closed. Read with the log locked, so that who
    /// closes a month knows by taking the lock that no later frame has rows of
    /// it.
    pub(super) directory: SharedDirectory,
    pub(super) precedence: SourcePrecedence,
    /// Held by whoever corrects stored events.
    pub(super) correcting: Arc<tokio::sync::Mutex<()>>,
}

/// What a committing caller may do to stored events.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right<'a> {
    /// Withdraw hot ones, while nobody corrects.
    WhenFree,
    /// Withdraw hot ones: the caller holds the right to correct.
    Held,
    /// And take back those that were looked up: the caller holds the
    /// flusher's turn, too, and applies what comes of it.
    HeldWith(&'a Found),
}

/// What became of one request.
#[derive(Debug)]
pub(super) enum Verdict {
    Stored(IngestReport),
    /// Nothing of it was stored: these have to be looked up first.
    Aside(Box<PendingRequest>, Wanted),
}

/// What became of a group.
#[derive(Debug)]
pub(super) struct Committed {
    /// Of each request, in order.
    pub(super) verdicts: Vec<Verdict>,
    /// Durable, and to be applied to the lake before it shows.
    pub(super) superseding: Option<Superseding>,
}

/// A group after its judgement, ready to be written.
#[derive(Debug)]
struct Frame {
    content: FrameContent,
    /// Rows that leave the hot buffer.
    withdrawn: Vec<HotRow>,
    winners: Vec<NewWinner>,
    /// When its oldest request arrived, microseconds since 1970.
    recorded_at_micros: i64,
}

impl Committer {
    /// Makes a group durable and visible, but for what [`Verdict::Aside`]
    /// leaves out.
    pub(super) fn commit(&self, group: Vec<PendingRequest>, right: Right<'_>) -> Result<Committed> {
        let started = Instant::now();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = &mut *log;
        let directory = self.directory.load();
        let group = self.brought_up_to_date(group, log, &directory)?;
        // Held until the frame is published: what others read and then correct
        // does not leave the hot buffer meanwhile.
        let free = match right {
            Right::WhenFree if names_requests(&group) => self.correcting.try_lock().ok(),
            _ => None,
        };
        let may_withdraw = free.is_some() || !matches!(right, Right::WhenFree);
        let hot = OpenHot::new(if may_withdraw { self.state.open_hot() } else { Vec::new() });
        let nothing = Found::nothing();
        let found = if let Right::HeldWith(found) = right { found } else { &nothing };
        let closed_months = directory.closed_months();
        let known = Known { log, hot: may_withdraw.then_some(&hot), found, closed_months };
        let mut contest = Contest::new(&self.precedence);
        let (mut clear, mut verdicts) = (Vec::with_capacity(group.len()), Vec::new());
        for request in group {
            let wanted = wanted(&request, &known, &mut contest)?;
            if wanted.is_empty() {
                clear.push(request);
                verdicts.push(None);
            } else {
                verdicts.push(Some(Verdict::Aside(Box::new(request), wanted)));
            }
        }
        let judged = judge(&mut clear, &known, contest)?;
        let mut reports = judged.reports.clone().into_iter();
        let superseding = match judged.content.is_empty() {
            true => None,
            false => {
                let frame = self.frame(judged, &clear, &hot, found)?;
                let superseding = self.write(frame, log, &hot)?;
                let shares = clear.iter().zip(reports.as_slice()).map(|(request, report)| {
                    let rows = report.accepted + report.conflict + report.rejected;
                    let rows = rows + report.sighting;
                    (tenant_of(&request.prepared), usize::try_from(rows).unwrap_or(usize::MAX))
                });
                self.state.share_hot(log.wal.last_sequence(), shares);
                superseding
            }
        };
        drop(free);
        metrics::histogram!("spendlake_group_commit_seconds").record(started.elapsed());
        let stored =
            |verdict: Option<Verdict>| verdict.or_else(|| reports.next().map(Verdict::Stored));
        Ok(Committed { verdicts: verdicts.into_iter().filter_map(stored).collect(), superseding })
    }

    fn brought_up_to_date(
        &self,
        mut group: Vec<PendingRequest>,
        log: &Log,
        directory: &Arc<Directory>,
    ) -> Result<Vec<PendingRequest>> {
        let covered_since = log.dedup.covered_since();
        for request in &mut group {
            if request.old.is_stale(covered_since) {
                // Keys were forgotten while the request waited: about once a day.
                request.old =
                    self.old_events.read(&request.prepared, covered_since, &self.lake.events)?;
            }
            request.prepared.rebook(directory)?;
        }
        Ok(group)
    }

    /// Adds the stored events that count no more.
    fn frame(
        &self,
        judged: JudgedGroup,
        group: &[PendingRequest],
        hot: &OpenHot,
        found: &Found,
    ) -> Result<Frame> {
        let JudgedGroup { mut content, lost, winners, .. } = judged;
        let recorded_at = group.iter().map(|request| request.received_at).min();
        let recorded_at_micros = recorded_at.map_or(0, |at| at.timestamp_micros());
        let (mut withdrawn, mut stored, mut sightings) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        // As many at once as can be: a source that repeats its ids may have
        // thousands of events that give way to one.
        for run in lost.chunk_by(Lost::stands_beside) {
            let (mut hot_places, mut stored_places) = (Vec::new(), Vec::new());
            for Lost { place, .. } in run {
                match *place {
                    Place::Hot(place) => {
                        hot_places.push(place);
                        content.withdrawn.push(Withdrawn { frame: place.frame, row });
                    }
                    Place::Stored(place) => stored_places.push(place),
                    place @ (Place::Line(_) | Place::Void | Place::Elsewhere) => {
                        let message = format!("an event at {place:?} cannot give way");
                        return Err(Error::internal(message));
                    }
                }
                row += 1;
            }
            let rows = match hot_places.is_empty() {
                true => found.rows(&stored_places)?,
                false => hot.rows(&hot_places)?,
            };
            let winners: Vec<&Winner> = run.iter().map(|lost| &lost.winner).collect();
            if let Some(first) = run.first() {
                sightings.push(sightings_batch(&rows, &winners, first.received_at)?);
            }
            withdrawn.extend(hot_places);
            stored.extend(stored_places);
        }
        let doing = "joining sightings";
        let all = sightings.iter().chain([&content.sightings]);
        content.sightings = concat_batches(&sightings_schema(), all).internal(doing)?;
        if !stored.is_empty() {
            let taken_back = self.taken_back(&found.rows(&stored)?, group)?;
            let rows = [&taken_back, &content.events];
            content.superseding = concat_batches(&usage_events_schema(), rows).internal(doing)?;
            content.events = RecordBatch::new_empty(usage_events_schema());
        }
        Ok(Frame { content, withdrawn, winners, recorded_at_micros })
    }

    /// The rows that take `rows` back.
    fn taken_back(&self, rows: &RecordBatch, group: &[PendingRequest]) -> Result<RecordBatch> {
        let last = group.last().ok_or_else(|| Error::internal("an empty group takes back"))?;
        let at = last.received_at;
        let bookings = bookings(rows, &last.prepared.directory, at)?;
        reversals(rows, &bookings, &stamp(at))
    }

    /// Appends, syncs and publishes. All that can fail comes before the append:
    /// a frame that is in the log but was answered with an error would be
    /// counted twice once the sender resends it.
    fn write(&self, frame: Frame, log: &mut Log, hot: &OpenHot) -> Result<Option<Superseding>> {
        let Frame { content, withdrawn, winners, recorded_at_micros } = frame;
        let records = content.encode()?;
        let cube = self.state.cube();
        let segment = segment_of(&content.events, cube.as_deref())?;
        let supersedes = content.superseding.num_rows() > 0;
        let withdrawals = match supersedes {
            // They go together with the rows that count instead.
            true => Vec::new(),
            false => hot.without(&withdrawn, cube.as_deref())?,
        };
        let sequence = log.wal.append(&records)?;
        crash_point("after_wal_append");
        let sync_started = Instant::now();
        log.wal.sync()?;
        metrics::histogram!("spendlake_wal_sync_seconds").record(sync_started.elapsed());
        crash_point("after_fsync");
        for key in &content.keys {
            log.dedup.insert(key.key, key.fingerprint);
        }
        for NewWinner { key, event, beside } in winners {
            match beside {
                true => log.requests.join(key, event, sequence),
                false => log.requests.insert(key, event, sequence),
            }
        }
        let superseding = Superseding::of(&content, sequence, recorded_at_micros);
        let FrameContent { events, rejected, mut sightings, .. } = content;
        if supersedes {
            sightings = RecordBatch::new_empty(sightings_schema());
        }
        let batch = HotBatch { sequence, events, rejected, sightings, recorded_at_micros };
        self.state.acknowledge(batch, segment, withdrawals);
        metrics::gauge!("spendlake_wal_bytes").set(approximate(log.wal.bytes()));
        Ok(superseding)
    }
}

/// Names the correction by which events give way.
fn stamp(at: DateTime<Utc>) -> CorrectionStamp {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos());
    CorrectionStamp { id: format!("{PRECEDENCE_CORRECTION}{}", uuid::Uuid::new_v7(time)), at }
}

/// Whether an event of `group` says which request it is of.
fn names_requests(group: &[PendingRequest]) -> bool {
    let mut events = group.iter().flat_map(|request| &request.prepared.events);
    events.any(|event| event.request_id.is_some())
}
