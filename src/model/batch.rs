//! Usage events as the columns of [`usage_events_schema`].

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, Int8Builder, Int64Builder, MapBuilder,
    MapFieldNames, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field};
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::event::UsageEvent;
use super::money::Money;
use super::schema::usage_events_schema;
use crate::error::{Context, Error, Result};

/// What chrono calls day 1 is 0001-01-01; Arrow counts dates from 1970-01-01.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// One row of `usage_events` per event, in the order given. Measures are
/// stored as the struct has them (a reversal carries negated ones); the
/// quantity follows from the entry; no tags at all are stored as null.
///
/// Fails when an amount does not fit decimal(18,12), or when the texts of one
/// column exceed 2 GiB.
pub fn events_to_batch(events: &[UsageEvent]) -> Result<RecordBatch> {
    let columns = vec![
        text(events, "event_id", |event| Some(&event.event_id))?,
        text(events, "source", |event| Some(&event.source))?,
        times(events, |event| event.event_time),
        times(events, |event| event.recorded_at),
        dates(events),
        text(events, "organization_id", |event| Some(&event.organization_id))?,
        text(events, "team_id", |event| event.team_id.as_deref())?,
        text(events, "department", |event| event.department.as_deref())?,
        text(events, "user_id", |event| event.user_id.as_deref())?,
        text(events, "api_key_id", |event| event.api_key_id.as_deref())?,
        text(events, "conversation_id", |event| event.conversation_id.as_deref())?,
        text(events, "request_id", |event| event.request_id.as_deref())?,
        text(events, "provider", |event| Some(&event.provider))?,
        text(events, "model_name", |event| Some(&event.model_name))?,
        text(events, "status", |event| Some(event.status.as_str()))?,
        text(events, "topic", |event| event.topic.as_deref())?,
        longs(events, |event| Some(event.tokens.input)),
        longs(events, |event| Some(event.tokens.cache_read)),
        longs(events, |event| Some(event.tokens.cache_write)),
        longs(events, |event| Some(event.tokens.cache_write_1h)),
        longs(events, |event| Some(event.tokens.output)),
        longs(events, |event| Some(event.tokens.reasoning)),
        money(events, "actual_api_cost", |event| event.actual_api_cost)?,
        money(events, "charged_cost", |event| event.charged_cost)?,
        text(events, "cost_source", |event| Some(event.cost_source.as_str()))?,
        text(events, "price_version", |event| event.price_version.as_deref())?,
        longs(events, |event| event.duration_ms),
        tags(events)?,
        text(events, "entry", |event| Some(event.entry.as_str()))?,
        quantities(events),
        text(events, "correction_of_period", |event| event.correction_of_period.as_deref())?,
        text(events, "correction_id", |event| event.correction_id.as_deref())?,
    ];
    RecordBatch::try_new(usage_events_schema(), columns).internal("cannot build usage events")
}

fn text<'a>(
    events: &'a [UsageEvent],
    column: &str,
    get: impl Fn(&'a UsageEvent) -> Option<&'a str>,
) -> Result<ArrayRef> {
    let bytes = events.iter().map(|event| get(event).map_or(0, str::len)).sum();
    check_text_bytes(column, bytes)?;
    let mut builder = StringBuilder::with_capacity(events.len(), bytes);
    for event in events {
        builder.append_option(get(event));
    }
    Ok(Arc::new(builder.finish()))
}

/// Arrow's offsets are 32 bits wide; beyond them its builders panic.
fn check_text_bytes(column: &str, bytes: usize) -> Result<()> {
    if i32::try_from(bytes).is_ok() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{column} holds {bytes} bytes in one batch; a batch holds {} bytes a column at most; \
         send fewer events at once",
        i32::MAX
    )))
}

fn times(events: &[UsageEvent], get: impl Fn(&UsageEvent) -> DateTime<Utc>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::with_capacity(events.len()).with_timezone("UTC");
    for event in events {
        builder.append_value(get(event).timestamp_micros());
    }
    Arc::new(builder.finish())
}

fn dates(events: &[UsageEvent]) -> ArrayRef {
    let mut builder = Date32Builder::with_capacity(events.len());
    for event in events {
        builder.append_value(epoch_days(event.usage_date));
    }
    Arc::new(builder.finish())
}

/// The date as a Date32 column holds it: days since 1970-01-01.
pub(crate) fn epoch_days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_DAYS_FROM_CE
}

fn longs(events: &[UsageEvent], get: impl Fn(&UsageEvent) -> Option<i64>) -> ArrayRef {
    let mut builder = Int64Builder::with_capacity(events.len());
    for event in events {
        builder.append_option(get(event));
    }
    Arc::new(builder.finish())
}

