//! Recomputes every sum from the events and names the first difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type};
use arrow::util::display::array_value_to_string;
use chrono::NaiveDate;

use crate::access::Reach;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::flush::{Store, View};
use crate::rollup::{DateBucket, Dimension, UsageFilter, UsageRequest};

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VerifyCheck {
    /// What was compared.
    pub name: &'static str,
    /// The first difference; `None` when there is none.
    pub difference: Option<String>,
}

/// Every comparison, in the order in which rows flow.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Rows of `usage_events`, hot ones included.
    pub events: u64,
    /// The comparisons.
    pub checks: Vec<VerifyCheck>,
}

impl VerifyReport {
    /// Whether nothing differs.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.difference.is_none())
    }
}

/// Compares, all over one view: the Delta log's row counts with the files, the
/// events with themselves, the rollup with the events, the in-memory
/// aggregates with the rollup, and each dimension's parts with the whole.
pub(super) async fn verify(engine: &Engine, store: &Store) -> Result<VerifyReport> {
    let view = store.view();
    let hot: usize = view.hot.batches().iter().map(|batch| batch.events.num_rows()).sum();
    let events = view.events.rows() + hot as u64;
    let twice = include_str!("../../queries/verify/stored_twice.sql");
    let counted_twice = include_str!("../../queries/verify/counted_twice.sql");
    let counted_sighting = include_str!("../../queries/verify/counted_sighting.sql");
    let rollup = include_str!("../../queries/verify/rollup_difference.sql");
    let checks = vec![
        check("rows of the files against the Delta log", row_counts(engine, &view).await?),
        check("each event stored once", first_row(engine, &view, twice).await?),
        check("each request counted once", first_row(engine, &view, counted_twice).await?),
        check("no sighting counted", first_row(engine, &view, counted_sighting).await?),
        check("usage_daily against usage_events", first_row(engine, &view, rollup).await?),
        check("the aggregates in memory against usage_daily", memory(engine, &view).await?),
        check("parts against the whole, per dimension", parts(&view)?),
    ];
    Ok(VerifyReport { events, checks })
}

fn check(name: &'static str, difference: Option<String>) -> VerifyCheck {
    VerifyCheck { name, difference }
}

async fn rows(engine: &Engine, view: &Arc<View>, sql: &str) -> Result<Vec<RecordBatch>> {
    let doing = "running a verification query";
    let session = engine.session(view)?;
    session.sql(sql).await.internal(doing)?.collect().await.internal(doing)
}

/// The first row of `sql`'s answer as `column=value, …`, without nulls and
/// zero differences.
async fn first_row(engine: &Engine, view: &Arc<View>, sql: &str) -> Result<Option<String>> {
    let batches = rows(engine, view, sql).await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let schema = batch.schema();
    let mut parts = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let value = array_value_to_string(column, 0).internal("showing a difference")?;
        let zero = value.chars().all(|digit| matches!(digit, '0' | '.'));
        if !column.is_null(0) && !zero {
            parts.push(format!("{}={value}", field.name()));
        }
    }
    Ok(Some(parts.join(", ")))
}

async fn row_counts(engine: &Engine, view: &Arc<View>) -> Result<Option<String>> {
    let mut promised: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    for file in &view.events.files {
        *promised.entry(file.date).or_default() += i64::try_from(file.rows).unwrap_or(i64::MAX);
    }
    for batch in view.hot.batches() {
        let dates = batch.events.column_by_name("usage_date");
        let dates = dates.ok_or_else(|| Error::internal("hot rows without usage_date"))?;
        for date in dates.as_primitive::<Date32Type>().values() {
            *promised.entry(date_of(*date)).or_default() += 1;
        }
    }
    let mut found = BTreeMap::new();
    let sql = include_str!("../../queries/verify/rows_by_date.sql");
    for batch in rows(engine, view, sql).await? {
        let dates = batch.column(0).as_primitive::<Date32Type>();
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (date, count) in dates.values().iter().zip(counts.values()) {
            found.insert(date_of(*date), *count);
        }
    }
    let differing =
        promised.keys().chain(found.keys()).find(|date| promised.get(*date) != found.get(*date));
    Ok(differing.map(|date| {
        let count = |side: &BTreeMap<NaiveDate, i64>| side.get(date).copied().unwrap_or(0);
        format!(
            "{date}: the files hold {} rows, the Delta log says {}",
            count(&found),
            count(&promised)
        )
    }))
}

