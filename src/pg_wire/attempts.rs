//! How often an address may fail to log in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures within [`WINDOW`] after which an address waits.
const FAILURES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Whoever has more than that does not guess a
/// token of 256 random bits either; the limit is there for the log.
const ADDRESSES_MAX: usize = 10_000;
/// How often those of long ago are looked for, once all places are taken.
const CLEANING: Duration = Duration::from_secs(1);

/// The failed logins of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    failures: HashMap<IpAddr, (Instant, u32)>,
    cleaned: Option<Instant>,
}

impl Attempts {
    /// Whether `address` may try now.
    pub(super) fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.failures.get(&address) {
            Some((since, count)) => *count < FAILURES_MAX || now.duration_since(*since) >= WINDOW,
            None => true,
        }
    }

    /// Counts a failure of `address`.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { failures, cleaned } = &mut *known;
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&address) {
            if cleaned.is_some_and(|then| now.duration_since(then) < CLEANING) {
                return;
            }
            *cleaned = Some(now);
            failures.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if failures.len() >= ADDRESSES_MAX {
                return;
            }
        }
        let (since, count) = failures.entry(address).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_ten_failures_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        for _ in 0..FAILURES_MAX {
            assert!(attempts.may_try(one, now));
            attempts.failed(one, now);
        }
        assert!(!attempts.may_try(one, now) && attempts.may_try(other, now));
        assert!(attempts.may_try(one, now + WINDOW));
        attempts.failed(one, now + WINDOW);
        assert!(attempts.may_try(one, now + WINDOW));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_fit() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..20_000_u32 {
            attempts.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(attempts.known.lock().expect("a lock").failures.len() <= ADDRESSES_MAX);
    }
}
