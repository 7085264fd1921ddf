//! Rows that were booked after their month was closed, brought together with
//! the rows that they correct.
//!
//! By the identity of the event, not by its day: the day of a row was reckoned
//! in the time zone of its arrival, and the organization may have another one
//! since.

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use chrono::{Days, NaiveDate};

use crate::directory::Directory;
use crate::error::{Context, Result};
use crate::model::{current_rows, usage_events_schema};
use crate::query::{EventName, event_names, event_times};
use crate::rollup::UsageFilter;

/// By so many days at most the dates of one instant differ on Earth.
const DATES_APART_MAX: u64 = 2;

/// Late rows that have not been brought together with others yet.
#[derive(Debug)]
pub(super) struct LateRows {
    rows: RecordBatch,
    places: BTreeMap<EventName, Vec<u64>>,
}

impl LateRows {
    /// Those of `rows`, each event's in the order of recording.
    pub(super) fn of(rows: RecordBatch) -> Result<Self> {
        let mut places: BTreeMap<EventName, Vec<u64>> = BTreeMap::new();
        for (name, place) in event_names(&rows)?.into_iter().zip(0..) {
            places.entry(name).or_default().push(place);
        }
        Ok(Self { rows, places })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// `rows` of a day, with the late ones of those events behind them of which
    /// a row stands there: they were recorded after the month was closed.
    pub(super) fn join(&mut self, rows: RecordBatch) -> Result<RecordBatch> {
        let places = self.remove(&rows)?;
        if places.is_empty() {
            return Ok(rows);
        }
        let both = concat_batches(&usage_events_schema(), [&rows, &self.take(places)?]);
        both.internal("adding late rows to those that they correct")
    }

    /// Leaves out the events of which a row stands among `rows`.
    pub(super) fn leave_out(&mut self, rows: &RecordBatch) -> Result<()> {
        self.remove(rows).map(drop)
    }

    /// The events that came late as a whole, by the day of the call as
    /// `directory` reckons it, where that is one of the filter's.
    pub(super) fn into_days(
        self,
        filter: &UsageFilter,
        directory: &Directory,
    ) -> Result<Vec<RecordBatch>> {
        let times = event_times(&self.rows);
        let mut days: BTreeMap<NaiveDate, Vec<u64>> = BTreeMap::new();
        for (name, places) in &self.places {
            let time = places.first().and_then(|place| times.get(usize::try_from(*place).ok()?));
            let date = time.map(|time| directory.usage_date(&name.organization_id, *time));
            if let Some(date) =
                date.filter(|date| (filter.date_from..=filter.date_to).contains(date))
            {
                days.entry(date).or_default().extend(places);
            }
        }
        days.into_values().map(|places| self.take(places)).collect()
    }

    fn remove(&mut self, rows: &RecordBatch) -> Result<Vec<u64>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let names = event_names(rows)?;
        let standing = current_rows(rows)?.into_iter().filter_map(|row| names.get(row));
        Ok(standing.filter_map(|name| self.places.remove(name)).flatten().collect())
    }

    fn take(&self, mut places: Vec<u64>) -> Result<RecordBatch> {
        places.sort_unstable();
        let rows = take_record_batch(&self.rows, &UInt64Array::from(places));
        rows.internal("taking late rows")
    }
}

/// The days outside of `filter` on which events may stand that are within it
/// by the time zone of today.
pub(super) fn days_around(filter: &UsageFilter) -> Vec<NaiveDate> {
    let before = (1..=DATES_APART_MAX).map(|n| filter.date_from.checked_sub_days(Days::new(n)));
    let after = (1..=DATES_APART_MAX).map(|n| filter.date_to.checked_add_days(Days::new(n)));
    before.chain(after).flatten().collect()
}