fn date_of(days: i32) -> NaiveDate {
    Date32Type::to_naive_date_opt(days).unwrap_or_default()
}

/// Everything ever, grouped by `group_by`.
fn everything(group_by: Vec<Dimension>) -> UsageRequest {
    let filter = UsageFilter::all(Reach::Everything);
    UsageRequest { filter, group_by, date_bucket: DateBucket::Day }
}

async fn memory(engine: &Engine, view: &Arc<View>) -> Result<Option<String>> {
    let Some(cube) = &view.cube else { return Ok(None) };
    let cached = cube.usage(&everything(vec![Dimension::Date, Dimension::Organization]))?;
    let sql = include_str!("../../queries/verify/totals_by_organization.sql");
    let batches = rows(engine, view, sql).await?;
    let Some(first) = batches.first() else {
        return Ok(
            (cached.num_rows() > 0).then(|| "usage_daily is empty, the memory is not".into())
        );
    };
    let stored =
        arrow::compute::concat_batches(&first.schema(), &batches).internal("joining rows")?;
    first_unequal(&cached, &stored)
}

/// The first row in which `cached` and `stored` differ in a column of `stored`.
fn first_unequal(cached: &RecordBatch, stored: &RecordBatch) -> Result<Option<String>> {
    if cached.num_rows() != stored.num_rows() {
        let (cached, stored) = (cached.num_rows(), stored.num_rows());
        return Ok(Some(format!("{cached} (day, organization) rows in memory, {stored} stored")));
    }
    for (field, column) in stored.schema().fields().iter().zip(stored.columns()) {
        let name = field.name();
        let in_memory = cached
            .column_by_name(name)
            .ok_or_else(|| Error::internal(format!("no measure {name} in memory")))?;
        for row in 0..stored.num_rows() {
            let (left, right) = (shown(in_memory, row)?, shown(column, row)?);
            if left != right {
                let key =
                    format!("{} {}", shown(stored.column(0), row)?, shown(stored.column(1), row)?);
                return Ok(Some(format!("{key}: {name} is {left} in memory, {right} stored")));
            }
        }
    }
    Ok(None)
}

fn shown(column: &ArrayRef, row: usize) -> Result<String> {
    if column.is_null(row) {
        return Ok("unknown".to_owned());
    }
    array_value_to_string(column, row).internal("showing a value")
}

/// Measures that add up over the groups of any dimension.
const ADDITIVE: [&str; 12] = [
    "total_events",
    "total_tokens",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_cost",
    "actual_api_cost",
    "unpriced_events",
    "failed_events",
];

fn parts(view: &View) -> Result<Option<String>> {
    let Some(cube) = &view.cube else { return Ok(None) };
    let whole = cube.usage(&everything(vec![]))?;
    for dimension in Dimension::ALL {
        let groups = cube.usage(&everything(vec![dimension]))?;
        for name in ADDITIVE {
            let (parts, total) = (sum(&groups, name)?, sum(&whole, name)?);
            if parts != total {
                let column = dimension.column();
                return Ok(Some(format!(
                    "{name} by {column} sums to {parts}, the whole is {total}"
                )));
            }
        }
    }
    Ok(None)
}

fn sum(batch: &RecordBatch, name: &str) -> Result<i128> {
    let column =
        batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no measure {name}")))?;
    Ok(match column.as_primitive_opt::<Decimal128Type>() {
        Some(amounts) => amounts.iter().flatten().sum(),
        None => column.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum(),
    })
}
