//! What one request reads: one state of the data, and whose rows of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::wire::time;
use crate::access::Reach;
use crate::flush::View;

const MINUTE_MICROS: i64 = 60_000_000;

/// The state that a request is answered from, whose rows of it whoever asks may
/// see, and what the answer says of its own age.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) view: Arc<View>,
    pub(crate) reach: Reach,
    pub(crate) as_of: AsOf,
}

/// How fresh an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf(i64);

impl Reading {
    /// A request at `now` of somebody who may see the rows of `reach`.
    pub(crate) fn new(view: Arc<View>, reach: Reach, now: DateTime<Utc>) -> Self {
        let as_of = AsOf::new(&view, &reach, now);
        Self { view, reach, as_of }
    }
}

impl AsOf {
    /// To whoever may see all rows: when the latest of them was acknowledged.
    ///
    /// To anybody else that would tell when others send events. They are told
    /// the minute in which they ask: the view was taken after its beginning, so
    /// whatever was acknowledged before it is in the answer.
    fn new(view: &View, reach: &Reach, now: DateTime<Utc>) -> Self {
        if *reach == Reach::Everything {
            return Self(view.as_of_micros);
        }
        let micros = now.timestamp_micros();
        Self(micros - micros.rem_euclid(MINUTE_MICROS))
    }

    pub(crate) fn micros(self) -> i64 {
        self.0
    }

    /// As it is written; `None` before the first event.
    pub(crate) fn text(self) -> Option<String> {
        let known = self.0 > 0;
        known.then(|| DateTime::from_timestamp_micros(self.0)).flatten().map(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::fixture::empty_view;

    #[test]
    fn whoever_sees_a_part_learns_the_minute_of_asking_and_not_of_the_latest_event() {
        let now: DateTime<Utc> = "2026-03-15T23:30:59.5Z".parse().expect("time");
        let folder = tempfile::tempdir().expect("temporary folder");
        let view = empty_view(&folder);
        assert_eq!(AsOf::new(&view, &Reach::Everything, now).text(), None);
        let text = AsOf::new(&view, &Reach::nothing(), now).text();
        assert_eq!(text.as_deref(), Some("2026-03-15T23:30:00.000000Z"));
    }
}
