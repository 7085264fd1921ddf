//! Events older than the dedup window: their copies are looked for in the
//! lake, in the day they belong to.
//!
//! The memory of keys holds everything received since `covered_since`. A copy
//! received before that can only stand in the lake, and with the same
//! event_time it stands in the same day, or in the one beside it when the
//! organization's time zone changed meanwhile. The requests that the events of
//! those days belong to are known with them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::open_hot::for_each_request;
use crate::error::{Error, Result};
use crate::ingest::PreparedRequest;
use crate::lake::{LakeFile, LakeTable};
use crate::model::UsageEvent;

/// Stands for the fingerprints of an event that was corrected: a copy of any
/// of its contents is a duplicate.
const SEVERAL: u64 = 0;

/// A day's stored events: by key, a fingerprint of what a copy must share; and
/// the keys of their requests.
pub(super) type DayKeys = HashMap<u128, u64>;

/// The stored keys of the days that one request asks about.
#[derive(Debug)]
pub(super) struct OldEvents {
    /// Since when the memory of keys was complete when the days were read.
    covered_since: DateTime<Utc>,
    days: Vec<Arc<DayKeys>>,
}

impl OldEvents {
    /// No day, for events that are all younger than `covered_since`.
    pub(super) fn none(covered_since: DateTime<Utc>) -> Self {
        Self { covered_since, days: Vec::new() }
    }

    /// Whether the memory of keys forgot some since the days were read.
    pub(super) fn is_stale(&self, covered_since: DateTime<Utc>) -> bool {
        self.covered_since != covered_since
    }

    /// Whether the lake holds a copy of `event`, and whether it says the same.
    pub(super) fn find(&self, key: u128, event: &UsageEvent) -> Option<bool> {
        let stored = self.days.iter().find_map(|day| day.get(&key))?;
        Some(*stored == SEVERAL || *stored == stored_fingerprint(event))
    }
}

impl OldEvents {
    /// Whether the memory of keys may have forgotten a copy of `event`.
    pub(super) fn is_old(&self, event: &UsageEvent) -> bool {
        is_old(event, self.covered_since)
    }

    /// Whether an event of the request of `key` is among them.
    pub(super) fn knows_request(&self, key: u128) -> bool {
        self.days.iter().any(|day| day.contains_key(&key))
    }
}

/// Keys kept in memory, at about 32 bytes each; a day is read again after it
/// was dropped.
const KEYS_CACHED_MAX: usize = 4_000_000;

/// How much later than `covered_since` an event may be and still be looked up:
/// a copy may have been received up to a day before its event_time.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// Whether an event of `events` may have a copy that was received before
/// `covered_since`.
pub(super) fn any(events: &[UsageEvent], covered_since: DateTime<Utc>) -> bool {
    events.iter().any(|event| is_old(event, covered_since))
}

/// Every date that it can be somewhere at `time`: the organization may have
/// had another time zone when the first copy came.
pub(super) fn local_dates(time: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
    let date = time.date_naive();
    [date.pred_opt(), Some(date), date.succ_opt()].into_iter().flatten()
}

fn is_old(event: &UsageEvent, covered_since: DateTime<Utc>) -> bool {
    covered_since > DateTime::UNIX_EPOCH && event.event_time < covered_since + MARGIN
}

/// Reads days from the lake and keeps the latest ones.
#[derive(Debug, Default)]
pub(super) struct OldEventReader {
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// Days read before this moved do not know what was dropped since.
    covered_since: Option<DateTime<Utc>>,
    days: HashMap<Place, Arc<DayKeys>>,
}

/// Where copies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    /// In the day they belong to.
    Day(NaiveDate),
    /// On any day from this one, among rows that came late for a closed month.
    LateSince(NaiveDate),
}

/// Columns that identify an event.
pub(super) const IDENTITY_COLUMNS: [&str; 3] = ["organization_id", "source", "event_id"];

/// Columns that identify an event and tell a conflict from a duplicate.
const COLUMNS: [&str; 13] = [
    "organization_id",
    "source",
    "event_id",
    "request_id",
    "event_time",
    "model_name",
    "quantity",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
];

/// Calls `visit` with the key of each row of `batch`.
pub(super) fn for_each_key(batch: &RecordBatch, mut visit: impl FnMut(u128)) -> Result<()> {
    let [organization, source, event_id] = IDENTITY_COLUMNS.map(|name| column(batch, name));
    let (organization, source) = (organization?.as_string::<i32>(), source?.as_string::<i32>());
    let event_id = event_id?.as_string::<i32>();
    let mut bytes = Vec::with_capacity(128);
    for row in 0..batch.num_rows() {
        let parts = [organization.value(row), source.value(row), event_id.value(row)];
        crate::ingest::identity_bytes(parts, &mut bytes);
        visit(xxh3_128(&bytes));
    }
    Ok(())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
}

