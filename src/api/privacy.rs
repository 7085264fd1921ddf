//! Forgetting people, and dropping what is past its age.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::json_body::read_json;
use super::problem::Problem;
use crate::access::Reach;
use crate::corrections::{Corrector, Expired, ForgetReport};
use crate::error::{ErrorKind, Result};
use crate::model::Month;

/// Whose user to forget.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetBody {
    /// The organization; may be left out where only one knows the user's id.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub organization_id: Option<uuid::Uuid>,
}

impl ForgetBody {
    /// Forgets the user.
    pub async fn carry_out(self, corrector: &Corrector, user_id: &str) -> Result<ForgetAnswer> {
        let organization = self.organization_id.map(|id| id.hyphenated().to_string());
        Ok(corrector.forget(organization, user_id).await?.into())
    }
}

/// What a forgetting changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ForgetAnswer {
    /// What stands in the place of the user's id.
    #[schema(example = "forgotten-9f0c2a7d51b3e864")]
    pub pseudonym: String,
    /// Rows of usage_events that were the user's.
    pub events: u64,
    /// Rows of rejected_events that named the user.
    pub rejected_events: u64,
    /// Replaced files that were deleted.
    pub files_deleted: usize,
}

impl From<ForgetReport> for ForgetAnswer {
    fn from(report: ForgetReport) -> Self {
        let ForgetReport { pseudonym, events, rejected, files_deleted } = report;
        Self { pseudonym, events, rejected_events: rejected, files_deleted }
    }
}

/// Forgets a user.
///
/// An irreversible pseudonym takes the place of the user's id in events, daily
/// sums and the directory; refused lines lose what they say of the user. Tokens
/// and accounts over nothing but this user end. Sums stay. The old files are
/// deleted at once. Exports of closed months show the pseudonym from then on, and
/// the SHA-256 in their statements is taken anew.
#[utoipa::path(
    post, path = "/api/users/{id}/forget", tag = "privacy", request_body = ForgetBody,
    params(("id" = String, Path, description = "The user's id")),
    responses(
        (status = 200, body = ForgetAnswer),
        (status = 400, body = Problem),
        (status = 404, description = "Nothing stored names the user", body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn forget_user(
    State(corrector): State<Arc<Corrector>>,
    caller: Caller,
    Path(user_id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ForgetAnswer>, Problem> {
    let mut body: ForgetBody = read_json(&headers, body, r#"{"organization_id": "…"}"#)?;
    match body.organization_id {
        Some(id) => caller.check_manages(&id.hyphenated().to_string())?,
        None => body.organization_id = only_managed(&caller)?,
    }
    Ok(Json(body.carry_out(&corrector.acting_for(caller.actor()), &user_id).await?))
}

/// The organization that is meant where none is named: the only one that the
/// caller manages. None for those who manage all of them.
fn only_managed(caller: &Caller) -> Result<Option<uuid::Uuid>, Problem> {
    let Reach::Within(organizations) = caller.managed() else { return Ok(None) };
    let mut ids = organizations.keys();
    match (ids.next(), ids.next()) {
        (Some(only), None) => Ok(uuid::Uuid::try_parse(only).ok()),
        _ => {
            let detail = "organization_id is missing; name one of the organizations you manage";
            Err(Problem::new(ErrorKind::Invalid, detail))
        }
    }
}

/// Whether to drop anything.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionBody {
    /// Only show what would go.
    pub dry_run: bool,
}

/// What one table has beyond its age.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExpiredTable {
    /// The table.
    #[schema(example = "usage_events")]
    pub table: String,
    /// Days before this one go.
    #[schema(value_type = String, format = Date)]
    pub before: NaiveDate,
    /// How many of them hold rows.
    pub days: usize,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Closed months whose exports lose rows.
    #[schema(example = json!(["2026-10"]))]
    pub closed_months: Vec<String>,
}

/// What is past its age.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionAnswer {
    /// Whether nothing was dropped.
    pub dry_run: bool,
    /// Tables that do not keep everything.
    pub tables: Vec<ExpiredTable>,
}

impl RetentionAnswer {
    /// Shapes what was found.
    pub fn new(dry_run: bool, expired: Vec<Expired>) -> Self {
        let table = |Expired { days, closed_months }: Expired| ExpiredTable {
            table: days.table.name().to_owned(),
            before: days.horizon,
            days: days.days,
            rows: days.rows,
            bytes: days.bytes,
            closed_months: closed_months.iter().map(Month::to_string).collect(),
        };
        Self { dry_run, tables: expired.into_iter().map(table).collect() }
    }
}

/// Drops the days of each table that are past its age (the settings
/// `…_retention_days`), or shows them. Age is stronger than a close: closed months
/// whose exports lose rows are named. The server does so by itself once an hour.
#[utoipa::path(
    post, path = "/api/retention", tag = "privacy", request_body = RetentionBody,
    responses(
        (status = 200, body = RetentionAnswer),
        (status = 400, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn retention(
    State(corrector): State<Arc<Corrector>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<RetentionAnswer>, Problem> {
    let RetentionBody { dry_run } = read_json(&headers, body, r#"{"dry_run": true}"#)?;
    let expired = corrector.acting_for(caller.actor()).expire(dry_run).await?;
    Ok(Json(RetentionAnswer::new(dry_run, expired)))
}
