//! Looks up the stored events of requests: which ones count, and their rows.
//!
//! The events of a request happened at about the same time, so they stand in
//! one day or in two neighbours, beside those that came late for a closed
//! month. A request of which nothing counts there is looked for everywhere.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{AsArray, Int8Array, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use chrono::{DateTime, NaiveDate, Utc};

use super::contest::{Counting, CountingEvent, CountingEvents, Place};
use super::group::Wanted;
use super::old_events::{for_each_key, holds_late_rows, local_dates};
use super::open_hot::{for_each_request, texts};
use super::requests::RecentEvent;
use super::view::View;
use crate::error::{Context, Error, Result};
use crate::lake::{Lake, LakeFile};
use crate::model::{ClosedMonths, SourcePrecedence, current_rows, usage_events_schema};

/// Where to look, and how to tell which event counts.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) view: &'a View,
    pub(super) lake: &'a Lake,
    pub(super) closed_months: &'a ClosedMonths,
    pub(super) precedence: &'a SourcePrecedence,
    /// Since when the memory of keys is complete.
    pub(super) covered_since: DateTime<Utc>,
}

/// What was looked up.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows of `usage_events`.
    rows: RecordBatch,
    requests: HashMap<u128, Counting>,
    /// Keys of events in `sightings`.
    sighting_keys: HashSet<u128>,
    /// The last frame that was visible then.
    through: u64,
}

/// Columns that tell the request of a row.
const REQUEST_COLUMNS: [&str; 2] = ["organization_id", "request_id"];

/// Columns that tell which event a sighting is.
const SIGHTING_COLUMNS: [&str; 4] = ["organization_id", "request_id", "source", "event_id"];

impl Found {
    /// Nothing, for when nothing was looked up yet.
    pub(super) fn nothing() -> Self {
        let rows = RecordBatch::new_empty(usage_events_schema());
        Self { rows, requests: HashMap::new(), sighting_keys: HashSet::new(), through: 0 }
    }

    /// What counts for a request that was looked up.
    pub(super) fn request(&self, key: u128) -> Option<Counting> {
        self.requests.get(&key).cloned()
    }

    /// Whether `recent` came after the look.
    pub(super) fn is_before(&self, recent: &RecentEvent) -> bool {
        recent.sequence > self.through
    }

    /// Whether the event of `key` is a sighting that the memory of keys forgot.
    pub(super) fn is_sighting(&self, key: u128) -> bool {
        self.sighting_keys.contains(&key)
    }

    /// The rows at [`Place::Stored`] places.
    pub(super) fn rows(&self, places: &[usize]) -> Result<RecordBatch> {
        let places: UInt64Array = places.iter().map(|place| *place as u64).collect();
        take_record_batch(&self.rows, &places).internal("taking rows that were looked up")
    }

    /// Looks `wanted` up. Blocks while it reads files.
    pub(super) fn look_up(search: &Search<'_>, wanted: &Wanted) -> Result<Self> {
        let mut rows = search.stored_rows(wanted)?;
        let stored: usize = rows.iter().map(RecordBatch::num_rows).sum();
        for batch in search.view.hot.batches() {
            rows.extend(wanted_rows(&batch.events, wanted)?);
        }
        let rows = concat_batches(&usage_events_schema(), &rows);
        let rows = rows.internal("joining the rows of requests")?;
        let requests = search.judge(&rows, stored, wanted)?;
        Ok(Self {
            rows,
            requests,
            sighting_keys: search.sighting_keys(wanted)?,
            through: search.view.sequence,
        })
    }
}

