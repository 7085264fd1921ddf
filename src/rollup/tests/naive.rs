//! What daily rows and usage answers must be, by loops over the events alone.
//! Slow and plain on purpose: the code under test is compared with it.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{Datelike, Days, NaiveDate};

use crate::access::{Reach, RowReach};
use crate::model::{Entry, Money, Status, UsageEvent};
use crate::rollup::{DateBucket, Dimension, UsageFilter, UsageRequest};

/// One value of a table. Dates are days, times microseconds, since 1970;
/// money is in picos. Null sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Number(i128),
    Text(String),
}

/// One row: its columns by name, in order.
pub(crate) type Row = Vec<(String, Cell)>;

fn text(value: Option<&str>) -> Cell {
    value.map_or(Cell::Null, |value| Cell::Text(value.to_owned()))
}

fn number(value: Option<i128>) -> Cell {
    value.map_or(Cell::Null, Cell::Number)
}

fn day(date: NaiveDate) -> Cell {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
    Cell::Number(i128::from((date - epoch).num_days()))
}

/// Every row of a batch.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let cell = |name: &str, row: usize| {
        let column = batch.column_by_name(name).expect("the column");
        if column.is_null(row) {
            return Cell::Null;
        }
        match column.data_type() {
            DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Date32 => Cell::Number(column.as_primitive::<Date32Type>().value(row).into()),
            DataType::Int64 => Cell::Number(column.as_primitive::<Int64Type>().value(row).into()),
            DataType::Decimal128(38, 12) => {
                Cell::Number(column.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Timestamp(_, _) => {
                Cell::Number(column.as_primitive::<TimestampMicrosecondType>().value(row).into())
            }
            other => panic!("a column of type {other}"),
        }
    };
    let names: Vec<String> =
        batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let row = |row| names.iter().map(|name| (name.clone(), cell(name, row))).collect();
    (0..batch.num_rows()).map(row).collect()
}

/// The rows of `usage_daily` for these events, in the order of the table.
pub(crate) fn naive_daily(events: &[UsageEvent]) -> Vec<Row> {
    // The key is in the order of sorting, not of the columns.
    let mut groups: BTreeMap<Vec<Cell>, Vec<&UsageEvent>> = BTreeMap::new();
    for event in events {
        let key = vec![
            day(event.usage_date),
            text(Some(&event.organization_id)),
            text(event.user_id.as_deref()),
            text(event.conversation_id.as_deref()),
            text(event.team_id.as_deref()),
            text(event.department.as_deref()),
            text(event.api_key_id.as_deref()),
            text(Some(&event.provider)),
            text(Some(&event.model_name)),
            text(Some(event.status.as_str())),
            text(event.topic.as_deref()),
        ];
        groups.entry(key).or_default().push(event);
    }
    groups.values().map(|events| daily_row(events)).collect()
}

fn daily_row(events: &[&UsageEvent]) -> Row {
    let first = events[0];
    let unpriced = |event: &UsageEvent| event.actual_api_cost.is_none();
    let mut row: Row = vec![("usage_date".to_owned(), day(first.usage_date))];
    let texts = [
        ("organization_id", Some(first.organization_id.as_str())),
        ("team_id", first.team_id.as_deref()),
        ("department", first.department.as_deref()),
        ("user_id", first.user_id.as_deref()),
        ("api_key_id", first.api_key_id.as_deref()),
        ("provider", Some(first.provider.as_str())),
        ("model_name", Some(first.model_name.as_str())),
        ("status", Some(first.status.as_str())),
        ("conversation_id", first.conversation_id.as_deref()),
        ("topic", first.topic.as_deref()),
    ];
    row.extend(texts.map(|(name, value)| (name.to_owned(), text(value))));
    let mut numbers = vec![("entries", Some(events.len() as i128))];
    numbers.push(("events", Some(quantity(events, |_| true))));
    numbers.extend(tokens(events));
    numbers.extend([
        ("actual_api_cost", sum(events, |event| event.actual_api_cost.map(Money::picos))),
        ("charged_cost", sum(events, |event| event.charged_cost.map(Money::picos))),
        ("unpriced_charged_cost", Some(unpriced_charged(events))),
        ("unpriced_events", Some(quantity(events, unpriced))),
        ("uncharged_events", Some(quantity(events, |event| event.charged_cost.is_none()))),
        ("failed_events", Some(quantity(events, |event| event.status == Status::Failed))),
        ("duration_ms", sum(events, |event| event.duration_ms.map(i128::from))),
        ("first_event_time", times(events).min()),
        ("last_event_time", times(events).max()),
    ]);
    row.extend(numbers.into_iter().map(|(name, value)| (name.to_owned(), number(value))));
    row
}

