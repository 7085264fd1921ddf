//! The places where statements run: a few at once, fewer of one principal, and
//! a bounded queue that serves principals in turn, so that who asks much waits
//! behind himself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::execution::memory_pool::MemoryPool;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::memory::{MemoryBounds, PrincipalMemory, QueryMemory, WHOLE_SETTING};
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::{FairQueue, Full, QueueBounds, TURN_ROWS};

/// When whoever found no place should come back, seconds.
const RETRY_SECONDS: u32 = 5;

/// How many statements run and wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceBounds {
    /// Statements at once (`query_concurrency_max`).
    running: usize,
    /// Of one principal (`query_concurrency_per_principal_max`).
    running_of_one: usize,
    /// Statements that wait (`query_queue_max`).
    waiting: usize,
    /// How long each waits (`query_wait_seconds_max`).
    wait: Duration,
}

impl From<&Config> for PlaceBounds {
    fn from(config: &Config) -> Self {
        Self {
            running: config.query_concurrency_max.max(1),
            running_of_one: config.query_concurrency_per_principal_max.max(1),
            waiting: config.query_queue_max,
            wait: Duration::from_secs(config.query_wait_seconds_max.into()),
        }
    }
}

impl PlaceBounds {
    /// Whether one more statement may run, of a principal who has `own`.
    fn allow(&self, total: usize, own: Option<&Running>) -> bool {
        let own = own.map_or(0, |running| running.statements);
        total < self.running && own < self.running_of_one
    }
}

/// Hands out places. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: PlaceBounds,
    /// The memory of all statements of users.
    memory: Arc<QueryMemory>,
    memory_bytes_of_one: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: FairQueue<Waiter>,
    /// Principals that have a place.
    running: HashMap<Arc<str>, Running>,
    total: usize,
}

#[derive(Debug)]
struct Waiter {
    principal: Arc<str>,
    sender: oneshot::Sender<Place>,
}

#[derive(Debug)]
struct Running {
    statements: usize,
    memory: Arc<PrincipalMemory>,
}

/// The right to run one statement; dropping it lets the next one run.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    principal: Arc<str>,
    memory: Arc<PrincipalMemory>,
}

impl Places {
    pub(super) fn new(bounds: PlaceBounds, memory: MemoryBounds) -> Self {
        let queue = FairQueue::new(QueueBounds { requests: bounds.waiting, rows: usize::MAX });
        Self(Arc::new(Shared {
            bounds,
            memory: Arc::new(QueryMemory::new(memory.whole, WHOLE_SETTING)),
            memory_bytes_of_one: memory.of_one,
            inner: Mutex::new(Inner { queue, running: HashMap::new(), total: 0 }),
        }))
    }

    /// A place for a statement of `principal`, at once or when its turn comes.
    ///
    /// Errors: `Busy` where too many wait already, or when it waited for as
    /// long as it may. Dropping the future gives up the place in the queue.
    pub(super) async fn take(&self, principal: &str) -> Result<Place> {
        let shared = &self.0;
        let receiver = {
            let mut inner = shared.locked();
            if let Some(place) = shared.place(&mut inner, principal) {
                return Ok(place);
            }
            let (sender, receiver) = oneshot::channel();
            let waiter = Waiter { principal: principal.into(), sender };
            let full = if shared.bounds.waiting == 0 {
                Some(Full::Requests { lane: false })
            } else {
                inner.queue.push(principal, TURN_ROWS, waiter).err().map(|(_, full)| full)
            };
            shared.show(&inner);
            if let Some(full) = full {
                return Err(shared.queue_full(full));
            }
            receiver
        };
        Waiting { shared, receiver }.placed().await
    }

    /// Statements that run, and that wait.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let inner = self.0.locked();
        (inner.total, inner.queue.stats().requests)
    }
}

/// A statement in the queue. Dropping it takes it out.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    receiver: oneshot::Receiver<Place>,
}

