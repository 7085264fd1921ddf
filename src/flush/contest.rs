//! Which of several events of one request counts: decided in the order of
//! arrival, within a group of requests that become durable together.

use std::collections::HashMap;

use super::open_hot::HotRow;
use crate::model::{SourcePrecedence, Winner};

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counting {
    /// No event of it was acknowledged.
    Nobody,
    /// One counts.
    Event(CountingEvent),
    /// One counts, but which one has to be looked up.
    Unclear,
}

/// The event that counts for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountingEvent {
    pub(super) winner: Winner,
    pub(super) place: Place,
}

/// Where the row of an event stands that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An event of the same group.
    Line(LinePlace),
    /// Hot, and not being flushed: it can be withdrawn.
    Hot(HotRow),
    /// In the lake, a row of what was looked up: it can be taken back.
    Stored(usize),
    /// It was taken back by a correction: nothing is left to be done.
    Void,
    /// It has to be looked up.
    Elsewhere,
}

/// An event of a group: its request there, and its place among the events of
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinePlace {
    pub(super) request: usize,
    pub(super) event: usize,
}

/// What becomes of a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It counts, and is the first one of its request.
    First,
    /// It counts in the place of the event that stands there.
    InsteadOf(Place),
    /// Another event of its request counts.
    Lost,
}

/// The requests of a group.
#[derive(Debug)]
pub(super) struct Contest<'a> {
    precedence: &'a SourcePrecedence,
    requests: HashMap<u128, Counting>,
}

impl<'a> Contest<'a> {
    pub(super) fn new(precedence: &'a SourcePrecedence) -> Self {
        Self { precedence, requests: HashMap::new() }
    }

    /// What counted for the request of `key` before the group, read once.
    pub(super) fn before<E>(
        &mut self,
        key: u128,
        read: impl FnOnce() -> Result<Counting, E>,
    ) -> Result<&Counting, E> {
        use std::collections::hash_map::Entry;
        Ok(match self.requests.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read()?),
        })
    }

    /// Whether an event of `source` can be judged with what is at hand.
    pub(super) fn is_clear(&self, counting: &Counting, source: &str) -> bool {
        match counting {
            Counting::Nobody => true,
            Counting::Unclear => false,
            Counting::Event(event) => {
                event.place != Place::Elsewhere
                    || !self.precedence.supersedes(source, &event.winner.source)
            }
        }
    }

    /// Judges the event at `place`. Every event before it was judged.
    pub(super) fn judge(&mut self, key: u128, newcomer: Winner, place: LinePlace) -> Outcome {
        let counting = self.requests.entry(key).or_insert(Counting::Nobody);
        let outcome = match counting {
            Counting::Event(event)
                if !self.precedence.supersedes(&newcomer.source, &event.winner.source) =>
            {
                return Outcome::Lost;
            }
            Counting::Event(event) => Outcome::InsteadOf(event.place),
            Counting::Nobody | Counting::Unclear => Outcome::First,
        };
        *counting = Counting::Event(CountingEvent { winner: newcomer, place: Place::Line(place) });
        outcome
    }

    /// The event that counts for the request of `key`, after all were judged.
    pub(super) fn winner(&self, key: u128) -> Option<&Winner> {
        match self.requests.get(&key)? {
            Counting::Event(event) => Some(&event.winner),
            Counting::Nobody | Counting::Unclear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(source: &str) -> Winner {
        Winner { source: source.to_owned(), event_id: format!("of {source}") }
    }

    fn line(event: usize) -> LinePlace {
        LinePlace { request: 0, event }
    }

    fn counting(source: &str, place: Place) -> Counting {
        Counting::Event(CountingEvent { winner: winner(source), place })
    }

    #[test]
    fn the_first_event_counts_until_a_higher_one_comes() {
        let precedence = "high,low".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        assert_eq!(contest.judge(1, winner("low"), line(0)), Outcome::First);
        assert_eq!(contest.judge(1, winner("low"), line(1)), Outcome::Lost);
        let instead = Outcome::InsteadOf(Place::Line(line(0)));
        assert_eq!(contest.judge(1, winner("high"), line(2)), instead);
        assert_eq!(contest.judge(1, winner("low"), line(3)), Outcome::Lost);
        assert_eq!(contest.winner(1), Some(&winner("high")));
        assert_eq!(contest.judge(2, winner("low"), line(4)), Outcome::First);
    }

    #[test]
    fn what_counted_before_the_group_is_taken_back_where_it_stands() {
        let precedence = "high,low".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        let read = || Ok::<_, ()>(counting("low", Place::Stored(7)));
        contest.before(1, read).expect("read");
        assert_eq!(contest.judge(1, winner("high"), line(0)), Outcome::InsteadOf(Place::Stored(7)));
    }

    #[test]
    fn only_who_takes_a_place_needs_to_know_where_it_is() {
        let precedence = "high,low".parse().expect("a precedence");
        let contest = Contest::new(&precedence);
        let elsewhere = counting("low", Place::Elsewhere);
        assert!(contest.is_clear(&elsewhere, "low"));
        assert!(!contest.is_clear(&elsewhere, "high"));
        assert!(contest.is_clear(&counting("low", Place::Void), "high"));
        assert!(!contest.is_clear(&Counting::Unclear, "low"));
    }
}
