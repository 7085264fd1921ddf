//! How usage developed.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::caller::Caller;
use super::filters::FilterParams;
use super::problem::Problem;
use super::reading::Reading;
use super::scope::{Scope, Subject, check_organization};
use super::wire::{Coverage, Measures};
use crate::access::Principal;
use crate::query;
use crate::rollup::DateBucket;

/// The parameters of trends, beside the filters.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameter that `interval` reads")]
struct TrendParams {
    /// day (default), week (named by its Monday) or month (named by its first
    /// day). The first and last step count only the days of the range.
    #[param(inline)]
    interval: Option<Interval>,
}

/// How wide one step is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Interval {
    Day,
    Week,
    Month,
}

impl From<Interval> for DateBucket {
    fn from(interval: Interval) -> Self {
        match interval {
            Interval::Day => Self::Day,
            Interval::Week => Self::Week,
            Interval::Month => Self::Month,
        }
    }
}

/// A range in steps, none left out: a step without usage holds zeros.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trends {
    /// How wide one step is.
    interval: Interval,
    /// The steps, by date.
    items: Vec<TrendStep>,
    /// The whole range.
    total: Measures,
    /// Events of the whole range without a known actual cost.
    unpriced_events: i64,
    #[serde(flatten)]
    coverage: Coverage,
}

/// One step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendStep {
    /// The step's first day.
    #[schema(value_type = String, format = Date)]
    date: NaiveDate,
    #[serde(flatten)]
    measures: Measures,
}

impl Trends {
    fn new(trends: &query::Trends, interval: Interval, coverage: Coverage) -> Self {
        let step =
            |step: &query::Step| TrendStep { date: step.date, measures: (&step.measures).into() };
        Self {
            interval,
            items: trends.steps.iter().map(step).collect(),
            total: (&trends.total).into(),
            unpriced_events: trends.total.unpriced_events,
            coverage,
        }
    }
}

/// How an organization's usage developed.
#[utoipa::path(
    get, path = "/api/organizations/{id}/analytics/trends", tag = "organizations",
    params(("id" = String, Path, description = "The organization"), FilterParams, TrendParams),
    responses((status = 200, body = Trends), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn organization_trends(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trends(&state, &caller, Subject::Organization(id), query.as_deref(), &headers).await
}

/// How a user's usage developed.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/trends", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams, TrendParams),
    responses((status = 200, body = Trends), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_trends(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trends(&state, &caller, Subject::User(id), query.as_deref(), &headers).await
}

/// How everybody's usage developed.
#[utoipa::path(
    get, path = "/api/platform/analytics/trends", tag = "platform",
    params(FilterParams, TrendParams),
    responses((status = 200, body = Trends), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem))
)]
pub(crate) async fn platform_trends(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trends(&state, &caller, Subject::Platform, query.as_deref(), &headers).await
}

async fn trends(
    state: &ApiState,
    caller: &Principal,
    subject: Subject,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let known_at_all = matches!(subject, Subject::Organization(_));
    let scope = Scope::read(state, caller, subject, query, &["interval"]).await?;
    let Scope { reading, filter, params, .. } = scope;
    let interval = params.parsed("interval", "it is day, week or month", |text| match text {
        "day" => Some(Interval::Day),
        "week" => Some(Interval::Week),
        "month" => Some(Interval::Month),
        _ => None,
    })?;
    let interval = interval.unwrap_or(Interval::Day);
    let name = state.answer_name(&reading, "trends", &(known_at_all, &filter, interval));
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let trends = queries.trends(&view, &filter, interval.into()).await?;
        if known_at_all && trends.total.total_events == 0 {
            check_organization(&queries, &view, &filter).await?;
        }
        Ok(Trends::new(&trends, interval, Coverage::new(as_of, &filter)))
    };
    state.answers().answer(headers, name, ask).await
}
