//! The memory that bodies may take, shared fairly between senders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sender::Sender;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::may_hold;

/// Memory is reserved in steps of this many bytes while a body of unknown
/// length comes in. Most exports of telemetry fit into one.
pub(super) const STEP_BYTES: usize = 256 << 10;

/// Bytes of bodies, from the first byte read until the answer.
#[derive(Debug)]
pub(super) struct BodyMemory {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_sender: HashMap<Sender, usize>,
}

impl BodyMemory {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max: bytes_max.max(1), held: Mutex::default() })
    }

    /// Nothing yet, for a body of `sender`.
    pub(super) fn reservation(self: &Arc<Self>, sender: Sender) -> Reservation {
        let sender = sender.is_named().then_some(sender);
        Reservation { memory: Arc::clone(self), sender, bytes: 0 }
    }

    fn locked(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<BodyMemory>,
    /// Whose share it counts for. Who does not say who he is shares with
    /// nobody: the body is its own sender then.
    sender: Option<Sender>,
    bytes: usize,
}

impl Reservation {
    /// Holds `bytes` in all, or fails with `Busy` and holds what it held.
    ///
    /// A body that is alone may take everything, so that one that is allowed
    /// at all gets through. Beside others a sender leaves as much free as he
    /// holds; only the first step is free of that.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let bytes_max = self.memory.bytes_max;
        let more = bytes.min(bytes_max).saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.memory.locked();
        let own = self.sender.and_then(|sender| held.by_sender.get(&sender).copied());
        let own = own.unwrap_or(self.bytes);
        let total = held.total;
        let alone = total == self.bytes;
        // A large first step is no newcomer's.
        let own_at_least = own.max(usize::from(more > STEP_BYTES));
        if !alone && !may_hold(own_at_least, more, total, bytes_max) {
            drop(held);
            return Err(refusal(total + more <= bytes_max, bytes_max));
        }
        held.total += more;
        if let Some(sender) = self.sender {
            *held.by_sender.entry(sender).or_default() += more;
        }
        self.bytes += more;
        Ok(())
    }

    /// Holds `bytes`, and what is missing for them in whole steps.
    pub(super) fn grow_in_steps(&mut self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        self.grow_to(bytes.next_multiple_of(STEP_BYTES))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.memory.locked();
        held.total -= self.bytes;
        let Some(sender) = self.sender else { return };
        if let Some(bytes) = held.by_sender.get_mut(&sender) {
            *bytes -= self.bytes;
            if *bytes == 0 {
                held.by_sender.remove(&sender);
            }
        }
    }
}

fn refusal(of_share: bool, bytes_max: usize) -> Error {
    let reason = if of_share { "memory_share" } else { "memory" };
    metrics::counter!("spendlake_ingest_refused_total", "reason" => reason).increment(1);
    let why = if of_share {
        "bodies of this sender have their share of the memory for bodies"
    } else {
        "there is no memory left for bodies"
    };
    let message = format!(
        "{why} (ingest_bytes_max {bytes_max}); nothing of this one was stored: send it again"
    );
    Error::new(ErrorKind::Busy, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Origin, Permissions, Principal};
    use crate::api::gate::ClientAddress;

    const MIB: usize = 1 << 20;

    fn sender(token: &'static str) -> Sender {
        let headers = axum::http::HeaderMap::new();
        let principal = Principal::new(token, token, Origin::Token, vec![], Permissions::ALL);
        let principal = (!token.is_empty()).then_some(&principal);
        Sender::of(principal, &headers, ClientAddress::default())
    }

    /// Bodies of `bytes` each until one finds no room.
    fn fill(memory: &Arc<BodyMemory>, token: &'static str, bytes: usize) -> Vec<Reservation> {
        let mut bodies = Vec::new();
        loop {
            let mut body = memory.reservation(sender(token));
            if body.grow_to(bytes).is_err() {
                return bodies;
            }
            bodies.push(body);
        }
    }

    #[test]
    fn a_flood_gets_half_and_another_sender_still_finds_room() {
        let memory = BodyMemory::new(8 * MIB);
        let flood = fill(&memory, "flood", MIB);
        assert_eq!(flood.len(), 4);
        let mut small = memory.reservation(sender("small"));
        small.grow_to(1_000).expect("room for another");
        let mut more = memory.reservation(sender("flood"));
        let error = more.grow_to(MIB).expect_err("its share");
        assert!(error.to_string().contains("share of the memory"), "{error}");
        assert!(error.to_string().contains("ingest_bytes_max"), "{error}");
        drop(flood);
        more.grow_to(MIB).expect("given back");
    }

    #[test]
    fn large_bodies_of_nobody_leave_room_for_small_ones() {
        let memory = BodyMemory::new(8 * MIB);
        let bodies = fill(&memory, "", MIB);
        assert_eq!(bodies.len(), 6);
        let mut small = memory.reservation(sender(""));
        small.grow_to(STEP_BYTES).expect("room for a first step");
    }

    #[test]
    fn a_body_alone_may_take_everything_and_is_never_refused_for_ever() {
        let memory = BodyMemory::new(MIB);
        let mut body = memory.reservation(sender(""));
        body.grow_to(64 * MIB).expect("alone");
        assert_eq!(memory.locked().total, MIB);
        let mut other = memory.reservation(sender(""));
        let error = other.grow_to(1).expect_err("nothing left");
        assert!(error.to_string().contains("no memory left"), "{error}");
        drop(body);
        other.grow_to(1).expect("room again");
    }

    #[test]
    fn everything_is_given_back() {
        let memory = BodyMemory::new(8 * MIB);
        let mut body = memory.reservation(sender("a"));
        body.grow_in_steps(1).expect("a step");
        assert_eq!(memory.locked().total, STEP_BYTES);
        body.grow_in_steps(STEP_BYTES + 1).expect("another step");
        assert_eq!(memory.locked().total, 2 * STEP_BYTES);
        drop(body);
        let held = memory.locked();
        assert_eq!((held.total, held.by_sender.len()), (0, 0));
    }
}