fn quantities(events: &[UsageEvent]) -> ArrayRef {
    let mut builder = Int8Builder::with_capacity(events.len());
    for event in events {
        builder.append_value(event.entry.quantity());
    }
    Arc::new(builder.finish())
}

fn money(
    events: &[UsageEvent],
    column: &str,
    get: impl Fn(&UsageEvent) -> Option<Money>,
) -> Result<ArrayRef> {
    let mut builder =
        Decimal128Builder::with_capacity(events.len()).with_data_type(DataType::Decimal128(18, 12));
    for event in events {
        let picos = get(event).map(Money::picos);
        if picos.is_some_and(|picos| picos.abs() > Money::EVENT_PICOS_MAX) {
            return Err(Error::invalid(format!(
                "{column} of event {:?} is {} USD; one event's amount is below 1,000,000 USD",
                event.event_id,
                get(event).unwrap_or_default(),
            )));
        }
        builder.append_option(picos);
    }
    Ok(Arc::new(builder.finish()))
}

fn tags(events: &[UsageEvent]) -> Result<ArrayRef> {
    let count = events.iter().map(|event| event.tags.len()).sum();
    let pairs = || events.iter().flat_map(|event| &event.tags);
    let key_bytes = pairs().map(|(key, _)| key.len()).sum();
    let value_bytes = pairs().map(|(_, value)| value.len()).sum();
    check_text_bytes("tags", key_bytes)?;
    check_text_bytes("tags", value_bytes)?;
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let keys = StringBuilder::with_capacity(count, key_bytes);
    let values = StringBuilder::with_capacity(count, value_bytes);
    let mut builder = MapBuilder::with_capacity(Some(names), keys, values, events.len())
        .with_keys_field(Field::new("key", DataType::Utf8, false))
        .with_values_field(Field::new("value", DataType::Utf8, true));
    for event in events {
        for (key, value) in &event.tags {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!event.tags.is_empty()).internal("cannot build tags")?;
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Decimal128Type, Int8Type, Int64Type};

    use super::*;
    use crate::model::{CostSource, Entry, Status, TokenCounts};

    fn event() -> UsageEvent {
        let event_time = DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("in range");
        UsageEvent {
            event_id: "e1".to_owned(),
            source: "test".to_owned(),
            event_time,
            recorded_at: event_time,
            usage_date: NaiveDate::from_ymd_opt(1970, 1, 2).expect("a date"),
            organization_id: "org".to_owned(),
            team_id: None,
            department: Some("R&D".to_owned()),
            user_id: None,
            api_key_id: None,
            conversation_id: None,
            request_id: None,
            provider: "anthropic".to_owned(),
            model_name: "m".to_owned(),
            status: Status::Failed,
            topic: None,
            tokens: TokenCounts { input: -7, ..TokenCounts::default() },
            actual_api_cost: None,
            charged_cost: Money::from_picos(-13_500_000),
            cost_source: CostSource::Unpriced,
            price_version: None,
            duration_ms: None,
            tags: [("project".to_owned(), "x".to_owned())].into(),
            entry: Entry::Reversal,
            correction_of_period: None,
            correction_id: None,
        }
    }

    #[test]
    fn every_column_holds_what_the_event_says() {
        let plain = UsageEvent { tags: Default::default(), entry: Entry::Usage, ..event() };
        let batch = events_to_batch(&[event(), plain]).expect("a batch");
        assert_eq!(batch.schema(), usage_events_schema());
        let column = |name: &str| batch.column_by_name(name).expect("the column");
        assert_eq!(column("usage_date").as_primitive::<Date32Type>().value(0), 1);
        assert_eq!(column("input_tokens").as_primitive::<Int64Type>().value(0), -7);
        assert_eq!(column("charged_cost").as_primitive::<Decimal128Type>().value(0), -13_500_000);
        assert!(column("actual_api_cost").is_null(0) && column("duration_ms").is_null(0));
        assert_eq!(column("quantity").as_primitive::<Int8Type>().values(), &[-1, 1]);
        assert_eq!(column("department").as_string::<i32>().value(0), "R&D");
        assert!(column("team_id").is_null(0));
        let tags = column("tags").as_map();
        assert_eq!(tags.value(0).column(0).as_string::<i32>().value(0), "project");
        assert_eq!(tags.value(0).column(1).as_string::<i32>().value(0), "x");
        assert!(tags.is_null(1));
    }

    #[test]
    fn no_events_make_an_empty_batch() {
        assert_eq!(events_to_batch(&[]).expect("a batch").num_rows(), 0);
    }

    #[test]
    fn an_amount_that_does_not_fit_the_column_is_refused() {
        let rich = UsageEvent { charged_cost: Money::from_picos(10_i128.pow(18)), ..event() };
        let error = events_to_batch(&[rich]).expect_err("refused");
        assert!(error.to_string().contains("1000000 USD"), "{error}");
    }
}
