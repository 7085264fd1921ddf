//! Requests with events that cannot be judged by what is in memory: what they
//! compete with is looked up, while nobody else changes stored events.
//!
//! It costs a look into the files of a day, and, where a stored event gives
//! way, the sums of that day. So those that wait are taken together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::commit::{Committed, Committer, Right, Verdict};
use super::flusher::{Flusher, Turn};
use super::found::{Found, Search};
use super::group::{PendingRequest, Wanted};
use super::report::IngestReport;
use super::writer::{GROUP_LINES_MAX, Waiting, answer};
use crate::error::{Context, Error, ErrorKind, Result};

/// Looks before a request is turned away. Each finds what the one before did
/// not know of; only events of the very same calls can make for another one.
const LOOKS_MAX: usize = 8;

/// Requests that wait for a look at stored events.
#[derive(Debug)]
pub(super) struct Competition {
    pub(super) committer: Arc<Committer>,
    pub(super) flusher: Arc<Flusher>,
    /// Runs the looks: the writer is a thread of its own.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) waiting: Mutex<VecDeque<Waiting>>,
    /// Requests that may wait.
    pub(super) waiting_max: usize,
}

/// Requests of one look, each with its place among them.
type Open = Vec<(usize, PendingRequest)>;

impl Competition {
    /// Takes a request over. It is answered even when nobody waits any more.
    pub(super) fn enter(self: &Arc<Self>, waiting: Waiting) {
        {
            let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= self.waiting_max {
                let busy = Error::new(
                    ErrorKind::Busy,
                    "too many requests wait for a look at stored events (ingest_queue_max); \
                     nothing of this one was stored: send it again",
                );
                let _ = waiting.reply.send(Err(busy));
                return;
            }
            all.push_back(waiting);
        }
        let competition = Arc::clone(self);
        self.runtime.spawn(async move { competition.look().await });
    }

    /// Answers everybody who waits.
    pub(super) async fn finish(self: &Arc<Self>) {
        loop {
            self.look().await;
            if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
        }
    }

    /// Answers those who wait once nobody else corrects: as many as go into a
    /// group.
    async fn look(&self) {
        let _alone = Arc::clone(&self.committer.correcting).lock_owned().await;
        let taken = self.take();
        let (requests, replies): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
        if !requests.is_empty() {
            let mut reports = vec![None; requests.len()];
            let outcome = self.judge_all(requests, &mut reports).await;
            for (report, reply) in reports.into_iter().zip(replies) {
                let outcome = match (&outcome, report) {
                    (_, Some(report)) => Ok(vec![report]),
                    (Err(error), None) => Err(Error::new(error.kind(), error.full_message())),
                    (Ok(()), None) => Err(Error::internal("a request was not judged")),
                };
                answer(outcome, vec![reply]);
            }
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut lines) = (Vec::new(), 0);
        while lines < GROUP_LINES_MAX
            && let Some(next) = all.pop_front()
        {
            lines += next.request.prepared.lines.len();
            taken.push(next);
        }
        taken
    }

    /// Puts a report for each request at its place in `reports`, as soon as
    /// what it says holds.
    async fn judge_all(
        &self,
        requests: Vec<PendingRequest>,
        reports: &mut [Option<IngestReport>],
    ) -> Result<()> {
        let mut open: Open = requests.into_iter().enumerate().collect();
        let mut wanted = Wanted::new();
        // Most were only set aside because somebody corrected.
        let committed = self.commit(&mut open, &mut wanted, None).await?;
        publish(committed, reports);
        if open.is_empty() {
            return Ok(());
        }
        let mut turn = self.flusher.turn.lock().await;
        self.flusher.settle(&mut turn).await?;
        for look in 0..LOOKS_MAX {
            if look > 0 || turn.check_finished().is_err() {
                // What has to give way may be hot.
                self.flusher.flush_in(&mut turn).await?;
            }
            let committed = self.look_up(&mut open, &mut wanted, &mut turn).await?;
            publish(committed, reports);
            if open.is_empty() {
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "other events of the same calls arrive all the time; nothing of this request was \
             stored: send it again",
        ))
    }

    /// One look, and what it allows.
    async fn look_up(
        &self,
        open: &mut Open,
        wanted: &mut Wanted,
        turn: &mut Turn,
    ) -> Result<Vec<(usize, IngestReport)>> {
        let (committer, flusher) = (Arc::clone(&self.committer), Arc::clone(&self.flusher));
        let asked = wanted.clone();
        let found = tokio::task::spawn_blocking(move || {
            let directory = committer.directory.load();
            let search = Search {
                view: &flusher.state.view(),
                lake: &flusher.lake,
                closed_months: directory.closed_months(),
                precedence: &committer.precedence,
                covered_since: flusher.keys_covered_since(),
            };
            Found::look_up(&search, &asked)
        });
        let found = found.await.internal("looking up requests")??;
        let committed = self.commit(open, wanted, Some((found, &mut *turn))).await?;
        self.flusher.settle(turn).await?;
        Ok(committed)
    }

    /// Commits what can be judged, leaves the rest in `open`, and adds to
    /// `wanted` what that lacks.
    async fn commit(
        &self,
        open: &mut Open,
        wanted: &mut Wanted,
        found: Option<(Found, &mut Turn)>,
    ) -> Result<Vec<(usize, IngestReport)>> {
        let (places, group): (Vec<usize>, Vec<PendingRequest>) =
            std::mem::take(open).into_iter().unzip();
        let committer = Arc::clone(&self.committer);
        let (found, turn) = found.unzip();
        let committed = tokio::task::spawn_blocking(move || {
            let right = found.as_ref().map_or(Right::Held, Right::HeldWith);
            committer.commit(group, right)
        });
        let Committed { verdicts, superseding } = committed.await.internal("committing")??;
        if let Some(turn) = turn {
            turn.unapplied.extend(superseding);
        }
        let mut stored = Vec::with_capacity(places.len());
        for (place, verdict) in places.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Stored(report) => stored.push((place, report)),
                Verdict::Aside(request, lacks) => {
                    wanted.extend(lacks);
                    open.push((place, *request));
                }
            }
        }
        Ok(stored)
    }
}

fn publish(committed: Vec<(usize, IngestReport)>, reports: &mut [Option<IngestReport>]) {
    for (place, report) in committed {
        reports[place] = Some(report);
    }
}
