//! Who did what.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::directory::DirectoryDoor;
use super::ingest::not_ready;
use super::params::Params;
use super::problem::Problem;
use crate::access::Reach;
use crate::directory::{AuditFilter, AuditRecord};
use crate::error::Result;

/// Most lines of one answer.
const LINES_MAX: u32 = 1000;
const LINES_DEFAULT: u32 = 100;

/// One act.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditLine {
    /// Sorts by time.
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: DateTime<Utc>,
    /// Who, as well as is known.
    actor: String,
    /// What was done.
    #[schema(example = "events.void")]
    action: String,
    /// To what; for corrections their `correction_id`.
    subject: String,
    /// What else is worth knowing.
    #[schema(value_type = Object)]
    details: Value,
}

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditLog {
    /// The latest act first.
    items: Vec<AuditLine>,
    /// Names the acts before these; null at the beginning of the log.
    next_cursor: Option<String>,
}

impl From<AuditRecord> for AuditLine {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { id, at, audit } = record;
        let (actor, action) = (audit.actor, audit.action);
        Self { id, at, actor, action, subject: audit.subject, details: audit.details }
    }
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `audit_log` reads")]
struct AuditParams {
    /// Most lines to answer, 1 to 1000; default 100.
    limit: Option<u32>,
    /// Continues behind an earlier answer.
    cursor: Option<String>,
    /// Only acts of this name: `login.failed`, `sql.run`, `events.void`.
    action: Option<String>,
    /// Only acts of whom the log calls so, or whose id stands in its brackets.
    actor: Option<String>,
    /// The first day, in UTC.
    #[param(value_type = Option<String>, format = Date)]
    date_from: Option<NaiveDate>,
    /// The last day, in UTC.
    #[param(value_type = Option<String>, format = Date)]
    date_to: Option<NaiveDate>,
}

/// Who did what, the latest act first: changes, exports, SQL and refused
/// credentials. An organization's admin sees the lines of the organization.
#[utoipa::path(
    get, path = "/api/audit-log", tag = "operator", params(AuditParams),
    responses((status = 200, body = AuditLog), (status = 400, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn audit_log(
    State(directory): State<DirectoryDoor>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<AuditLog>, Problem> {
    let filter = read_filter(query.as_deref())?;
    let store = directory.get().ok_or_else(not_ready)?;
    let records = match caller.managed() {
        Reach::Everything => store.list_audit(&filter).await?,
        Reach::Within(managed) => {
            store.list_audit_of(managed.keys().map(String::as_str), &filter).await?
        }
    };
    let full = u32::try_from(records.len()).is_ok_and(|count| count == filter.limit);
    let last = records.last().map(|record| record.id.clone());
    let next_cursor = last.filter(|_| full);
    Ok(Json(AuditLog { items: records.into_iter().map(AuditLine::from).collect(), next_cursor }))
}

fn read_filter(query: Option<&str>) -> Result<AuditFilter, Problem> {
    const KNOWN: [&str; 6] = ["limit", "cursor", "action", "actor", "date_from", "date_to"];
    let params = Params::parse(query, &KNOWN)?;
    let limit = params.parsed("limit", "it is a number from 1 to 1000", |text| {
        text.parse::<u32>().ok().filter(|limit| (1..=LINES_MAX).contains(limit))
    })?;
    let date = |name| params.parsed(name, "it is a date as 2026-11-24", |text| text.parse().ok());
    let (first, last): (Option<NaiveDate>, Option<NaiveDate>) =
        (date("date_from")?, date("date_to")?);
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let text = |name| Ok::<_, Problem>(params.one(name)?.map(str::to_owned));
    Ok(AuditFilter {
        before: text("cursor")?,
        limit: limit.unwrap_or(LINES_DEFAULT),
        action: text("action")?,
        actor: text("actor")?,
        not_before: first.map(midnight),
        until: last.and_then(|date| date.checked_add_days(Days::new(1))).map(midnight),
    })
}