impl Waiting<'_> {
    async fn placed(mut self) -> Result<Place> {
        match timeout(self.shared.bounds.wait, &mut self.receiver).await {
            Ok(place) => place.internal("waiting for a place to run SQL"),
            Err(_) => Err(self.shared.waited_too_long()),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        // One that was handed over meanwhile goes to the next who waits.
        drop(self.receiver.try_recv());
        let mut inner = self.shared.locked();
        inner.queue.retain(|waiter| !waiter.sender.is_closed());
        self.shared.show(&inner);
    }
}

impl Shared {
    /// The counters hold even if another thread panicked while it had them:
    /// each change is made of steps that cannot fail.
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_run(&self, inner: &Inner, principal: &str) -> bool {
        self.bounds.allow(inner.total, inner.running.get(principal))
    }

    /// Takes a place if there is one. Nobody who waits may have it: whoever
    /// could run was let in when the last place was left.
    fn place(self: &Arc<Self>, inner: &mut Inner, principal: &str) -> Option<Place> {
        if !self.may_run(inner, principal) {
            return None;
        }
        let name = inner.running.get_key_value(principal).map(|(name, _)| Arc::clone(name));
        let principal = name.unwrap_or_else(|| principal.into());
        let running = inner.running.entry(Arc::clone(&principal)).or_insert_with(|| Running {
            statements: 0,
            memory: Arc::new(PrincipalMemory::new(self.memory_bytes_of_one, &self.memory)),
        });
        running.statements += 1;
        let memory = Arc::clone(&running.memory);
        inner.total += 1;
        self.show(inner);
        Some(Place { shared: Arc::clone(self), principal, memory })
    }

    /// Gives a place back and lets in whoever can run now.
    fn leave(self: &Arc<Self>, principal: &str) {
        let mut let_in = Vec::new();
        let mut inner = self.locked();
        inner.total = inner.total.saturating_sub(1);
        if let Some(running) = inner.running.get_mut(principal) {
            running.statements = running.statements.saturating_sub(1);
            if running.statements == 0 {
                inner.running.remove(principal);
            }
        }
        while let Some(Waiter { principal, sender }) = self.next(&mut inner) {
            let_in.extend(self.place(&mut inner, &principal).map(|place| (sender, place)));
        }
        self.show(&inner);
        drop(inner);
        // Outside the lock: a place that nobody takes any more is left again.
        for (sender, place) in let_in {
            drop(sender.send(place));
        }
    }

    /// The statement that is next among those that may run.
    fn next(&self, inner: &mut Inner) -> Option<Waiter> {
        let Inner { queue, running, total } = inner;
        queue.pop_where(|principal| self.bounds.allow(*total, running.get(principal)))
    }

    fn show(&self, inner: &Inner) {
        metrics::gauge!("spendlake_sql_running").set(count(inner.total));
        metrics::gauge!("spendlake_sql_waiting").set(count(inner.queue.stats().requests));
    }

    fn queue_full(&self, full: Full) -> Error {
        let most = self.bounds.waiting;
        let lane = matches!(full, Full::Requests { lane: true } | Full::Rows { lane: true });
        let (reason, message) = if lane {
            ("queue_share", "you have your share of the SQL statements that may wait for a place")
        } else {
            ("queue", "no more SQL statements may wait for a place")
        };
        refused(reason, format!("{message} (query_queue_max {most}); send this one again later"))
    }

    fn waited_too_long(&self) -> Error {
        let PlaceBounds { running, running_of_one, wait, .. } = self.bounds;
        let seconds = wait.as_secs();
        refused(
            "wait",
            format!(
                "the statement waited {seconds} seconds for a place (query_wait_seconds_max); \
                 {running} may run at once (query_concurrency_max), {running_of_one} of one \
                 caller (query_concurrency_per_principal_max): send it again later"
            ),
        )
    }
}

fn refused(reason: &'static str, message: String) -> Error {
    metrics::counter!("spendlake_sql_refused_total", "reason" => reason).increment(1);
    Error::new(ErrorKind::Busy, message).retry_after(RETRY_SECONDS)
}

/// A count as a metric's value.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Place {
    /// The memory that the statement takes from.
    pub(super) fn memory(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.memory) as Arc<dyn MemoryPool>
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.leave(&self.principal);
    }
}

#[cfg(test)]
mod tests;
