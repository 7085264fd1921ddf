//! The one thread that acknowledges: group after group, each judged, appended
//! as one frame, synced, published, and only then answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::crash::crash_point;
use super::group::{JudgedGroup, PendingRequest, judge};
use super::old_events::OldEventReader;
use super::queue::{FairReceiver, tenant_of};
use super::recover::DirectoryLock;
use super::report::IngestReport;
use super::state::State;
use crate::dedup::Dedup;
use crate::directory::SharedDirectory;
use crate::error::{Error, ErrorKind, Result};
use crate::hot::HotBatch;
use crate::lake::Lake;
use crate::rollup::daily_rows;
use crate::wal::Wal;

/// A group takes no further request once it holds this many lines: bounds the
/// time to the next sync, and the memory of one frame.
const GROUP_LINES_MAX: usize = 50_000;

/// What must change together: the log and the memory of what it holds.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) wal: Wal,
    pub(super) dedup: Dedup,
}

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: PendingRequest,
    pub(super) reply: oneshot::Sender<Result<IngestReport>>,
}

/// The writer thread's parts.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) state: Arc<State>,
    pub(super) lake: Arc<Lake>,
    pub(super) old_events: Arc<OldEventReader>,
    /// Tells the flusher that more is hot.
    pub(super) flush_wanted: Arc<tokio::sync::Notify>,
    pub(super) flush_rows_max: usize,
    /// Says which months are closed. Read with the log locked, so that who
    /// closes a month knows by taking the lock that no later frame has rows of
    /// it.
    pub(super) directory: SharedDirectory,
    pub(super) _directory_lock: Arc<dyn DirectoryLock>,
}

impl Writer {
    /// Works until the sender is gone and nothing waits.
    pub(super) fn run(self, mut requests: FairReceiver<Waiting>) {
        while let Some(first) = requests.recv() {
            let mut lines = first.request.prepared.lines.len();
            let mut group = vec![first];
            while lines < GROUP_LINES_MAX {
                let Some(next) = requests.try_recv() else { break };
                lines += next.request.prepared.lines.len();
                group.push(next);
            }
            let (mut requests, replies): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
            let outcome = self.commit(&mut requests);
            answer(outcome, replies);
            if self.state.view().hot.rows() >= self.flush_rows_max {
                self.flush_wanted.notify_one();
            }
        }
    }

    /// Makes a group durable and visible.
    fn commit(&self, group: &mut [PendingRequest]) -> Result<Vec<IngestReport>> {
        let started = Instant::now();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = &mut *log;
        let covered_since = log.dedup.covered_since();
        for request in group.iter_mut().filter(|request| request.old.is_stale(covered_since)) {
            // Keys were forgotten while the request waited: about once a day.
            request.old =
                self.old_events.read(&request.prepared, covered_since, &self.lake.events)?;
        }
        let directory = self.directory.load();
        for request in group.iter_mut() {
            request.prepared.rebook(&directory)?;
        }
        let JudgedGroup { content, reports } = judge(group, |key| log.dedup.find(key))?;
        if content.is_empty() {
            return Ok(reports);
        }
        // All that can fail comes before the append: a frame that is in the
        // log but was answered with an error would be counted twice once the
        // sender resends it.
        let records = content.encode()?;
        let segment = match self.state.cube() {
            Some(cube) if content.events.num_rows() > 0 => {
                Some(cube.segment(&daily_rows(std::slice::from_ref(&content.events))?)?)
            }
            _ => None,
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
        let recorded_at = group.iter().map(|request| request.received_at).min();
        let batch = HotBatch {
            sequence,
            events: content.events,
            rejected: content.rejected,
            recorded_at_micros: recorded_at.map_or(0, |at| at.timestamp_micros()),
        };
        self.state.acknowledge(batch, segment);
        let stored = |report: &IngestReport| report.accepted + report.conflict + report.rejected;
        let shares = group.iter().zip(&reports).map(|(request, report)| {
            let rows = usize::try_from(stored(report)).unwrap_or(usize::MAX);
            (tenant_of(&request.prepared), rows)
        });
        self.state.share_hot(sequence, shares);
        metrics::histogram!("spendlake_group_commit_seconds").record(started.elapsed());
        metrics::gauge!("spendlake_wal_bytes").set(approximate(log.wal.bytes()));
        Ok(reports)
    }
}

/// A metric's value: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(super) fn approximate(count: u64) -> f64 {
    count as f64
}

fn answer(outcome: Result<Vec<IngestReport>>, replies: Vec<oneshot::Sender<Result<IngestReport>>>) {
    match outcome {
        Ok(reports) => {
            for (reply, report) in replies.into_iter().zip(reports) {
                // A sender that went away resends and is told `duplicate`.
                let _ = reply.send(Ok(report));
            }
        }
        Err(error) => {
            tracing::error!(error = error.full_message(), "a group of requests was not stored");
            let kind = match error.kind() {
                ErrorKind::Internal => ErrorKind::Internal,
                _ => ErrorKind::Unavailable,
            };
            for reply in replies {
                let _ = reply.send(Err(Error::new(kind, error.full_message())));
            }
        }
    }
}
