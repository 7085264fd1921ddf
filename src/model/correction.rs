//! Corrections as columns: rows that take others back, and rows that stand in
//! their place.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int8Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::kernels::numeric::neg_wrapping;
use chrono::{DateTime, Utc};

use super::batch::epoch_days;
use super::event::Entry;
use super::money::Money;
use super::month::Booking;
use super::schema::usage_events_schema;
use crate::error::{Context, Error, Result};
use crate::model::CostSource;

/// The measures of a `usage_events` row: a reversal has them negated.
const MEASURES: [&str; 9] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "actual_api_cost",
    "charged_cost",
    "duration_ms",
];

/// What one correction writes on each of its rows.
#[derive(Debug, Clone)]
pub struct CorrectionStamp {
    /// Names the correction.
    pub id: String,
    /// When it was made.
    pub at: DateTime<Utc>,
}

/// What an event costs after a correction of its costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCosts {
    /// What the provider charges us; `None` when unpriced.
    pub actual_api_cost: Option<Money>,
    /// What the user pays; `None` when unknown.
    pub charged_cost: Option<Money>,
    /// Where the actual cost comes from.
    pub cost_source: CostSource,
    /// The price list used, when computed.
    pub price_version: Option<String>,
}

/// The rows that take `rows` of `usage_events` back, booked as `bookings` say,
/// one for each row.
pub fn reversals(
    rows: &RecordBatch,
    bookings: &[Booking],
    stamp: &CorrectionStamp,
) -> Result<RecordBatch> {
    let mut rows = stamped(rows, bookings, stamp)?;
    for name in MEASURES {
        let negated = neg_wrapping(column(&rows, name)?).internal("negating a measure")?;
        rows = with_column(&rows, name, negated)?;
    }
    let count = rows.num_rows();
    let entries = StringArray::from(vec![Entry::Reversal.as_str(); count]);
    let quantities = Int8Array::from(vec![Entry::Reversal.quantity(); count]);
    let rows = with_column(&rows, "entry", Arc::new(entries))?;
    with_column(&rows, "quantity", Arc::new(quantities))
}

/// `rows` of `usage_events` as they are after a correction of their costs.
pub fn with_costs(
    rows: &RecordBatch,
    costs: &[NewCosts],
    bookings: &[Booking],
    stamp: &CorrectionStamp,
) -> Result<RecordBatch> {
    let rows = stamped(rows, bookings, stamp)?;
    let money = |name: &str, pick: fn(&NewCosts) -> Option<Money>| -> Result<ArrayRef> {
        let picos = costs.iter().map(|cost| pick(cost).map(Money::picos));
        let picos = picos.collect::<arrow::array::Decimal128Array>();
        let kind = column(&rows, name)?.data_type().clone();
        Ok(Arc::new(picos.with_data_type(kind)))
    };
    let actual = money("actual_api_cost", |cost| cost.actual_api_cost)?;
    let charged = money("charged_cost", |cost| cost.charged_cost)?;
    let sources: StringArray = costs.iter().map(|cost| Some(cost.cost_source.as_str())).collect();
    let versions: StringArray = costs.iter().map(|cost| cost.price_version.as_deref()).collect();
    let rows = with_column(&rows, "actual_api_cost", actual)?;
    let rows = with_column(&rows, "charged_cost", charged)?;
    let rows = with_column(&rows, "cost_source", Arc::new(sources))?;
    with_column(&rows, "price_version", Arc::new(versions))
}

/// `rows`, booked anew and marked as written by a correction.
pub fn stamped(
    rows: &RecordBatch,
    bookings: &[Booking],
    stamp: &CorrectionStamp,
) -> Result<RecordBatch> {
    let count = rows.num_rows();
    let times = TimestampMicrosecondArray::from(vec![stamp.at.timestamp_micros(); count]);
    let dates = bookings.iter().map(|booking| epoch_days(booking.usage_date));
    let dates = Date32Array::from_iter_values(dates);
    // A row that already corrected a month still belongs to that month.
    let known = column(rows, "correction_of_period")?.as_string::<i32>();
    let periods: StringArray = (0..count)
        .map(|row| {
            let before = known.is_valid(row).then(|| known.value(row).to_owned());
            before
                .or_else(|| bookings.get(row)?.correction_of_period.map(|month| month.to_string()))
        })
        .collect();
    let ids = StringArray::from(vec![stamp.id.as_str(); count]);
    let rows = with_column(rows, "recorded_at", Arc::new(times.with_timezone("UTC")))?;
    let rows = with_column(&rows, "usage_date", Arc::new(dates))?;
    let rows = with_column(&rows, "correction_of_period", Arc::new(periods))?;
    with_column(&rows, "correction_id", Arc::new(ids))
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name)
        .ok_or_else(|| Error::internal(format!("rows to be corrected have no column {name}")))
}

fn with_column(rows: &RecordBatch, name: &str, values: ArrayRef) -> Result<RecordBatch> {
    let schema = usage_events_schema();
    let place = schema.index_of(name).internal("correcting rows")?;
    let mut columns = rows.columns().to_vec();
    columns[place] = values;
    RecordBatch::try_new(schema, columns).internal("correcting rows")
}