/// The answer to `request` over these events.
pub(crate) fn naive_usage(events: &[UsageEvent], request: &UsageRequest) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<Cell>, Vec<&UsageEvent>> = BTreeMap::new();
    if request.group_by.is_empty() {
        groups.insert(vec![Cell::Null; Dimension::ALL.len()], Vec::new());
    }
    for event in events.iter().filter(|event| matches(event, &request.filter)) {
        let key = Dimension::ALL.iter().map(|dimension| {
            if request.group_by.contains(dimension) {
                dimension_cell(event, *dimension, request.date_bucket)
            } else {
                Cell::Null
            }
        });
        groups.entry(key.collect()).or_default().push(event);
    }
    groups.iter().map(|(key, events)| usage_row(key, events)).collect()
}

fn matches(event: &UsageEvent, filter: &UsageFilter) -> bool {
    let listed = |list: &[String], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|one| one == value))
    };
    is_within(event, &filter.reach)
        && filter.date_from <= event.usage_date
        && event.usage_date <= filter.date_to
        && listed(&filter.organization_ids, Some(&event.organization_id))
        && listed(&filter.team_ids, event.team_id.as_deref())
        && listed(&filter.departments, event.department.as_deref())
        && listed(&filter.user_ids, event.user_id.as_deref())
        && listed(&filter.api_key_ids, event.api_key_id.as_deref())
        && listed(&filter.providers, Some(&event.provider))
        && listed(&filter.models, Some(&event.model_name))
        && listed(&filter.statuses, Some(event.status.as_str()))
        && listed(&filter.conversation_ids, event.conversation_id.as_deref())
}

/// Whether the event's row is within the reach: written out, not asked of it.
fn is_within(event: &UsageEvent, reach: &Reach) -> bool {
    let Reach::Within(organizations) = reach else { return true };
    match organizations.get(&event.organization_id) {
        None => false,
        Some(RowReach::Whole) => true,
        Some(RowReach::Parts { team_ids, departments, user_ids }) => {
            event.team_id.iter().any(|team| team_ids.contains(team))
                || event.department.iter().any(|department| departments.contains(department))
                || event.user_id.iter().any(|user| user_ids.contains(user))
        }
    }
}

fn dimension_cell(event: &UsageEvent, dimension: Dimension, bucket: DateBucket) -> Cell {
    match dimension {
        Dimension::Date => day(match bucket {
            DateBucket::Day => event.usage_date,
            DateBucket::Week => {
                let since_monday = event.usage_date.weekday().num_days_from_monday();
                event.usage_date - Days::new(since_monday.into())
            }
            DateBucket::Month => event.usage_date.with_day(1).expect("a first"),
        }),
        Dimension::Organization => text(Some(&event.organization_id)),
        Dimension::Team => text(event.team_id.as_deref()),
        Dimension::Department => text(event.department.as_deref()),
        Dimension::User => text(event.user_id.as_deref()),
        Dimension::ApiKey => text(event.api_key_id.as_deref()),
        Dimension::Provider => text(Some(&event.provider)),
        Dimension::Model => text(Some(&event.model_name)),
        Dimension::Status => text(Some(event.status.as_str())),
        Dimension::Conversation => text(event.conversation_id.as_deref()),
    }
}

