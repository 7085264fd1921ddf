//! A user beside the organization.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::filters::FilterParams;
use super::problem::Problem;
use super::reading::Reading;
use super::scope::{Scope, Subject};
use super::wire::{Coverage, Measures, money};
use crate::access::Reach;
use crate::error::ErrorKind;
use crate::query;

/// Where a user stands among the organization's active users: those with
/// events in the range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Comparison {
    /// The user.
    user_id: String,
    /// The organization.
    organization_id: String,
    /// What the user used.
    user: Measures,
    /// What an active user used on average.
    organization_average: Average,
    /// Active users of the organization.
    active_users: i64,
    /// 1 is the most expensive user; ties share the smaller rank. Null when
    /// the user is not active or the cost is unknown.
    rank: Option<i64>,
    /// The part of the active users that cost no more than this one, itself
    /// included; null like rank.
    #[schema(example = "0.750000")]
    percentile: Option<String>,
    /// The user's events without a known actual cost.
    unpriced_events: i64,
    #[serde(flatten)]
    coverage: Coverage,
}

/// Averages per active user, exact and then rounded half-even; null without
/// active users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Average {
    /// US dollars, at most twelve digits; unknown costs count as nothing.
    total_cost: Option<String>,
    /// Six digits.
    total_tokens: Option<String>,
    /// Six digits.
    total_conversations: Option<String>,
    /// Six digits.
    total_events: Option<String>,
}

/// A user beside the active users of the organization, for those who may see all
/// of it.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/compare-org", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams),
    responses((status = 200, body = Comparison), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_compare_org(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope =
        Scope::read(&state, &caller, Subject::User(id.clone()), query.as_deref(), &[]).await?;
    let Scope { reading, mut filter, organizations, .. } = scope;
    let organization_id = one_organization(&id, organizations)?;
    check_whole(&reading.reach, &organization_id)?;
    filter.user_ids.clear();
    let name = state.answer_name(&reading, "compare-org", &(&id, &filter));
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let compared = queries.compare_org(&view, &filter, &id).await?;
        Ok(Comparison::new(id, organization_id, &compared, Coverage::new(as_of, &filter)))
    };
    state.answers().answer(&headers, name, ask).await
}

/// Ranks and averages tell of everybody's usage.
fn check_whole(reach: &Reach, organization_id: &str) -> Result<(), Problem> {
    if reach.reads_whole(organization_id) {
        return Ok(());
    }
    let detail = format!(
        "ranks and averages are of everybody in organization {organization_id}, of whom your \
         roles let you see a part; ask somebody whose role is over the organization"
    );
    Err(Problem::new(ErrorKind::Forbidden, detail))
}

fn one_organization(user_id: &str, mut organizations: Vec<String>) -> Result<String, Problem> {
    match (organizations.pop(), organizations.as_slice()) {
        (Some(one), []) => Ok(one),
        (Some(last), others) => {
            let all = [others, &[last]].concat().join(", ");
            let detail = format!(
                "the user {user_id:?} occurs in several organizations: {all}; \
                 say which with organization_id"
            );
            Err(Problem::parameter("organization_id", "", detail))
        }
        (None, _) => {
            let detail = format!(
                "the user {user_id:?} never had an event in the organizations that \
                 organization_id names"
            );
            Err(Problem::new(ErrorKind::NotFound, detail))
        }
    }
}

impl Comparison {
    fn new(
        user_id: String,
        organization_id: String,
        compared: &query::Comparison,
        coverage: Coverage,
    ) -> Self {
        Self {
            user_id,
            organization_id,
            user: (&compared.user).into(),
            organization_average: Average {
                total_cost: money(compared.average_cost),
                total_tokens: compared.average_tokens.clone(),
                total_conversations: compared.average_conversations.clone(),
                total_events: compared.average_events.clone(),
            },
            active_users: compared.active_users,
            rank: compared.rank,
            percentile: compared.percentile.clone(),
            unpriced_events: compared.user.unpriced_events,
            coverage,
        }
    }
}
