//! Which events count for the latest requests.

use std::collections::HashMap;

use crate::model::Winner;

/// Requests of one generation. Those of the last two are known, so at least
/// this many: many more than come between two sightings of one call.
const GENERATION_REQUESTS_MAX: usize = 200_000;

/// The event that counts for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecentRequest {
    pub(super) winner: Winner,
    /// The frame that it came with.
    pub(super) sequence: u64,
}

/// The latest requests by their keys. A copy of what log and lake say: what it
/// forgot is looked up there.
#[derive(Debug, Default)]
pub(super) struct RecentRequests {
    young: HashMap<u128, RecentRequest>,
    old: HashMap<u128, RecentRequest>,
}

impl RecentRequests {
    /// From now on `winner` counts for the request of `key`.
    pub(super) fn insert(&mut self, key: u128, winner: Winner, sequence: u64) {
        if self.young.len() >= GENERATION_REQUESTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, RecentRequest { winner, sequence });
    }

    pub(super) fn find(&self, key: u128) -> Option<&RecentRequest> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(event_id: &str) -> Winner {
        Winner { source: "api".to_owned(), event_id: event_id.to_owned() }
    }

    #[test]
    fn the_latest_winner_is_known_and_the_memory_stays_bounded() {
        let mut requests = RecentRequests::default();
        requests.insert(u128::MAX, winner("first"), 1);
        for key in 0..GENERATION_REQUESTS_MAX as u128 {
            requests.insert(key, winner("other"), 2);
        }
        assert_eq!(requests.find(u128::MAX).expect("known").winner, winner("first"));
        requests.insert(u128::MAX, winner("second"), 3);
        assert_eq!(requests.find(u128::MAX).expect("known").winner, winner("second"));
        for key in 0..3 * GENERATION_REQUESTS_MAX as u128 {
            requests.insert(key, winner("other"), 4);
        }
        assert_eq!(requests.find(u128::MAX), None);
        assert!(requests.young.len() + requests.old.len() <= 2 * GENERATION_REQUESTS_MAX);
    }
}
