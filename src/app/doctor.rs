//! What an operator would look at, looked at.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::App;
use crate::error::{Context, Result};

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub status: CheckStatus,
    /// What was seen, and what to do about it.
    pub detail: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DoctorReport {
    /// The checks, in the order of the data's flow.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether nothing failed.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status != CheckStatus::Failed)
    }
}

pub(super) async fn doctor(app: &App) -> Result<DoctorReport> {
    let checks = vec![clock(app)?, log(app)?, tables(app)?, cache(app)?, unpriced(app).await?];
    Ok(DoctorReport { checks })
}

fn check(name: &'static str, ok: bool, otherwise: CheckStatus, detail: String) -> Check {
    Check { name, status: if ok { CheckStatus::Ok } else { otherwise }, detail }
}

/// A clock that runs behind what it stamped before.
fn clock(app: &App) -> Result<Check> {
    let (now, view) = (app.clock.now(), app.view()?);
    let ahead = view.as_of_micros - now.timestamp_micros();
    let detail = format!("{} UTC", now.format("%Y-%m-%d %H:%M:%S"));
    let detail = if ahead > 0 {
        format!("{detail}, but the newest event was recorded {} seconds later", ahead / 1_000_000)
    } else {
        detail
    };
    Ok(check("clock against the data", ahead <= 0, CheckStatus::Warning, detail))
}

fn log(app: &App) -> Result<Check> {
    let stats = app.store()?.stats();
    let detail = format!(
        "write-ahead log of {} KiB, {} rows not yet in the lake",
        stats.wal_bytes >> 10,
        stats.hot_rows
    );
    Ok(check("log", !stats.log_failed, CheckStatus::Failed, detail))
}

fn tables(app: &App) -> Result<Check> {
    let view = app.view()?;
    let of = |name: &str, table: &crate::lake::TableSnapshot| {
        let bytes: u64 = table.files.iter().map(|file| file.bytes).sum();
        format!(
            "{name} version {}: {} rows, {} files, {} KiB",
            table.version,
            table.rows(),
            table.files.len(),
            bytes >> 10
        )
    };
    let detail = [
        of("usage_events", &view.events),
        of("usage_daily", &view.daily),
        of("rejected_events", &view.rejected),
        of("provider_costs", &view.provider_costs),
        of("sightings", &view.sightings),
    ]
    .join("; ");
    let few = view.events.files.len() < 5_000;
    Ok(check("tables", few, CheckStatus::Warning, detail))
}

fn cache(app: &App) -> Result<Check> {
    let limit = app.config.rollup_cache_bytes_max >> 20;
    Ok(match &app.view()?.cube {
        Some(cube) => check(
            "rollup cache",
            true,
            CheckStatus::Ok,
            format!("{} MiB of {limit} MiB", cube.bytes() >> 20),
        ),
        None => check(
            "rollup cache",
            false,
            CheckStatus::Warning,
            format!(
                "the daily aggregates need more than {limit} MiB and are read from Parquet; raise \
                 rollup_cache_bytes_max for faster dashboards"
            ),
        ),
    })
}

/// Asks for [`unpriced_check`]'s rows.
pub const UNPRICED_MODELS: &str = include_str!("../../queries/unpriced_models.sql");

async fn unpriced(app: &App) -> Result<Check> {
    let doing = "looking for unpriced models";
    let session = app.engine.session(&app.view()?)?;
    let found = session.sql(UNPRICED_MODELS).await.internal(doing)?;
    Ok(unpriced_check(&found.collect().await.internal(doing)?))
}

/// What the answer to [`UNPRICED_MODELS`] says.
pub fn unpriced_check(answer: &[RecordBatch]) -> Check {
    let mut models = Vec::new();
    for batch in answer {
        let names = batch.column(0).as_string::<i32>();
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (name, count) in names.iter().flatten().zip(counts.values()) {
            models.push(format!("{name} ({count} events)"));
        }
    }
    let detail = if models.is_empty() {
        "every event has a cost".to_owned()
    } else {
        format!("no price for {}; their cost is unknown, not 0", models.join(", "))
    };
    check("unpriced models", models.is_empty(), CheckStatus::Warning, detail)
}