fn usage_row(key: &[Cell], events: &[&UsageEvent]) -> Row {
    let mut row: Row = Dimension::ALL
        .iter()
        .zip(key)
        .map(|(dimension, cell)| (dimension.column().to_owned(), cell.clone()))
        .collect();
    let or_nothing = |cost: Option<i128>| if events.is_empty() { Some(0) } else { cost };
    let charged = or_nothing(sum(events, |event| event.charged_cost.map(Money::picos)));
    let actual = or_nothing(sum(events, |event| event.actual_api_cost.map(Money::picos)));
    let profit =
        charged.zip(actual).map(|(charged, actual)| charged - unpriced_charged(events) - actual);
    let tokens = tokens(events);
    let total_tokens = tokens[..5].iter().filter_map(|(_, tokens)| *tokens).sum();
    let mut numbers = vec![
        ("total_events", Some(quantity(events, |_| true))),
        ("total_conversations", Some(distinct(events, |event| event.conversation_id.as_deref()))),
        ("total_users", Some(distinct(events, |event| event.user_id.as_deref()))),
        ("total_tokens", Some(total_tokens)),
    ];
    numbers.extend(tokens);
    numbers.extend([
        ("total_cost", charged),
        ("actual_api_cost", actual),
        ("profit_amount", profit),
        ("unpriced_events", Some(quantity(events, |event| event.actual_api_cost.is_none()))),
        ("failed_events", Some(quantity(events, |event| event.status == Status::Failed))),
        ("duration_ms", sum(events, |event| event.duration_ms.map(i128::from))),
        ("first_event_time", times(events).min()),
        ("last_event_time", times(events).max()),
    ]);
    row.extend(numbers.into_iter().map(|(name, value)| (name.to_owned(), number(value))));
    let status = events.iter().map(|event| (event.event_time, event.status.as_str())).max();
    let with_topic = events.iter().filter(|event| event.topic.is_some());
    let topic = with_topic.map(|event| (event.event_time, event.topic.as_deref())).max();
    row.push(("latest_status".to_owned(), text(status.map(|(_, status)| status))));
    row.push(("latest_topic".to_owned(), text(topic.and_then(|(_, topic)| topic))));
    row
}

fn tokens(events: &[&UsageEvent]) -> Vec<(&'static str, Option<i128>)> {
    let total =
        |get: fn(&UsageEvent) -> i64| Some(events.iter().map(|event| i128::from(get(event))).sum());
    vec![
        ("input_tokens", total(|event| event.tokens.input)),
        ("cache_read_tokens", total(|event| event.tokens.cache_read)),
        ("cache_write_tokens", total(|event| event.tokens.cache_write)),
        ("cache_write_1h_tokens", total(|event| event.tokens.cache_write_1h)),
        ("output_tokens", total(|event| event.tokens.output)),
        ("reasoning_tokens", total(|event| event.tokens.reasoning)),
    ]
}

fn quantity(events: &[&UsageEvent], counts: impl Fn(&UsageEvent) -> bool) -> i128 {
    let counted = events.iter().filter(|event| counts(event));
    counted.map(|event| if event.entry == Entry::Usage { 1 } else { -1 }).sum()
}

/// Null when no event has a value.
fn sum(events: &[&UsageEvent], get: impl Fn(&UsageEvent) -> Option<i128>) -> Option<i128> {
    events.iter().filter_map(|event| get(event)).reduce(|sum, value| sum + value)
}

fn unpriced_charged(events: &[&UsageEvent]) -> i128 {
    let unpriced = events.iter().filter(|event| event.actual_api_cost.is_none());
    unpriced.filter_map(|event| event.charged_cost.map(Money::picos)).sum()
}

fn times<'a>(events: &'a [&UsageEvent]) -> impl Iterator<Item = i128> + 'a {
    events.iter().map(|event| event.event_time.timestamp_micros().into())
}

/// Distinct (organization, id) pairs that have an event left after reversals.
fn distinct(events: &[&UsageEvent], id: impl Fn(&UsageEvent) -> Option<&str>) -> i128 {
    let mut left: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for event in events {
        if let Some(id) = id(event) {
            let quantity = i64::from(event.entry.quantity());
            *left.entry((&event.organization_id, id)).or_default() += quantity;
        }
    }
    left.values().filter(|events| **events > 0).count() as i128
}
