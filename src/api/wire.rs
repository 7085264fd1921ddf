//! The wire types that several answers share. Amounts are decimal strings.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::reading::AsOf;
use crate::model::Money;
use crate::query;
use crate::rollup::UsageFilter;

/// What was used and what it cost. An amount is a decimal string in US
/// dollars, or null where there are events but none has a known cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Measures {
    /// What users pay.
    #[schema(example = "12.3456")]
    total_cost: Option<String>,
    /// What the providers charge.
    actual_api_cost: Option<String>,
    /// Charged minus actual, over the events that have both.
    profit_amount: Option<String>,
    /// Calls.
    total_events: i64,
    /// Distinct conversations.
    total_conversations: i64,
    /// Distinct users.
    total_users: i64,
    /// The sum of input, cache_read, cache_write, cache_write_1h and output.
    total_tokens: i64,
    /// Prompt tokens outside any cache.
    input_tokens: i64,
    /// Prompt tokens read from a cache.
    cache_read_tokens: i64,
    /// Prompt tokens written to a five-minute cache.
    cache_write_tokens: i64,
    /// Prompt tokens written to a one-hour cache.
    cache_write_1h_tokens: i64,
    /// Generated tokens.
    output_tokens: i64,
    /// The part of output_tokens spent on reasoning; not added again.
    reasoning_tokens: i64,
    /// Events without a known actual cost: unknown is never 0.
    unpriced_events: i64,
    /// Events that ended in an error.
    failed_events: i64,
    /// The calls' durations added up, where any is known.
    duration_ms: Option<i64>,
}

impl From<&query::Measures> for Measures {
    fn from(measures: &query::Measures) -> Self {
        Self {
            total_cost: money(measures.total_cost),
            actual_api_cost: money(measures.actual_api_cost),
            profit_amount: money(measures.profit_amount),
            total_events: measures.total_events,
            total_conversations: measures.total_conversations,
            total_users: measures.total_users,
            total_tokens: measures.total_tokens,
            input_tokens: measures.input_tokens,
            cache_read_tokens: measures.cache_read_tokens,
            cache_write_tokens: measures.cache_write_tokens,
            cache_write_1h_tokens: measures.cache_write_1h_tokens,
            output_tokens: measures.output_tokens,
            reasoning_tokens: measures.reasoning_tokens,
            unpriced_events: measures.unpriced_events,
            failed_events: measures.failed_events,
            duration_ms: measures.duration_ms,
        }
    }
}

/// What an answer covers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Coverage {
    /// Every event acknowledged by then is in the answer. To whoever may see
    /// everything: when the latest one was acknowledged, null before the first
    /// one; to anybody else: the minute of asking.
    as_of: Option<String>,
    /// First local date, inclusive.
    #[schema(value_type = String, format = Date)]
    date_from: NaiveDate,
    /// Last local date, inclusive.
    #[schema(value_type = String, format = Date)]
    date_to: NaiveDate,
}

impl Coverage {
    pub(crate) fn new(as_of: AsOf, filter: &UsageFilter) -> Self {
        Self { as_of: as_of.text(), date_from: filter.date_from, date_to: filter.date_to }
    }
}

/// An amount as a decimal string.
pub(crate) fn money(amount: Option<Money>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

/// A time as RFC 3339 in UTC with microseconds.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
