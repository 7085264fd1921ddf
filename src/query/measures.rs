//! The measures of one row in the columns of `usage_schema`.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::error::{Error, Result};
use crate::model::Money;

/// What was used and what it cost. Costs are `None` when no event has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measures {
    /// Calls, reversed ones taken back.
    pub total_events: i64,
    /// Distinct conversations.
    pub total_conversations: i64,
    /// Distinct users.
    pub total_users: i64,
    /// The sum of the disjoint token classes.
    pub total_tokens: i64,
    /// Prompt tokens that no cache was involved in.
    pub input_tokens: i64,
    /// Prompt tokens read from a cache.
    pub cache_read_tokens: i64,
    /// Prompt tokens written to a five-minute cache.
    pub cache_write_tokens: i64,
    /// Prompt tokens written to a one-hour cache.
    pub cache_write_1h_tokens: i64,
    /// Generated tokens.
    pub output_tokens: i64,
    /// The part of the output spent on reasoning.
    pub reasoning_tokens: i64,
    /// What users pay.
    pub total_cost: Option<Money>,
    /// What providers charge.
    pub actual_api_cost: Option<Money>,
    /// Charged minus actual, over the events that have both.
    pub profit_amount: Option<Money>,
    /// Events without a known actual cost.
    pub unpriced_events: i64,
    /// Events that ended in an error.
    pub failed_events: i64,
    /// The sum of the calls' durations, where any is known.
    pub duration_ms: Option<i64>,
}

impl Measures {
    /// The measures of no events at all: costs are 0, which is known.
    pub(crate) fn nothing() -> Self {
        let zero = Some(Money::ZERO);
        Self { total_cost: zero, actual_api_cost: zero, profit_amount: zero, ..Self::default() }
    }

    /// Reads row `index`.
    pub(crate) fn read(row: Row<'_>) -> Result<Self> {
        Ok(Self {
            total_events: row.count("total_events")?,
            total_conversations: row.count("total_conversations")?,
            total_users: row.count("total_users")?,
            total_tokens: row.count("total_tokens")?,
            input_tokens: row.count("input_tokens")?,
            cache_read_tokens: row.count("cache_read_tokens")?,
            cache_write_tokens: row.count("cache_write_tokens")?,
            cache_write_1h_tokens: row.count("cache_write_1h_tokens")?,
            output_tokens: row.count("output_tokens")?,
            reasoning_tokens: row.count("reasoning_tokens")?,
            total_cost: row.money("total_cost")?,
            actual_api_cost: row.money("actual_api_cost")?,
            profit_amount: row.money("profit_amount")?,
            unpriced_events: row.count("unpriced_events")?,
            failed_events: row.count("failed_events")?,
            duration_ms: row.long("duration_ms")?,
        })
    }
}

/// One row of a batch, read by column name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) batch: &'a RecordBatch,
    pub(crate) index: usize,
}

impl<'a> Row<'a> {
    /// The rows of `batch`, in order.
    pub(crate) fn all(batch: &'a RecordBatch) -> impl Iterator<Item = Self> {
        (0..batch.num_rows()).map(move |index| Self { batch, index })
    }

    /// The only row that is asked for.
    pub(crate) fn first(batch: &'a RecordBatch) -> Result<Self> {
        match batch.num_rows() {
            0 => Err(Error::internal("a question that owes one row answered none")),
            _ => Ok(Self { batch, index: 0 }),
        }
    }

    fn column(self, name: &str) -> Result<&'a dyn Array> {
        let column = self.batch.column_by_name(name);
        column.map(AsRef::as_ref).ok_or_else(|| Error::internal(format!("no column {name}")))
    }

    fn value<T>(
        self,
        name: &str,
        read: impl FnOnce(&'a dyn Array, usize) -> Option<T>,
    ) -> Result<Option<T>> {
        let column = self.column(name)?;
        if column.is_null(self.index) {
            return Ok(None);
        }
        let wrong = || Error::internal(format!("column {name} is {}", column.data_type()));
        read(column, self.index).map(Some).ok_or_else(wrong)
    }

    pub(crate) fn long(self, name: &str) -> Result<Option<i64>> {
        self.value(name, |column, index| {
            column.as_primitive_opt::<Int64Type>().map(|column| column.value(index))
        })
    }

    /// A count that is never null.
    pub(crate) fn count(self, name: &str) -> Result<i64> {
        self.long(name)?.ok_or_else(|| Error::internal(format!("column {name} holds a null")))
    }

    /// The integer of a decimal(_, 12) column.
    pub(crate) fn picos(self, name: &str) -> Result<Option<i128>> {
        self.value(name, |column, index| {
            column.as_primitive_opt::<Decimal128Type>().map(|column| column.value(index))
        })
    }

    pub(crate) fn money(self, name: &str) -> Result<Option<Money>> {
        let too_large = || Error::internal(format!("{name} exceeds what an amount can hold"));
        self.picos(name)?.map(|picos| Money::from_picos(picos).ok_or_else(too_large)).transpose()
    }

    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>> {
        self.value(name, |column, index| {
            column.as_string_opt::<i32>().map(|column| column.value(index))
        })
    }

    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>> {
        self.value(name, |column, index| column.as_boolean_opt().map(|column| column.value(index)))
    }

    pub(crate) fn date(self, name: &str) -> Result<Option<NaiveDate>> {
        self.value(name, |column, index| {
            let days = column.as_primitive_opt::<Date32Type>()?.value(index);
            date_of_days(days)
        })
    }

    pub(crate) fn time(self, name: &str) -> Result<Option<DateTime<Utc>>> {
        self.value(name, |column, index| {
            let micros = column.as_primitive_opt::<TimestampMicrosecondType>()?.value(index);
            DateTime::from_timestamp_micros(micros)
        })
    }
}

/// The date that lies `days` after 1 January 1970.
pub(crate) fn date_of_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(days)))
}

/// Days from 1 January 1970 to `date`.
pub(crate) fn days_of_date(date: NaiveDate) -> i32 {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).unwrap_or(i32::MAX)
}
