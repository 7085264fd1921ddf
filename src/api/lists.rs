//! Lists of groups: users, teams, models, …, and any combination.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::answer::AnswerName;
use super::cursor::{decode_group, encode_group, request_hash};
use super::filters::FilterParams;
use super::items::{ListItem, dimension_names, dimension_of};
use super::params::{Params, nearest};
use super::problem::Problem;
use super::scope::{Scope, Subject, check_organization};
use super::wire::{Coverage, Measures};
use crate::query::{self, ListRequest, SORT_NAMES};
use crate::rollup::{DateBucket, Dimension, UsageFilter};

/// Items of one page at most.
pub(crate) const LIMIT_MAX: usize = 1000;
/// Items of one page when nothing is said.
pub(crate) const LIMIT_DEFAULT: usize = 50;

/// The parameters of lists, beside the filters.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `list_request` reads")]
pub(crate) struct ListParams {
    /// A measure, `name`, or a dimension the list groups by. Default:
    /// total_cost; what is unknown comes last either way.
    sort: Option<String>,
    /// asc or desc. Default: desc, and asc for `name` and dimensions.
    order: Option<String>,
    /// Most items on the page.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

/// The parameters of a drill-down, beside those of lists.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameter that `group_by` reads")]
struct DrillDownParams {
    /// Dimensions, comma separated or repeated: organization, team,
    /// department, user, api_key, provider, model, status, conversation, date.
    #[param(example = "team,user")]
    group_by: String,
}

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
            Path(id): Path<String>,
            RawQuery(query): RawQuery,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            let subject = Subject::Organization(id);
            list(&state, subject, query.as_deref(), Dimension::$dimension, &headers).await
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
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, Subject::User(id), query.as_deref(), Dimension::Model, &headers).await
}

/// A user's conversations, the latest first.
#[utoipa::path(
    get, path = "/api/users/{id}/analytics/conversations", tag = "users",
    params(("id" = String, Path, description = "The user"), FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn user_conversations(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, Subject::User(id), query.as_deref(), Dimension::Conversation, &headers).await
}

/// Every organization.
#[utoipa::path(
    get, path = "/api/platform/analytics/organizations", tag = "platform",
    params(FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem))
)]
pub(crate) async fn platform_organizations(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, Subject::Platform, query.as_deref(), Dimension::Organization, &headers).await
}

/// Every model.
#[utoipa::path(
    get, path = "/api/platform/analytics/models", tag = "platform",
    params(FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem))
)]
pub(crate) async fn platform_models(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    list(&state, Subject::Platform, query.as_deref(), Dimension::Model, &headers).await
}

/// Usage by any combination of dimensions.
#[utoipa::path(
    get, path = "/api/analytics/drill-down", tag = "platform",
    params(DrillDownParams, FilterParams, ListParams),
    responses((status = 200, body = List), (status = 304), (status = 400, body = Problem))
)]
pub(crate) async fn drill_down(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = [LIST_NAMES.as_slice(), &["group_by"]].concat();
    let scope = Scope::read(&state, Subject::Platform, query.as_deref(), &names).await?;
    let group_by = group_by(&scope.params)?.ok_or_else(|| {
        let detail = format!("group_by is missing; it names some of {}", dimension_names());
        Problem::parameter("group_by", "", detail)
    })?;
    answer(&state, scope, group_by, false, &headers).await
}

const LIST_NAMES: [&str; 4] = ["sort", "order", "limit", "cursor"];

async fn list(
    state: &ApiState,
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
    let scope = Scope::read(state, subject, query, &LIST_NAMES).await?;
    answer(state, scope, group_by, known_at_all, headers).await
}

async fn answer(
    state: &ApiState,
    scope: Scope,
    group_by: Vec<Dimension>,
    known_at_all: bool,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Scope { view, filter, params, .. } = scope;
    let (request, hash) = list_request(&params, filter, group_by)?;
    let name = AnswerName::new(&view, "list", &(known_at_all, &request));
    let queries = Arc::clone(state.queries());
    let ask = async move {
        let page = queries.list(&view, &request).await?;
        if known_at_all && page.total.total_events == 0 {
            check_organization(&queries, &view, &request.filter).await?;
        }
        Ok(List::new(page, hash, Coverage::new(&view, &request.filter)))
    };
    state.answers().answer(headers, name, ask).await
}

/// The request, and what binds its cursors to it.
fn list_request(
    params: &Params,
    filter: UsageFilter,
    group_by: Vec<Dimension>,
) -> Result<(ListRequest, u64), Problem> {
    let latest_first = group_by.contains(&Dimension::Conversation);
    let sort = match params.one("sort")? {
        Some(name) => sort_column(name, &group_by)?,
        None if latest_first => "last_event_time",
        None => "total_cost",
    };
    let by_text = sort == "name" || !SORT_NAMES.contains(&sort);
    let descending = params.parsed("order", "it is asc or desc", |text| match text {
        "asc" => Some(false),
        "desc" => Some(true),
        _ => None,
    })?;
    let descending = descending.unwrap_or(!by_text);
    let hash = request_hash(&(&filter, &group_by, sort, descending));
    let after = params.one("cursor")?.map(|cursor| decode_group(hash, cursor)).transpose()?;
    let date_bucket = DateBucket::Day;
    let limit = limit(params)?;
    Ok((ListRequest { filter, group_by, date_bucket, sort, descending, limit, after }, hash))
}

/// The number of items on a page.
pub(crate) fn limit(params: &Params) -> Result<usize, Problem> {
    let rule = format!("it is a whole number from 1 to {LIMIT_MAX}");
    let limit = params.parsed("limit", &rule, |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    })?;
    Ok(limit.unwrap_or(LIMIT_DEFAULT))
}

fn sort_column(name: &str, group_by: &[Dimension]) -> Result<&'static str, Problem> {
    if let Some(known) = SORT_NAMES.into_iter().find(|known| *known == name) {
        return Ok(known);
    }
    let by_dimension = dimension_of(name)
        .or_else(|| Dimension::ALL.into_iter().find(|dimension| dimension.column() == name));
    if let Some(dimension) = by_dimension.filter(|dimension| group_by.contains(dimension)) {
        return Ok(dimension.column());
    }
    let columns: Vec<&str> = group_by.iter().map(|dimension| dimension.column()).collect();
    let known = [SORT_NAMES.as_slice(), &columns].concat();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it is one of {}", known.join(", ")),
    };
    Err(Problem::parameter("sort", name, format!("this list has no {name:?} to sort by; {hint}")))
}

/// The dimensions that `group_by` names, in order, each once.
pub(crate) fn group_by(params: &Params) -> Result<Option<Vec<Dimension>>, Problem> {
    let mut dimensions = Vec::new();
    let values = params.all("group_by");
    for name in values.iter().flat_map(|value| value.split(',')).map(str::trim) {
        let dimension = dimension_of(name).ok_or_else(|| {
            let detail = format!("group_by names {name:?}; it names some of {}", dimension_names());
            Problem::parameter("group_by", name, detail)
        })?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(Some(dimensions).filter(|dimensions| !dimensions.is_empty()))
}
