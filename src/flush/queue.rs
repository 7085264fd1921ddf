//! The queue in front of the writer: many senders, one thread that receives.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::fair_queue::{FairQueue, Full, QueueBounds, QueueStats};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::ingest::PreparedRequest;

/// Where requests wait for the writer.
pub(super) fn fair_channel<T>(bounds: QueueBounds) -> (FairSender<T>, FairReceiver<T>) {
    let shared = Arc::new(Shared {
        inner: Mutex::new(Inner {
            queue: FairQueue::new(bounds),
            sender_gone: false,
            receiver_gone: false,
        }),
        arrived: Condvar::new(),
        bounds,
    });
    (FairSender(Arc::clone(&shared)), FairReceiver(shared))
}

impl From<&Config> for QueueBounds {
    fn from(config: &Config) -> Self {
        Self { requests: config.ingest_queue_max.max(1), rows: config.ingest_queue_rows_max.max(1) }
    }
}

/// The tenant that a request counts for: the organization of its first event.
/// One that brings events of several is the first one's, since charging each
/// would mean to split it, and it is acknowledged as a whole.
pub(super) fn tenant_of(prepared: &PreparedRequest) -> &str {
    let named = prepared.lines.iter().find_map(|line| line.organization_id.as_deref());
    prepared.events.first().map(|event| event.organization_id.as_str()).or(named).unwrap_or("")
}

#[derive(Debug)]
struct Shared<T> {
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
    bounds: QueueBounds,
}

#[derive(Debug)]
struct Inner<T> {
    queue: FairQueue<T>,
    sender_gone: bool,
    receiver_gone: bool,
}

impl<T> Shared<T> {
    fn locked(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end where requests go in. Dropping it lets the receiver drain and end.
#[derive(Debug)]
pub(super) struct FairSender<T>(Arc<Shared<T>>);

impl<T> FairSender<T> {
    /// Puts `item` of `tenant` into the queue without waiting.
    ///
    /// Errors: `Busy` where there is no place for it, `Unavailable` once the
    /// receiver is gone.
    pub(super) fn send(&self, tenant: &str, rows: usize, item: T) -> Result<(), Error> {
        let mut inner = self.0.locked();
        if inner.receiver_gone {
            return Err(Error::unavailable(
                "the writer ended; nothing of this request was stored: restart the server",
            ));
        }
        let pushed = inner.queue.push(tenant, rows, item);
        drop(inner);
        match pushed {
            Ok(()) => {
                self.0.arrived.notify_one();
                Ok(())
            }
            Err((_, full)) => Err(self.refusal(full, tenant, rows)),
        }
    }

    fn refusal(&self, full: Full, tenant: &str, rows: usize) -> Error {
        let QueueBounds { requests, rows: rows_max } = self.0.bounds;
        let (what, lane) = match full {
            Full::Requests { lane } => (format!("requests (ingest_queue_max {requests})"), lane),
            Full::Rows { lane } => (format!("rows (ingest_queue_rows_max {rows_max})"), lane),
        };
        let reason = if lane { "queue_share" } else { "queue" };
        metrics::counter!("spendlake_ingest_refused_total", "reason" => reason).increment(1);
        let whose = if lane {
            format!("organization {tenant:?} has its share of the {what} that may wait for the log")
        } else {
            format!("there is no place left among the {what} that may wait for the log")
        };
        Error::new(
            ErrorKind::Busy,
            format!("{whose}; nothing of this request of {rows} lines was stored: send it again"),
        )
    }

    /// Whether the receiver is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.0.locked().receiver_gone
    }

    pub(super) fn stats(&self) -> QueueStats {
        self.0.locked().queue.stats()
    }
}

impl<T> Drop for FairSender<T> {
    fn drop(&mut self) {
        self.0.locked().sender_gone = true;
        self.0.arrived.notify_all();
    }
}

/// The end where the writer takes requests out. Dropping it drops what waits,
/// so that nobody waits for an answer that never comes.
#[derive(Debug)]
pub(super) struct FairReceiver<T>(Arc<Shared<T>>);

impl<T> FairReceiver<T> {
    /// Waits for the request that is next; `None` once the sender is gone and
    /// everything was taken.
    pub(super) fn recv(&mut self) -> Option<T> {
        let mut inner = self.0.locked();
        loop {
            if let Some(item) = inner.queue.pop() {
                return Some(item);
            }
            if inner.sender_gone {
                return None;
            }
            inner = self.0.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes the request that is next, if one waits.
    pub(super) fn try_recv(&mut self) -> Option<T> {
        self.0.locked().queue.pop()
    }
}

impl<T> Drop for FairReceiver<T> {
    fn drop(&mut self) {
        let mut inner = self.0.locked();
        inner.receiver_gone = true;
        let waiting = std::mem::replace(&mut inner.queue, FairQueue::new(self.0.bounds));
        drop(inner);
        // Outside the lock: what is dropped may wake somebody who sends again.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: QueueBounds = QueueBounds { requests: 2, rows: 100 };

    #[test]
    fn closing_drains_what_waits_and_then_ends() {
        let (sender, mut receiver) = fair_channel(BOUNDS);
        sender.send("a", 1, "first").expect("place");
        drop(sender);
        assert_eq!(receiver.recv(), Some("first"));
        assert_eq!(receiver.recv(), None);
    }

    #[test]
    fn a_receiver_that_waits_is_woken() {
        let (sender, mut receiver) = fair_channel(BOUNDS);
        let thread = std::thread::spawn(move || (receiver.recv(), receiver.recv()));
        sender.send("a", 1, "first").expect("place");
        drop(sender);
        assert_eq!(thread.join().expect("no panic"), (Some("first"), None));
    }

    #[test]
    fn what_waits_is_dropped_with_the_receiver_and_nothing_more_is_taken() {
        let (sender, receiver) = fair_channel(BOUNDS);
        let item = Arc::new(());
        sender.send("a", 1, Arc::clone(&item)).expect("place");
        drop(receiver);
        assert_eq!(Arc::strong_count(&item), 1);
        let error = sender.send("a", 1, item).expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(sender.is_closed());
    }

    #[test]
    fn a_refusal_says_whose_bound_it_is_and_names_the_setting() {
        let (sender, _receiver) = fair_channel(QueueBounds { requests: 3, rows: 100 });
        sender.send("a", 1, ()).expect("place");
        let error = sender.send("a", 1, ()).expect_err("the share of a");
        assert_eq!(error.kind(), ErrorKind::Busy);
        let message = error.to_string();
        assert!(message.contains("organization \"a\" has its share"), "{message}");
        assert!(message.contains("ingest_queue_max 3"), "{message}");
        sender.send("b", 1, ()).expect("place");
        let message = sender.send("c", 99, ()).expect_err("no rows").to_string();
        assert!(message.contains("no place left"), "{message}");
        assert!(message.contains("ingest_queue_rows_max 100"), "{message}");
        assert_eq!(sender.stats(), QueueStats { requests: 2, rows: 2, lanes: 2 });
    }
}
