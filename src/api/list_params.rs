//! The parameters of lists: order, page, and what one item is.

use utoipa::IntoParams;

use super::cursor::{decode_group, request_hash};
use super::items::{dimension_names, dimension_of};
use super::params::{Params, nearest};
use super::problem::Problem;
use crate::query::{ListRequest, SORT_NAMES};
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
pub(crate) struct DrillDownParams {
    /// Dimensions, comma separated or repeated: organization, team,
    /// department, user, api_key, provider, model, status, conversation, date.
    #[param(example = "team,user")]
    group_by: String,
}

/// The names of [`ListParams`].
pub(crate) const LIST_NAMES: [&str; 4] = ["sort", "order", "limit", "cursor"];

/// The request, and what binds its cursors to it.
pub(crate) fn list_request(
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
