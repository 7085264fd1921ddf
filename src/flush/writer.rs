//! The one thread that acknowledges: group after group, each committed as one
//! frame, and only then answered.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::commit::{Committed, Committer, Right, Verdict};
use super::compete::Competition;
use super::group::PendingRequest;
use super::queue::FairReceiver;
use super::recover::DirectoryLock;
use super::report::IngestReport;
use super::requests::RecentRequests;
use crate::dedup::Dedup;
use crate::error::{Error, ErrorKind, Result};
use crate::wal::Wal;

/// A group takes no further request once it holds this many lines: bounds the
/// time to the next sync, and the memory of one frame.
pub(super) const GROUP_LINES_MAX: usize = 50_000;

/// What must change together: the log and the memory of what it holds.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) wal: Wal,
    pub(super) dedup: Dedup,
    pub(super) requests: RecentRequests,
}

/// Who waits for an answer.
pub(super) type Reply = oneshot::Sender<Result<IngestReport>>;

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: PendingRequest,
    pub(super) reply: Reply,
}

/// The writer thread's parts.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) committer: Arc<Committer>,
    /// Takes over what cannot be judged at once.
    pub(super) competition: Arc<Competition>,
    /// Tells the flusher that more is hot.
    pub(super) flush_wanted: Arc<tokio::sync::Notify>,
    pub(super) flush_rows_max: usize,
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
            let (requests, replies): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
            match self.committer.commit(requests, Right::WhenFree) {
                Ok(Committed { verdicts, .. }) => self.answer_each(verdicts, replies),
                Err(error) => answer(Err(error), replies),
            }
            if self.committer.state.view().hot.rows() >= self.flush_rows_max {
                self.flush_wanted.notify_one();
            }
        }
    }

    fn answer_each(&self, verdicts: Vec<Verdict>, replies: Vec<Reply>) {
        for (verdict, reply) in verdicts.into_iter().zip(replies) {
            match verdict {
                Verdict::Stored(report) => answer(Ok(vec![report]), vec![reply]),
                Verdict::Aside(request, _) => {
                    self.competition.enter(Waiting { request: *request, reply });
                }
            }
        }
    }
}

/// A metric's value: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(super) fn approximate(count: u64) -> f64 {
    count as f64
}

/// Tells each of `replies` its report, or all of them what went wrong.
pub(super) fn answer(outcome: Result<Vec<IngestReport>>, replies: Vec<Reply>) {
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
                kind @ (ErrorKind::Internal | ErrorKind::Busy) => kind,
                _ => ErrorKind::Unavailable,
            };
            for reply in replies {
                let _ = reply.send(Err(Error::new(kind, error.full_message())));
            }
        }
    }
}
