//! Months whose rows never change again.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::caller::Caller;
use super::json_body::read_json;
use super::problem::Problem;
use crate::corrections::{ClosingCheck, Corrector};
use crate::directory::Closing;
use crate::error::Result;
use crate::model::Month;

/// Which month to close, whose, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseBody {
    /// A month that is over.
    #[schema(example = "2026-10")]
    pub month: String,
    /// One organization's; everybody's where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub organization_id: Option<uuid::Uuid>,
    /// Why, in a few words; kept in the audit log.
    #[schema(example = "October is invoiced")]
    pub reason: String,
}

/// A closed month.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClosedMonth {
    /// Which month.
    #[schema(example = "2026-10")]
    pub month: String,
    /// Whose; null is everybody's.
    pub organization_id: Option<String>,
    /// When it was closed.
    #[schema(value_type = String, format = DateTime)]
    pub closed_at: DateTime<Utc>,
    /// What it added up to then: events, costs, and size and SHA-256 of its
    /// export as CSV by every dimension.
    #[schema(value_type = Option<Object>)]
    pub statement: Option<Value>,
    /// What it adds up to now, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub found: Option<Value>,
    /// Whether both are the same, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<bool>,
}

/// Every closed month.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClosedMonthList {
    /// In the order of the months.
    pub items: Vec<ClosedMonth>,
}

impl From<Closing> for ClosedMonth {
    fn from(closing: Closing) -> Self {
        let Closing { organization_id, month, closed_at, statement } = closing;
        let month = month.to_string();
        Self { month, organization_id, closed_at, statement, found: None, unchanged: None }
    }
}

impl From<ClosingCheck> for ClosedMonth {
    fn from(check: ClosingCheck) -> Self {
        let unchanged = Some(check.agrees());
        Self { found: Some(check.found), unchanged, ..check.closing.into() }
    }
}

impl CloseBody {
    /// Closes the month.
    pub async fn carry_out(self, corrector: &Corrector) -> Result<ClosedMonth> {
        let month = Month::parse(&self.month)?;
        let whose = self.organization_id.map(|id| id.hyphenated().to_string());
        let closing = corrector.close_month(whose.as_deref(), month, &self.reason).await?;
        Ok(closing.into())
    }
}

/// Closes a month.
///
/// From then on, events and corrections that come late for it are booked into
/// the current month, with their own time and `correction_of_period`. Exports
/// of the month give the same bytes for ever, names included. Closing a month
/// again changes nothing; it cannot be opened again.
#[utoipa::path(
    post, path = "/api/closed-months", tag = "corrections", request_body = CloseBody,
    responses(
        (status = 200, body = ClosedMonth),
        (status = 400, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn close_month(
    State(corrector): State<Arc<Corrector>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ClosedMonth>, Problem> {
    let example = r#"{"month": "2026-10", "reason": "October is invoiced"}"#;
    let body: CloseBody = read_json(&headers, body, example)?;
    Ok(Json(body.carry_out(&corrector.acting_for(caller.actor())).await?))
}

/// Every closed month and what it added up to.
#[utoipa::path(
    get, path = "/api/closed-months", tag = "corrections",
    responses((status = 200, body = ClosedMonthList), (status = 503, body = Problem))
)]
pub(super) async fn closed_months(
    State(corrector): State<Arc<Corrector>>,
) -> Result<Json<ClosedMonthList>, Problem> {
    let items = corrector.closings().await?.into_iter().map(ClosedMonth::from).collect();
    Ok(Json(ClosedMonthList { items }))
}

/// Adds every closed month up again and compares.
#[utoipa::path(
    get, path = "/api/closed-months/check", tag = "corrections",
    responses((status = 200, body = ClosedMonthList), (status = 503, body = Problem))
)]
pub(super) async fn check_closed_months(
    State(corrector): State<Arc<Corrector>>,
) -> Result<Json<ClosedMonthList>, Problem> {
    let items = corrector.check_closings().await?.into_iter().map(ClosedMonth::from).collect();
    Ok(Json(ClosedMonthList { items }))
}
