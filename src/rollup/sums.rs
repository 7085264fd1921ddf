//! The measures of one `usage_daily` row, and how two rows add up.

use arrow::array::{
    Array, Decimal128Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use crate::error::{Error, Result};

/// The counting columns of `usage_daily`, by their place in
/// [`DailySums::counts`].
pub(super) const COUNTS: [&str; 11] = [
    "entries",
    "events",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_events",
    "uncharged_events",
    "failed_events",
];
pub(super) const ENTRIES: usize = 0;
pub(super) const EVENTS: usize = 1;
pub(super) const TOKENS: std::ops::Range<usize> = 2..8;
pub(super) const UNPRICED_EVENTS: usize = 8;
pub(super) const UNCHARGED_EVENTS: usize = 9;
pub(super) const FAILED_EVENTS: usize = 10;

/// Measures of one row. Money in picos (10⁻¹² USD), times in microseconds
/// since 1970; `None` where no event had a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DailySums {
    pub(super) counts: [i64; COUNTS.len()],
    pub(super) actual: Option<i128>,
    pub(super) charged: Option<i128>,
    pub(super) unpriced_charged: i128,
    pub(super) duration_ms: Option<i64>,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl DailySums {
    /// Adds another row of the same grain; `None` when a sum does not fit.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let mut counts = self.counts;
        for (count, added) in counts.iter_mut().zip(other.counts) {
            *count = count.checked_add(added)?;
        }
        let sums = Self {
            counts,
            actual: add_nullable(self.actual, other.actual, i128::checked_add)?,
            charged: add_nullable(self.charged, other.charged, i128::checked_add)?,
            unpriced_charged: self.unpriced_charged.checked_add(other.unpriced_charged)?,
            duration_ms: add_nullable(self.duration_ms, other.duration_ms, i64::checked_add)?,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        };
        sums.fits().then_some(sums)
    }

    /// Whether every value can be stored in memory, where the least number of
    /// a width stands for null.
    pub(super) fn fits(&self) -> bool {
        let counts = self.counts.iter().chain(&self.duration_ms);
        let picos = [self.actual, self.charged, Some(self.unpriced_charged)];
        counts.into_iter().all(|count| *count != i64::MIN)
            && picos.into_iter().flatten().all(|picos| picos != i128::MIN)
    }
}

/// First and last time of a row of which no event is left: any time of an
/// event comes before the one and after the other, so that adding such a row
/// changes no time, and `first > last` tells it from all others.
const NO_FIRST_MICROS: i64 = 253_402_300_799_999_999;
const NO_LAST_MICROS: i64 = 0;

/// The measures of rows that take each other back: nothing but their number.
pub(super) struct TakenBack;

impl MeasureColumns for TakenBack {
    fn sums(&self, _row: usize) -> DailySums {
        let mut counts = [0; COUNTS.len()];
        counts[ENTRIES] = 1;
        DailySums {
            counts,
            actual: None,
            charged: None,
            unpriced_charged: 0,
            duration_ms: None,
            first: NO_FIRST_MICROS,
            last: NO_LAST_MICROS,
        }
    }
}

/// Null plus a value is the value. The outer `None` is an overflow.
fn add_nullable<T: Copy>(
    one: Option<T>,
    other: Option<T>,
    add: fn(T, T) -> Option<T>,
) -> Option<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) => add(one, other).map(Some),
        _ => Some(one.or(other)),
    }
}

/// A column by name and type.
pub(super) fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| Error::internal(format!("a batch lacks {name}, or it has another type")))
}

/// Where the measures of a batch come from: one row's contribution at a time.
pub(super) trait MeasureColumns {
    fn sums(&self, row: usize) -> DailySums;
}

/// The measures of `usage_events`.
pub(super) struct EventMeasures<'a> {
    tokens: Vec<&'a Int64Array>,
    quantity: &'a Int8Array,
    status: &'a StringArray,
    actual: &'a Decimal128Array,
    charged: &'a Decimal128Array,
    duration_ms: &'a Int64Array,
    time: &'a TimestampMicrosecondArray,
}

impl<'a> EventMeasures<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            tokens: COUNTS[TOKENS].iter().map(|name| column(batch, name)).collect::<Result<_>>()?,
            quantity: column(batch, "quantity")?,
            status: column(batch, "status")?,
            actual: column(batch, "actual_api_cost")?,
            charged: column(batch, "charged_cost")?,
            duration_ms: column(batch, "duration_ms")?,
            time: column(batch, "event_time")?,
        })
    }
}

impl MeasureColumns for EventMeasures<'_> {
    fn sums(&self, row: usize) -> DailySums {
        let quantity = i64::from(self.quantity.value(row));
        let actual = self.actual.is_valid(row).then(|| self.actual.value(row));
        let charged = self.charged.is_valid(row).then(|| self.charged.value(row));
        let mut counts = [0; COUNTS.len()];
        counts[ENTRIES] = 1;
        counts[EVENTS] = quantity;
        for (count, column) in counts[TOKENS].iter_mut().zip(&self.tokens) {
            *count = column.value(row);
        }
        counts[UNPRICED_EVENTS] = if actual.is_none() { quantity } else { 0 };
        counts[UNCHARGED_EVENTS] = if charged.is_none() { quantity } else { 0 };
        counts[FAILED_EVENTS] = if self.status.value(row) == "failed" { quantity } else { 0 };
        DailySums {
            counts,
            actual,
            charged,
            unpriced_charged: if actual.is_none() { charged.unwrap_or(0) } else { 0 },
            duration_ms: self.duration_ms.is_valid(row).then(|| self.duration_ms.value(row)),
            first: self.time.value(row),
            last: self.time.value(row),
        }
    }
}

/// The measures of `usage_daily`.
pub(super) struct DailyMeasures<'a> {
    counts: Vec<&'a Int64Array>,
    actual: &'a Decimal128Array,
    charged: &'a Decimal128Array,
    unpriced_charged: &'a Decimal128Array,
    duration_ms: &'a Int64Array,
    first: &'a TimestampMicrosecondArray,
    last: &'a TimestampMicrosecondArray,
}

impl<'a> DailyMeasures<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            counts: COUNTS.iter().map(|name| column(batch, name)).collect::<Result<_>>()?,
            actual: column(batch, "actual_api_cost")?,
            charged: column(batch, "charged_cost")?,
            unpriced_charged: column(batch, "unpriced_charged_cost")?,
            duration_ms: column(batch, "duration_ms")?,
            first: column(batch, "first_event_time")?,
            last: column(batch, "last_event_time")?,
        })
    }
}

impl MeasureColumns for DailyMeasures<'_> {
    fn sums(&self, row: usize) -> DailySums {
        let mut counts = [0; COUNTS.len()];
        for (count, column) in counts.iter_mut().zip(&self.counts) {
            *count = column.value(row);
        }
        DailySums {
            counts,
            actual: self.actual.is_valid(row).then(|| self.actual.value(row)),
            charged: self.charged.is_valid(row).then(|| self.charged.value(row)),
            unpriced_charged: self.unpriced_charged.value(row),
            duration_ms: self.duration_ms.is_valid(row).then(|| self.duration_ms.value(row)),
            first: self.first.value(row),
            last: self.last.value(row),
        }
    }
}
