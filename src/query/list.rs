//! A page of groups: what is asked, what is answered, where the next one starts.

use std::collections::HashMap;

use arrow::array::{Array, RecordBatch};
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::common::ScalarValue;

use super::labels::dimension_texts;
use super::measures::{Measures, Row};
use super::ratio::ratio;
use super::sql::Parameters;
use crate::error::{Error, Result};
use crate::rollup::{DateBucket, Dimension, UsageFilter};

/// Names that lists can be sorted by, besides the dimensions they group by.
pub const SORT_NAMES: [&str; 19] = [
    "total_cost",
    "actual_api_cost",
    "profit_amount",
    "total_events",
    "total_conversations",
    "total_users",
    "total_tokens",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_events",
    "failed_events",
    "duration_ms",
    "first_event_time",
    "last_event_time",
    "name",
];

/// One page of the groups of some usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Which rows count.
    pub filter: UsageFilter,
    /// What one item is; at least one dimension.
    pub group_by: Vec<Dimension>,
    /// How wide one step of the date dimension is.
    pub date_bucket: DateBucket,
    /// One of [`SORT_NAMES`], or the column of a dimension that is grouped by.
    pub sort: &'static str,
    /// Largest first, or latest in the alphabet.
    pub descending: bool,
    /// Most items on the page.
    pub limit: usize,
    /// The last item of the page before.
    pub after: Option<Position>,
}

/// Where an item stands in the order of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Whether what the list is sorted by is unknown for the item.
    pub unknown: bool,
    /// The value sorted by, in 10⁻¹², negated in a falling order.
    pub number_picos: i128,
    /// The text sorted by.
    pub text: String,
    /// The item's key.
    pub key: String,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value of each dimension that is grouped by, in the request's order.
    pub ids: Vec<(Dimension, Option<String>)>,
    /// The names of those values.
    pub name: String,
    /// What the group used.
    pub measures: Measures,
    /// The group's part of the whole's cost, six digits; `None` where either
    /// is unknown or the whole costs nothing.
    pub share: Option<String>,
    /// When its first event happened.
    pub first_event_time: Option<DateTime<Utc>>,
    /// When its last event happened.
    pub last_event_time: Option<DateTime<Utc>>,
    /// The status of its latest event.
    pub latest_status: Option<String>,
    /// The topic of its latest event that has one.
    pub latest_topic: Option<String>,
}

/// A part of a list, and the whole it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// The measures of everything under the same filter.
    pub total: Measures,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<Position>,
}

/// The parameters that shape `queries/breakdown.sql`.
pub(crate) fn breakdown_shape(request: &ListRequest) -> [(&'static str, ScalarValue); 3] {
    [
        ("sort", request.sort.into()),
        ("descending", request.descending.into()),
        ("after", request.after.is_some().into()),
    ]
}

/// The other parameters of `queries/breakdown.sql`. One row more than the limit is
/// asked for, which tells whether there is a next page.
pub(crate) fn breakdown_parameters(request: &ListRequest) -> Parameters {
    let after = request.after.as_ref();
    let number = after.map_or(0, |position| position.number_picos);
    let rows = i64::try_from(request.limit).unwrap_or(i64::MAX).saturating_add(1);
    HashMap::from([
        ("after_unknown".to_owned(), after.is_some_and(|position| position.unknown).into()),
        ("after_number".to_owned(), ScalarValue::Decimal128(Some(number), 38, 12)),
        ("after_text".to_owned(), after.map_or("", |position| position.text.as_str()).into()),
        ("after_key".to_owned(), after.map_or("", |position| position.key.as_str()).into()),
        ("limit".to_owned(), rows.into()),
    ])
}

/// Reads the answer of `queries/breakdown.sql`.
pub(crate) fn read_page(
    rows: &RecordBatch,
    request: &ListRequest,
    total: Measures,
) -> Result<Page<Item>> {
    let shown = rows.num_rows().min(request.limit);
    let next = match shown {
        0 => None,
        _ if rows.num_rows() == shown => None,
        _ => Some(read_position(Row { batch: rows, index: shown - 1 })?),
    };
    let rows = rows.slice(0, shown);
    let mut columns = Vec::with_capacity(request.group_by.len());
    for dimension in &request.group_by {
        columns.push((*dimension, dimension_texts(&rows, *dimension)?));
    }
    let mut items = Vec::with_capacity(shown);
    for row in Row::all(&rows) {
        let ids = columns.iter().map(|(dimension, texts)| {
            let id = texts.is_valid(row.index).then(|| texts.value(row.index).to_owned());
            (*dimension, id)
        });
        items.push(read_item(row, ids.collect(), &total)?);
    }
    Ok(Page { items, total, next })
}

fn read_item(
    row: Row<'_>,
    ids: Vec<(Dimension, Option<String>)>,
    total: &Measures,
) -> Result<Item> {
    let measures = Measures::read(row)?;
    let share = match (measures.total_cost, total.total_cost) {
        (Some(part), Some(whole)) => ratio(part.picos(), whole.picos()),
        _ => None,
    };
    Ok(Item {
        ids,
        name: row.text("name")?.unwrap_or_default().to_owned(),
        measures,
        share,
        first_event_time: row.time("first_event_time")?,
        last_event_time: row.time("last_event_time")?,
        latest_status: row.text("latest_status")?.map(str::to_owned),
        latest_topic: row.text("latest_topic")?.map(str::to_owned),
    })
}

fn read_position(row: Row<'_>) -> Result<Position> {
    let missing = || Error::internal("a row of a list has no place in its order");
    Ok(Position {
        unknown: row.flag("sort_unknown")?.ok_or_else(missing)?,
        number_picos: row.picos("sort_number")?.ok_or_else(missing)?,
        text: row.text("sort_text")?.ok_or_else(missing)?.to_owned(),
        key: row.text("key")?.ok_or_else(missing)?.to_owned(),
    })
}

/// One step of a trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The first day of the step.
    pub date: NaiveDate,
    /// What was used in it.
    pub measures: Measures,
}
