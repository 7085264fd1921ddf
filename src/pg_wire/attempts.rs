//! How often an address may fail to log in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::ClientAddress;

/// Failures within [`WINDOW`] after which an address waits.
const FAILURES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Networks that are remembered. Whoever has more than that does not guess a
/// token of 256 random bits either; the limit is there for the log, so a
/// failure that finds no place is not written down.
const NETWORKS_MAX: usize = 10_000;
/// How often those of long ago are looked for, once all places are taken.
const CLEANING: Duration = Duration::from_secs(1);

/// The failed logins of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By network: one host has all of an IPv6 /64.
    failures: HashMap<Vec<u8>, (Instant, u32)>,
    cleaned: Option<Instant>,
}

impl Attempts {
    /// Whether `address` may try now.
    pub(super) fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.failures.get(&network(address)) {
            Some((since, count)) => *count < FAILURES_MAX || now.duration_since(*since) >= WINDOW,
            None => true,
        }
    }

    /// Counts a failure of `address`. Answers whether to write it down: no
    /// more of a network than it may have, and of no more networks than are
    /// remembered.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) -> bool {
        let network = network(address);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { failures, cleaned } = &mut *known;
        if failures.len() >= NETWORKS_MAX && !failures.contains_key(&network) {
            if cleaned.is_some_and(|then| now.duration_since(then) < CLEANING) {
                return false;
            }
            *cleaned = Some(now);
            failures.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if failures.len() >= NETWORKS_MAX {
                return false;
            }
        }
        let (since, count) = failures.entry(network).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= FAILURES_MAX
    }
}

fn network(address: IpAddr) -> Vec<u8> {
    ClientAddress(Some(address)).network()
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
    fn a_host_is_one_whatever_part_of_its_network_it_uses() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let of = |part: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, part]);
        for part in 0..10 {
            assert!(attempts.failed(of(part), now), "{part}");
        }
        assert!(!attempts.may_try(of(99), now));
        // Those that were let in at once before the first of them failed.
        assert!(!attempts.failed(of(99), now), "ten lines are enough");
        assert!(attempts.may_try(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]), now));
    }

    #[test]
    fn what_finds_no_place_is_not_written_down() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let addresses = (0..20_000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let written = addresses.filter(|address| attempts.failed(*address, now)).count();
        assert_eq!(written, NETWORKS_MAX);
        assert!(attempts.known.lock().expect("a lock").failures.len() <= NETWORKS_MAX);
    }
}