impl OldEventReader {
    /// The stored keys of every place where a copy of an event from before
    /// `covered_since` may stand. Blocks while reading files.
    pub(super) fn read(
        &self,
        request: &PreparedRequest,
        covered_since: DateTime<Utc>,
        table: &LakeTable,
    ) -> Result<OldEvents> {
        let mut places = BTreeSet::new();
        for event in request.events.iter().filter(|event| is_old(event, covered_since)) {
            places.extend(local_dates(event.event_time).map(Place::Day));
            // A copy that came after the closing stands on the day it came.
            let closed = event
                .correction_of_period
                .as_ref()
                .and_then(|_| request.directory.closed_months().first());
            places.extend(closed.map(|month| Place::LateSince(month.first_day())));
        }
        let mut old = OldEvents::none(covered_since);
        for place in places {
            let keys = match self.cached(place, covered_since) {
                Some(keys) => keys,
                None => {
                    let keys = Arc::new(read_keys(place, table)?);
                    self.keep(place, covered_since, &keys);
                    keys
                }
            };
            old.days.push(keys);
        }
        Ok(old)
    }

    fn cached(&self, place: Place, covered_since: DateTime<Utc>) -> Option<Arc<DayKeys>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.covered_since != Some(covered_since) {
            *cache = Cache { covered_since: Some(covered_since), days: HashMap::new() };
        }
        cache.days.get(&place).cloned()
    }

    fn keep(&self, place: Place, covered_since: DateTime<Utc>, keys: &Arc<DayKeys>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.covered_since == Some(covered_since) {
            let cached: usize = cache.days.values().map(|day| day.len()).sum();
            if cached + keys.len() > KEYS_CACHED_MAX {
                cache.days.clear();
            }
            cache.days.insert(place, Arc::clone(keys));
        }
    }
}

fn read_keys(place: Place, table: &LakeTable) -> Result<DayKeys> {
    let mut keys = DayKeys::new();
    for file in &table.snapshot().files {
        let wanted = match place {
            Place::Day(date) => file.date == date,
            Place::LateSince(date) => file.date >= date && holds_late_rows(file, table)?,
        };
        if wanted {
            for batch in table.read_file(file, Some(&COLUMNS))? {
                add_keys(&batch?, &mut keys)?;
            }
        }
    }
    Ok(keys)
}

/// Whether a row of `file` came late for a closed month. Few files hold any,
/// and a column of nulls costs next to nothing to read.
pub(super) fn holds_late_rows(file: &LakeFile, table: &LakeTable) -> Result<bool> {
    for batch in table.read_file(file, Some(&["correction_of_period"]))? {
        let batch = batch?;
        if column(&batch, "correction_of_period")?.null_count() < batch.num_rows() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_keys(batch: &RecordBatch, keys: &mut DayKeys) -> Result<()> {
    let model = column(batch, "model_name")?.as_string::<i32>();
    let time = column(batch, "event_time")?.as_primitive::<TimestampMicrosecondType>();
    let quantity = column(batch, "quantity")?.as_primitive::<Int8Type>();
    let tokens = COLUMNS[7..]
        .iter()
        .map(|name| Ok(column(batch, name)?.as_primitive::<Int64Type>()))
        .collect::<Result<Vec<_>>>()?;
    for_each_request(batch, |_, key| {
        keys.insert(key, 0);
    })?;
    let mut row = 0;
    for_each_key(batch, |key| {
        let numbers = tokens.iter().map(|column| column.value(row));
        let fingerprint = hash_stored(time.value(row), model.value(row), numbers);
        // A reversal has the numbers of another row, negated.
        if quantity.value(row) > 0 {
            let known = keys.entry(key).or_insert(fingerprint);
            if *known != fingerprint {
                *known = SEVERAL;
            }
        }
        row += 1;
    })
}

fn stored_fingerprint(event: &UsageEvent) -> u64 {
    let tokens = &event.tokens;
    let numbers = [
        tokens.input,
        tokens.cache_read,
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.output,
        tokens.reasoning,
    ];
    hash_stored(event.event_time.timestamp_micros(), &event.model_name, numbers.into_iter())
}

/// What a stored row surely kept as it was sent: time, model and tokens.
fn hash_stored(time: i64, model: &str, tokens: impl Iterator<Item = i64>) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&time.to_le_bytes());
    hash.update(model.as_bytes());
    for count in tokens {
        hash.update(&count.to_le_bytes());
    }
    hash.digest()
}