impl Search<'_> {
    /// The rows of the lake, in the order of recording.
    fn stored_rows(&self, wanted: &Wanted) -> Result<Vec<RecordBatch>> {
        let dates: BTreeSet<NaiveDate> =
            wanted.values().flat_map(|request| local_dates(request.event_time)).collect();
        let closed = self.closed_months.first().map(|month| month.first_day());
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for file in self.view.events.files.iter().filter(|file| may_hold(file, wanted)) {
            let is_late = closed.is_some_and(|first| file.date >= first);
            let is_near = dates.contains(&file.date)
                || (is_late && holds_late_rows(file, &self.lake.events)?);
            if is_near { &mut near } else { &mut far }.push(file);
        }
        let rows = by_recording(self.read(&near, wanted)?)?;
        let current: HashSet<usize> = current_rows(&rows)?.into_iter().collect();
        let mut left = wanted.clone();
        for_each_request(&rows, |row, key| {
            if current.contains(&row) {
                left.remove(&key);
            }
        })?;
        if left.is_empty() {
            return Ok(vec![rows]);
        }
        let far = self.read(&far, &left)?;
        Ok(vec![by_recording([vec![rows], far].concat())?])
    }

    fn read(&self, files: &[&LakeFile], wanted: &Wanted) -> Result<Vec<RecordBatch>> {
        let table = &self.lake.events;
        let mut rows = Vec::new();
        for file in files {
            let mut holds = false;
            for batch in table.read_file(file, Some(&REQUEST_COLUMNS))? {
                for_each_request(&batch?, |_, key| holds |= wanted.contains_key(&key))?;
                if holds {
                    break;
                }
            }
            if holds {
                for batch in table.read_file(file, None)? {
                    rows.extend(wanted_rows(&batch?, wanted)?);
                }
            }
        }
        Ok(rows)
    }

    /// Which of `rows` count for each request; the first `stored` of them are
    /// in the lake.
    fn judge(
        &self,
        rows: &RecordBatch,
        stored: usize,
        wanted: &Wanted,
    ) -> Result<HashMap<u128, Counting>> {
        let current: HashSet<usize> = current_rows(rows)?.into_iter().collect();
        let (sources, event_ids) = (texts(rows, "source")?, texts(rows, "event_id")?);
        let quantity = rows.column_by_name("quantity");
        let quantity: Option<&Int8Array> = quantity.and_then(|column| column.as_primitive_opt());
        let quantity = quantity.ok_or_else(|| Error::internal("rows have no quantity"))?;
        // By request, the best row yet: one that counts before one that was
        // taken back, then by source, then the first one.
        let mut best: HashMap<u128, (bool, usize, usize)> = HashMap::new();
        let mut standing: HashMap<u128, Vec<usize>> = HashMap::new();
        for_each_request(rows, |row, key| {
            if quantity.value(row) > 0 {
                let rank = self.precedence.rank(sources.value(row));
                let one = (!current.contains(&row), rank, row);
                best.entry(key).and_modify(|best| *best = one.min(*best)).or_insert(one);
                if current.contains(&row) {
                    standing.entry(key).or_default().push(row);
                }
            }
        })?;
        let counting = |key: &u128| {
            let Some((taken_back, _, best)) = best.get(key).copied() else {
                return Counting::Nobody;
            };
            let source = sources.value(best);
            let event = |row: usize, place: Place| CountingEvent {
                event_id: event_ids.value(row).to_owned(),
                place,
            };
            let events = match (taken_back, standing.get(key)) {
                (false, Some(standing)) => {
                    let of_source = standing.iter().filter(|row| sources.value(**row) == source);
                    let place = |row: usize| match row < stored {
                        true => Place::Stored(row),
                        false => Place::Elsewhere,
                    };
                    of_source.map(|row| event(*row, place(*row))).collect()
                }
                _ => vec![event(best, Place::Void)],
            };
            let source = source.to_owned();
            Counting::Events(CountingEvents { source, events, whole: true })
        };
        Ok(wanted.keys().map(|key| (*key, counting(key))).collect())
    }

    /// The keys of the sightings of these requests, where the memory of keys
    /// may have forgotten some.
    fn sighting_keys(&self, wanted: &Wanted) -> Result<HashSet<u128>> {
        let mut found = HashSet::new();
        let first = wanted.values().map(|request| request.event_time).min();
        let Some(first) = first.filter(|_| self.covered_since > DateTime::UNIX_EPOCH) else {
            return Ok(found);
        };
        // A clock may be ahead of ours by an hour.
        let first = first.date_naive().pred_opt().unwrap_or(NaiveDate::MIN);
        let table = &self.lake.sightings;
        for file in self.view.sightings.files.iter().filter(|file| file.date >= first) {
            for batch in table.read_file(file, Some(&SIGHTING_COLUMNS))? {
                let batch = batch?;
                let mut rows = HashSet::new();
                for_each_request(&batch, |row, key| {
                    rows.extend(wanted.contains_key(&key).then_some(row));
                })?;
                let mut row = 0;
                for_each_key(&batch, |key| {
                    found.extend(rows.contains(&row).then_some(key));
                    row += 1;
                })?;
            }
        }
        Ok(found)
    }
}

/// Whether `file` may hold rows of the organizations of `wanted`.
fn may_hold(file: &LakeFile, wanted: &Wanted) -> bool {
    let Some((least, greatest)) = &file.organizations else { return true };
    wanted.values().any(|request| {
        (least.as_str()..=greatest.as_str()).contains(&request.organization_id.as_str())
    })
}

/// The rows of `batch` that are of a wanted request.
fn wanted_rows(batch: &RecordBatch, wanted: &Wanted) -> Result<Option<RecordBatch>> {
    let mut places = Vec::new();
    for_each_request(batch, |row, key| {
        places.extend(wanted.contains_key(&key).then_some(row as u64));
    })?;
    if places.is_empty() {
        return Ok(None);
    }
    let rows = take_record_batch(batch, &UInt64Array::from(places));
    rows.internal("taking the rows of requests").map(Some)
}

/// `rows` as one batch, sorted by `recorded_at`.
fn by_recording(rows: Vec<RecordBatch>) -> Result<RecordBatch> {
    let doing = "sorting the rows of requests";
    let rows = concat_batches(&usage_events_schema(), &rows).internal(doing)?;
    let times = rows.column_by_name("recorded_at");
    let times: Option<&TimestampMicrosecondArray> =
        times.and_then(|column| column.as_primitive_opt());
    let times = times.ok_or_else(|| Error::internal("rows have no recorded_at"))?;
    let mut order: Vec<(i64, usize)> = times.values().iter().copied().zip(0..).collect();
    order.sort_unstable();
    let order: UInt64Array = order.into_iter().map(|(_, row)| row as u64).collect();
    take_record_batch(&rows, &order).internal(doing)
}
