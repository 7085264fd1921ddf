//! Exports: the same filters, every row.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use super::ApiState;
use super::caller::Caller;
use super::filters::FilterParams;
use super::list_params::group_by;
use super::params::Params;
use super::problem::Problem;
use super::scope::{Scope, Subject, check_organization};
use super::stream;
use crate::export::Format;
use crate::query::{ExportRequest, ExportRows, off_workers};
use crate::rollup::Dimension;

/// What a cost allocation needs when nothing is said.
const GROUP_BY_DEFAULT: [Dimension; 7] = [
    Dimension::Date,
    Dimension::Department,
    Dimension::Team,
    Dimension::User,
    Dimension::ApiKey,
    Dimension::Provider,
    Dimension::Model,
];

/// The parameters of exports, beside the filters.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `export_request` reads")]
struct ExportParams {
    /// csv (default), json, ndjson or parquet.
    format: Option<String>,
    /// Dimensions of one row, comma separated or repeated. Default:
    /// date,department,team,user,api_key,provider,model.
    group_by: Option<String>,
    /// groups (default), or events for one row an event; not beside group_by.
    rows: Option<String>,
}

/// Every row under the filters, ordered the same each time. Only answers to
/// those who may see everything carry an ETag.
#[utoipa::path(
    get, path = "/api/organizations/{id}/analytics/export", tag = "organizations",
    params(("id" = String, Path, description = "The organization"), FilterParams, ExportParams),
    responses(
        (status = 200, content((String = "text/csv"), (String = "application/json"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"))),
        (status = 304), (status = 400, body = Problem), (status = 404, body = Problem)
    )
)]
pub(crate) async fn organization_export(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = ["format", "group_by", "rows"];
    let scope =
        Scope::read(&state, &caller, Subject::Organization(id), query.as_deref(), &names).await?;
    let Scope { reading, filter, params, .. } = scope;
    let (rows, format) = export_rows(&params)?;
    let request = ExportRequest { filter, rows };
    let name = state.answer_name(&reading, "export", &(&request, format));
    if let Some(unchanged) = name.unchanged(&headers) {
        return Ok(unchanged);
    }
    let file = file_name(&request, format);
    let queries = Arc::clone(state.queries());
    let view = reading.view;
    let batches = off_workers(async move {
        check_organization(&queries, &view, &request.filter).await?;
        queries.export(view, request).await
    });
    let mut response = stream::respond(batches.await?, None, format).await?.into_response();
    name.mark(response.headers_mut());
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{file}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

fn export_rows(params: &Params) -> Result<(ExportRows, Format), Problem> {
    let format = params.parsed("format", "it is csv, json, ndjson or parquet", |text| {
        Format::parse(text).filter(|format| *format != Format::Arrow)
    })?;
    let events = params.parsed("rows", "it is groups or events", |text| match text {
        "events" => Some(true),
        "groups" => Some(false),
        _ => None,
    })?;
    let by = group_by(params)?;
    let rows = match (events.unwrap_or(false), by) {
        (true, Some(_)) => {
            let detail = "rows=events has one row an event and takes no group_by; drop either";
            return Err(Problem::parameter("group_by", &params.all("group_by").join(","), detail));
        }
        (true, None) => ExportRows::Events,
        (false, by) => ExportRows::Groups(by.unwrap_or_else(|| GROUP_BY_DEFAULT.to_vec())),
    };
    Ok((rows, format.unwrap_or(Format::Csv)))
}

/// Made of dates and fixed words only, so it needs no quoting.
fn file_name(request: &ExportRequest, format: Format) -> String {
    let what = match request.rows {
        ExportRows::Groups(_) => "usage",
        ExportRows::Events => "events",
    };
    let (from, to) = (request.filter.date_from, request.filter.date_to);
    format!("{what}-{from}-{to}.{}", format.as_str())
}
