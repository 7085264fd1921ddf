//! Rows of `usage_events` as calls to price.

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::DateTime;

use crate::error::{Error, Result};
use crate::model::{CostSource, Money, TokenCounts};
use crate::pricing::CallCosts;

/// The columns of one batch.
pub(super) struct Calls<'a> {
    organizations: &'a StringArray,
    teams: &'a StringArray,
    api_keys: &'a StringArray,
    providers: &'a StringArray,
    models: &'a StringArray,
    times: &'a PrimitiveArray<TimestampMicrosecondType>,
    /// In the order of the fields of [`TokenCounts`].
    tokens: [&'a PrimitiveArray<Int64Type>; 6],
    actual: &'a PrimitiveArray<Decimal128Type>,
    charged: &'a PrimitiveArray<Decimal128Type>,
    cost_sources: &'a StringArray,
    price_versions: &'a StringArray,
}

impl<'a> Calls<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            organizations: text(batch, "organization_id")?,
            teams: text(batch, "team_id")?,
            api_keys: text(batch, "api_key_id")?,
            providers: text(batch, "provider")?,
            models: text(batch, "model_name")?,
            times: numbers(batch, "event_time")?,
            tokens: [
                numbers(batch, "input_tokens")?,
                numbers(batch, "cache_read_tokens")?,
                numbers(batch, "cache_write_tokens")?,
                numbers(batch, "cache_write_1h_tokens")?,
                numbers(batch, "output_tokens")?,
                numbers(batch, "reasoning_tokens")?,
            ],
            actual: numbers(batch, "actual_api_cost")?,
            charged: numbers(batch, "charged_cost")?,
            cost_sources: text(batch, "cost_source")?,
            price_versions: text(batch, "price_version")?,
        })
    }

    /// The call of row `at`.
    pub(super) fn get(&self, at: usize) -> Result<CallCosts<'a>> {
        let unreadable = || Error::internal("an event's time or cost source cannot be read");
        let tokens = self.tokens.map(|class| class.value(at));
        let [input, cache_read, cache_write, cache_write_1h, output, reasoning] = tokens;
        Ok(CallCosts {
            organization_id: self.organizations.value(at),
            team_id: optional(self.teams, at),
            api_key_id: optional(self.api_keys, at),
            provider: self.providers.value(at),
            model: self.models.value(at),
            time: DateTime::from_timestamp_micros(self.times.value(at)).ok_or_else(unreadable)?,
            tokens: TokenCounts {
                input,
                cache_read,
                cache_write,
                cache_write_1h,
                output,
                reasoning,
            },
            actual: money(self.actual, at),
            charged: money(self.charged, at),
            cost_source: cost_source(self.cost_sources.value(at)).ok_or_else(unreadable)?,
            price_version: optional(self.price_versions, at),
        })
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    let column = batch.column_by_name(name);
    column.map(AsRef::as_ref).ok_or_else(|| Error::internal(format!("no column {name}")))
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let texts = column(batch, name)?.as_string_opt::<i32>();
    texts.ok_or_else(|| Error::internal(format!("column {name} is not text")))
}

fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<T>> {
    let values = column(batch, name)?.as_primitive_opt::<T>();
    values.ok_or_else(|| Error::internal(format!("column {name} has another type")))
}

fn optional(texts: &StringArray, at: usize) -> Option<&str> {
    texts.is_valid(at).then(|| texts.value(at))
}

fn money(amounts: &PrimitiveArray<Decimal128Type>, at: usize) -> Option<Money> {
    if amounts.is_null(at) { None } else { Money::from_picos(amounts.value(at)) }
}

fn cost_source(word: &str) -> Option<CostSource> {
    let all = [CostSource::Reported, CostSource::Computed, CostSource::Unpriced];
    all.into_iter().find(|source| source.as_str() == word)
}
