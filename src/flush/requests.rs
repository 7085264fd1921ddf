//! Which events count for the latest requests.

use std::collections::HashMap;

use crate::model::Winner;

/// Requests of one generation. Those of the last two are known, so at least
/// this many: many more than come between two sightings of one call.
const GENERATION_REQUESTS_MAX: usize = 200_000;

/// Events of one request that are remembered, the latest ones: sources whose
/// ids repeat without end take no more memory.
const EVENTS_MAX: usize = 8;

/// The events that count for a request, all of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecentRequest {
    pub(super) source: String,
    /// In the order of arrival.
    pub(super) events: Vec<RecentEvent>,
    /// Whether these are all that count.
    pub(super) whole: bool,
}

/// One of the events that count for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecentEvent {
    pub(super) event_id: String,
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
    /// From now on `winner` counts for the request of `key`, and no other
    /// event does.
    pub(super) fn insert(&mut self, key: u128, winner: Winner, sequence: u64) {
        let Winner { source, event_id } = winner;
        let events = vec![RecentEvent { event_id, sequence }];
        self.put(key, RecentRequest { source, events, whole: true });
    }

    /// From now on `winner` counts, too, beside others of its source.
    pub(super) fn join(&mut self, key: u128, winner: Winner, sequence: u64) {
        let Winner { source, event_id } = winner;
        let known = self.find(key).filter(|known| known.source == source).cloned();
        let unknown = RecentRequest { source, events: Vec::new(), whole: false };
        let mut request = known.unwrap_or(unknown);
        request.events.push(RecentEvent { event_id, sequence });
        if request.events.len() > EVENTS_MAX {
            request.events.remove(0);
            request.whole = false;
        }
        self.put(key, request);
    }

    fn put(&mut self, key: u128, request: RecentRequest) {
        if self.young.len() >= GENERATION_REQUESTS_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, request);
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

    fn ids(requests: &RecentRequests, key: u128) -> Vec<String> {
        let found = requests.find(key).expect("known").events.iter();
        found.map(|event| event.event_id.clone()).collect()
    }

    #[test]
    fn the_latest_winner_is_known_and_the_memory_stays_bounded() {
        let mut requests = RecentRequests::default();
        requests.insert(u128::MAX, winner("first"), 1);
        for key in 0..GENERATION_REQUESTS_MAX as u128 {
            requests.insert(key, winner("other"), 2);
        }
        assert_eq!(ids(&requests, u128::MAX), ["first"]);
        requests.insert(u128::MAX, winner("second"), 3);
        assert_eq!(ids(&requests, u128::MAX), ["second"]);
        for key in 0..3 * GENERATION_REQUESTS_MAX as u128 {
            requests.insert(key, winner("other"), 4);
        }
        assert_eq!(requests.find(u128::MAX), None);
        assert!(requests.young.len() + requests.old.len() <= 2 * GENERATION_REQUESTS_MAX);
    }

    #[test]
    fn events_that_join_are_all_known_until_they_are_too_many() {
        let mut requests = RecentRequests::default();
        requests.insert(1, winner("first"), 1);
        requests.join(1, winner("second"), 2);
        assert_eq!(ids(&requests, 1), ["first", "second"]);
        assert!(requests.find(1).expect("known").whole);
        for number in 0..EVENTS_MAX {
            requests.join(1, winner(&number.to_string()), 3);
        }
        assert_eq!(ids(&requests, 1).len(), EVENTS_MAX);
        assert!(!requests.find(1).expect("known").whole);
    }

    #[test]
    fn an_event_that_joins_what_was_forgotten_is_not_the_whole() {
        let mut requests = RecentRequests::default();
        requests.join(1, winner("second"), 2);
        assert!(!requests.find(1).expect("known").whole);
    }
}
