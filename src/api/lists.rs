//! Lists of groups: users, teams, models, …, and any combination.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::cursor::encode_group;
use super::filters::FilterParams;
use super::items::{ListItem, dimension_names};
use super::list_params::{DrillDownParams, LIST_NAMES, ListParams, group_by, list_request};
use super::problem::Problem;
use super::reading::Reading;
use super::scope::{Scope, Subject, check_organization};
use super::wire::{Coverage, Measures};
use crate::access::Principal;
use crate::query;
use crate::rollup::Dimension;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List {
    /// The items, in order.
    items: Vec<ListItem>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
    /// Everything under the same filters, of which the items are shares.
    total: Measures,
    /// Events of the whole without a known actual cost.
    unpriced_events: i64,
    #[serde(flatten)]
    coverage: Coverage,
}

impl List {
    fn new(page: query::Page<query::Item>, request: u64, coverage: Coverage) -> Self {
        Self {
            next_cursor: page.next.as_ref().map(|position| encode_group(request, position)),
            total: (&page.total).into(),
            unpriced_events: page.total.unpriced_events,
            items: page.items.into_iter().map(ListItem::from).collect(),
            coverage,
        }
    }
}

/// Documents and declares a list of one organization by one dimension.
macro_rules! organization_list {
    ($(#[doc = $doc:literal])+ $name:ident, $path:literal, $dimension:ident) => {
        $(#[doc = $doc])+
        #[utoipa::path(
            get, path = $path, tag = "organizations",
            params(("id" = String, Path, description = "The organization"), FilterParams, ListParams),
            responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
        )]
        pub(crate) async fn $name(
            State(state): State<ApiState>,
            Caller(caller): Caller,
            Path(id): Path<String>,
            RawQuery(query): RawQuery,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            let subject = Subject::Organization(id);
            list(&state, &caller, subject, query.as_deref(), Dimension::$dimension, &headers).await
        }
    };
}

organization_list!(
    /// An organization's users.
    organization_users, "/api/organizations/{id}/analytics/users", User
);
organization_list!(
    /// An organization's teams.
    organization_teams, "/api/organizations/{id}/analytics/teams", Team
);
organization_list!(
    /// An organization's departments.
    organization_departments, "/api/organizations/{id}/analytics/departments", Department
);
organization_list!(
    /// An organization's API keys.
    organization_api_keys, "/api/organizations/{id}/analytics/api-keys", ApiKey
);
organization_list!(
    /// The models an organization uses.
    organization_models, "/api/organizations/{id}/analytics/models", Model
);

/// The models a user uses.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/models", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_models(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, &caller, Subject::User(id), query.as_deref(), Dimension::Model, &headers).await
}

/// A user's conversations, the latest first.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/conversations", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_conversations(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, &caller, Subject::User(id), query.as_deref(), Dimension::Conversation, &headers)
        .await
}

/// Every organization.
#[utoipa::path(
    get, path = "/api/platform/analytics/organizations", tag = "platform",
    params(FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem))
)]
pub(crate) async fn platform_organizations(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, &caller, Subject::Platform, query.as_deref(), Dimension::Organization, &headers)
        .await
}

/// Every model.
#[utoipa::path(
    get, path = "/api/platform/analytics/models", tag = "platform",
    params(FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 403, body = Problem))
)]
pub(crate) async fn platform_models(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, &caller, Subject::Platform, query.as_deref(), Dimension::Model, &headers).await
}

/// Usage by any combination of dimensions, of everything that may be seen.
#[utoipa::path(
    get, path = "/api/analytics/drill-down", tag = "platform",
    params(DrillDownParams, FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem))
)]
pub(crate) async fn drill_down(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = [LIST_NAMES.as_slice(), &["group_by"]].concat();
    let scope = Scope::read(&state, &caller, Subject::Anything, query.as_deref(), &names).await?;
    let group_by = group_by(&scope.params)?.ok_or_else(|| {
        let detail = format!("group_by is missing; it names some of {}", dimension_names());
        Problem::parameter("group_by", "", detail)
    })?;
    answer(&state, scope, group_by, false, &headers).await
}

async fn list(
    state: &ApiState,
    caller: &Principal,
    subject: Subject,
    query: Option<&str>,
    dimension: Dimension,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let known_at_all = matches!(subject, Subject::Organization(_));
    // A conversation's id is its organization's own.
    let group_by = match dimension {
        Dimension::Conversation => vec![Dimension::Organization, Dimension::Conversation],
        one => vec![one],
    };
    let scope = Scope::read(state, caller, subject, query, &LIST_NAMES).await?;
    answer(state, scope, group_by, known_at_all, headers).await
}

async fn answer(
    state: &ApiState,
    scope: Scope,
    group_by: Vec<Dimension>,
    known_at_all: bool,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Scope { reading, filter, params, .. } = scope;
    let (request, hash) = list_request(&params, filter, group_by)?;
    let name = state.answer_name(&reading, "list", &(known_at_all, &request));
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let page = queries.list(&view, &request).await?;
        if known_at_all && page.total.total_events == 0 {
            check_organization(&queries, &view, &request.filter).await?;
        }
        Ok(List::new(page, hash, Coverage::new(as_of, &request.filter)))
    };
    state.answers().answer(headers, name, ask).await
}
