//! What was used and what it cost, beside the range before.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::filters::FilterParams;
use super::problem::Problem;
use super::reading::Reading;
use super::scope::{Scope, Subject, check_organization};
use super::wire::{Coverage, Measures};
use crate::access::Principal;
use crate::query;

/// The sums of a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    #[serde(flatten)]
    measures: Measures,
    /// The equally long range that ends the day before this one begins, also
    /// for `mtd` and `last_month`.
    previous: PreviousSummary,
    #[serde(flatten)]
    coverage: Coverage,
}

/// The sums of the range before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviousSummary {
    #[serde(flatten)]
    measures: Measures,
    /// First local date, inclusive.
    #[schema(value_type = String, format = Date)]
    date_from: NaiveDate,
    /// Last local date, inclusive.
    #[schema(value_type = String, format = Date)]
    date_to: NaiveDate,
}

impl Summary {
    fn new(summary: &query::Summary, coverage: Coverage) -> Self {
        let previous = PreviousSummary {
            measures: (&summary.previous).into(),
            date_from: summary.previous_from,
            date_to: summary.previous_to,
        };
        Self { measures: (&summary.current).into(), previous, coverage }
    }
}

/// What an organization used.
#[utoipa::path(
    get, path = "/api/organizations/{id}/analytics/summary", tag = "organizations",
    params(("id" = String, Path, description = "The organization"), FilterParams),
    responses((status = 200, body = Summary), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn organization_summary(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    summary(&state, &caller, Subject::Organization(id), query.as_deref(), &headers).await
}

/// What a user used, in every organization unless `organization_id` says.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/summary", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams),
    responses((status = 200, body = Summary), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_summary(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    summary(&state, &caller, Subject::User(id), query.as_deref(), &headers).await
}

/// What everybody used.
#[utoipa::path(
    get, path = "/api/platform/analytics/summary", tag = "platform",
    params(FilterParams),
    responses((status = 200, body = Summary), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem))
)]
pub(crate) async fn platform_summary(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    summary(&state, &caller, Subject::Platform, query.as_deref(), &headers).await
}

async fn summary(
    state: &ApiState,
    caller: &Principal,
    subject: Subject,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let known_at_all = matches!(subject, Subject::Organization(_));
    let Scope { reading, filter, .. } = Scope::read(state, caller, subject, query, &[]).await?;
    let name = state.answer_name(&reading, "summary", &(known_at_all, &filter));
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let summary = queries.summary(&view, &filter).await?;
        if known_at_all && summary.current.total_events == 0 {
            check_organization(&queries, &view, &filter).await?;
        }
        Ok(Summary::new(&summary, Coverage::new(as_of, &filter)))
    };
    state.answers().answer(headers, name, ask).await
}
