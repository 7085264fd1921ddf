//! Which source counts for a request that several of them saw: decided in the
//! order of arrival, within a group of requests that become durable together.

use std::collections::HashMap;

use super::open_hot::HotRow;
use crate::model::{SourcePrecedence, Winner};

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counting {
    /// No event of it was acknowledged.
    Nobody,
    /// Events of one source count.
    Events(CountingEvents),
    /// Some count, but which ones has to be looked up.
    Unclear,
}

/// The events that count for a request: those of one source. It tells them
/// apart by their ids, so they are several calls to it, and none of them
/// stands for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountingEvents {
    pub(super) source: String,
    /// The first one that came stands for all of them in what senders are told.
    pub(super) events: Vec<CountingEvent>,
    /// Whether these are all. Others have to be looked up before a higher
    /// source can take their place.
    pub(super) whole: bool,
}

/// One of the events that count for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountingEvent {
    pub(super) event_id: String,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It counts, and is the first one of its request.
    First,
    /// It counts beside others of its source.
    Beside,
    /// It counts in the place of the events that stand there.
    InsteadOf(Vec<Place>),
    /// Another source counts for its request.
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
            Counting::Events(counting) => {
                !self.precedence.supersedes(source, &counting.source)
                    || (counting.whole
                        && counting.events.iter().all(|event| event.place != Place::Elsewhere))
            }
        }
    }

    /// Judges the event at `place`. Every event before it was judged.
    pub(super) fn judge(&mut self, key: u128, newcomer: Winner, place: LinePlace) -> Outcome {
        let counting = self.requests.entry(key).or_insert(Counting::Nobody);
        let Winner { source, event_id } = newcomer;
        let event = CountingEvent { event_id, place: Place::Line(place) };
        let outcome = match counting {
            Counting::Events(counting) if counting.source == source => {
                counting.events.push(event);
                return Outcome::Beside;
            }
            Counting::Events(counting)
                if !self.precedence.supersedes(&source, &counting.source) =>
            {
                return Outcome::Lost;
            }
            Counting::Events(counting) => {
                Outcome::InsteadOf(counting.events.iter().map(|event| event.place).collect())
            }
            Counting::Nobody | Counting::Unclear => Outcome::First,
        };
        *counting = Counting::Events(CountingEvents { source, events: vec![event], whole: true });
        outcome
    }

    /// The event that counts for the request of `key`, the first one of
    /// several, after all were judged.
    pub(super) fn winner(&self, key: u128) -> Option<Winner> {
        let Counting::Events(counting) = self.requests.get(&key)? else { return None };
        let event_id = counting.events.first()?.event_id.clone();
        Some(Winner { source: counting.source.clone(), event_id })
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

    fn counting(source: &str, places: &[Place]) -> Counting {
        let event = |place: &Place| CountingEvent { event_id: source.to_owned(), place: *place };
        let events = places.iter().map(event).collect();
        Counting::Events(CountingEvents { source: source.to_owned(), events, whole: true })
    }

    #[test]
    fn the_first_source_counts_until_a_higher_one_comes() {
        let precedence = "high,low,lowest".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        assert_eq!(contest.judge(1, winner("low"), line(0)), Outcome::First);
        assert_eq!(contest.judge(1, winner("lowest"), line(1)), Outcome::Lost);
        let instead = Outcome::InsteadOf(vec![Place::Line(line(0))]);
        assert_eq!(contest.judge(1, winner("high"), line(2)), instead);
        assert_eq!(contest.judge(1, winner("low"), line(3)), Outcome::Lost);
        assert_eq!(contest.winner(1), Some(winner("high")));
        assert_eq!(contest.judge(2, winner("low"), line(4)), Outcome::First);
    }

    #[test]
    fn events_of_one_source_count_beside_each_other_and_give_way_together() {
        let precedence = "high,low".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        assert_eq!(contest.judge(1, winner("low"), line(0)), Outcome::First);
        assert_eq!(contest.judge(1, winner("low"), line(1)), Outcome::Beside);
        let all = vec![Place::Line(line(0)), Place::Line(line(1))];
        assert_eq!(contest.judge(1, winner("high"), line(2)), Outcome::InsteadOf(all));
        assert_eq!(contest.judge(1, winner("high"), line(3)), Outcome::Beside);
        assert_eq!(contest.judge(1, winner("low"), line(4)), Outcome::Lost);
    }

    #[test]
    fn sources_of_one_rank_are_no_one_source() {
        let precedence = "high,low".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        assert_eq!(contest.judge(1, winner("a"), line(0)), Outcome::First);
        assert_eq!(contest.judge(1, winner("b"), line(1)), Outcome::Lost);
        assert_eq!(contest.judge(1, winner("a"), line(2)), Outcome::Beside);
    }

    #[test]
    fn what_counted_before_the_group_is_taken_back_where_it_stands() {
        let precedence = "high,low".parse().expect("a precedence");
        let mut contest = Contest::new(&precedence);
        let places = [Place::Stored(7), Place::Void];
        let read = || Ok::<_, ()>(counting("low", &places));
        contest.before(1, read).expect("read");
        let instead = Outcome::InsteadOf(places.to_vec());
        assert_eq!(contest.judge(1, winner("high"), line(0)), instead);
    }

    #[test]
    fn only_who_takes_places_needs_to_know_them_all() {
        let precedence = "high,low".parse().expect("a precedence");
        let contest = Contest::new(&precedence);
        let elsewhere = counting("low", &[Place::Void, Place::Elsewhere]);
        assert!(contest.is_clear(&elsewhere, "low"));
        assert!(!contest.is_clear(&elsewhere, "high"));
        assert!(contest.is_clear(&counting("low", &[Place::Void]), "high"));
        assert!(!contest.is_clear(&Counting::Unclear, "low"));
        let Counting::Events(mut some) = counting("low", &[Place::Void]) else { panic!("events") };
        some.whole = false;
        let some = Counting::Events(some);
        assert!(contest.is_clear(&some, "low") && !contest.is_clear(&some, "high"));
    }
}
