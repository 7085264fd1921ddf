//! `GET /api/reconciliation`: a provider's charges against our costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::filters::organization_id;
use super::params::Params;
use super::problem::Problem;
use crate::query::{self, ReconciliationRequest};

const NAMES: [&str; 4] = ["provider", "date_from", "date_to", "organization_id"];

/// The figures of one line or of all. Amounts are decimal strings in US
/// dollars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReconciliationFigures {
    /// What the provider charges.
    #[schema(example = "12.5")]
    pub provider_cost: String,
    /// What we booked on that day, as the dashboards show it.
    pub our_cost: String,
    /// provider_cost minus our_cost: exactly the sum of the causes.
    pub difference: String,
    /// The difference by cause: missing_events, unpriced, price_difference,
    /// token_difference, time_zone, closed_month, outside_scope, undetermined.
    pub causes: BTreeMap<String, String>,
    /// Calls that the provider counts; null where its report counts none.
    pub provider_requests: Option<i64>,
    /// Our calls, by the UTC day of the call.
    pub our_requests: i64,
    /// Tokens that the provider counts; null without a usage report.
    pub provider_tokens: Option<i64>,
    /// Our tokens, by the UTC day of the call.
    pub our_tokens: i64,
    /// Our events without a known cost.
    pub unpriced_events: i64,
}

/// What one UTC day, model and key differ by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReconciliationItem {
    /// The UTC day.
    #[schema(value_type = String, format = Date)]
    pub date: NaiveDate,
    /// The model, without a date in its name.
    pub model_name: Option<String>,
    /// The key.
    pub api_key_id: Option<String>,
    /// What is charged for, where it is no call of a model that we track.
    pub item: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub figures: ReconciliationFigures,
}

/// A provider's charges against our costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reconciliation {
    /// The provider.
    pub provider: String,
    /// First UTC day, inclusive.
    #[schema(value_type = String, format = Date)]
    pub date_from: NaiveDate,
    /// Last UTC day, inclusive.
    #[schema(value_type = String, format = Date)]
    pub date_to: NaiveDate,
    /// The organization, where only one is in question.
    pub organization_id: Option<String>,
    /// The difference and its biggest cause, in a sentence.
    pub summary: String,
    /// What the reports leave open, in sentences.
    pub untold: Vec<String>,
    /// Days that no cost report covers; they are in no line and no sum.
    #[schema(value_type = Vec<String>)]
    pub days_without_costs: Vec<NaiveDate>,
    /// The lines, by day.
    pub items: Vec<ReconciliationItem>,
    /// The sum of the lines.
    pub total: ReconciliationFigures,
}

impl From<&query::ReconciliationFigures> for ReconciliationFigures {
    fn from(figures: &query::ReconciliationFigures) -> Self {
        let causes = figures.causes.iter();
        Self {
            provider_cost: figures.provider_cost.to_string(),
            our_cost: figures.our_cost.to_string(),
            difference: figures.difference.to_string(),
            causes: causes.map(|(cause, part)| (cause.name().into(), part.to_string())).collect(),
            provider_requests: figures.provider_requests,
            our_requests: figures.our_requests,
            provider_tokens: figures.provider_tokens,
            our_tokens: figures.our_tokens,
            unpriced_events: figures.unpriced_events,
        }
    }
}

impl Reconciliation {
    /// Shapes the answer to `request`.
    pub fn new(request: &ReconciliationRequest, answer: &query::Reconciliation) -> Self {
        let items = answer.lines.iter().map(|line| ReconciliationItem {
            date: line.date,
            model_name: line.model_name.clone(),
            api_key_id: line.api_key_id.clone(),
            item: line.item.clone(),
            figures: (&line.figures).into(),
        });
        Self {
            provider: request.provider.clone(),
            date_from: request.date_from,
            date_to: request.date_to,
            organization_id: request.organization_id.clone(),
            summary: answer.summary.clone(),
            untold: answer.untold.clone(),
            days_without_costs: answer.days_without_costs.iter().copied().collect(),
            items: items.collect(),
            total: (&answer.total).into(),
        }
    }
}

/// Why a provider's charges and our costs differ.
///
/// Lines up what the imported reports say with our events by UTC day, model
/// and key, and splits the difference of each line by cause. The causes add
/// up to the difference exactly, in each line and in total. For those who may see
/// all of the organization, or of all of them where none is named.
#[utoipa::path(
    get, path = "/api/reconciliation", tag = "platform",
    params(
        ("provider" = String, Query, description = "The provider, as events name it"),
        ("date_from" = String, Query, description = "First UTC day, inclusive"),
        ("date_to" = String, Query, description = "Last UTC day, inclusive"),
        ("organization_id" = Option<String>, Query, description = "Only this organization and the reports of its accounts"),
    ),
    responses((status = 200, body = Reconciliation), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn reconciliation(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &NAMES)?;
    let reading = state.reading(&caller)?;
    let request = ReconciliationRequest {
        reach: reading.reach.clone(),
        provider: required(params.one("provider")?, "provider", "name one, such as anthropic")?
            .to_owned(),
        date_from: date(&params, "date_from")?,
        date_to: date(&params, "date_to")?,
        organization_id: params.parsed("organization_id", "it must be a UUID", organization_id)?,
    };
    // Reports change neither the events nor their aggregates.
    let reports = reading.view.provider_costs.version;
    let name = state.answer_name(&reading, "reconciliation", &(reports, &request));
    let queries = Arc::clone(state.queries());
    let view = reading.view;
    let ask = async move {
        let answer = queries.reconciliation(&view, &request).await?;
        Ok(Reconciliation::new(&request, &answer))
    };
    state.answers().answer(&headers, name, ask).await
}

fn date(params: &Params, name: &str) -> Result<NaiveDate, Problem> {
    let rule = "it must be a date such as 2026-10-01";
    let date = params.parsed(name, rule, |text| text.parse().ok())?;
    required(date, name, "give a UTC day such as 2026-10-01")
}

fn required<T>(value: Option<T>, name: &str, way_out: &str) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::parameter(name, "", format!("{name} is missing; {way_out}")))
}
