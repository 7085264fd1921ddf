//! SQL over the same tables, read-only.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::json_body::read_json;
use super::problem::Problem;
use super::stream;
use crate::export::Format;

/// One statement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One statement that reads.
    #[schema(example = "SELECT model_name, sum(charged_cost) FROM usage_events GROUP BY 1")]
    query: String,
    /// json, ndjson (default), csv or arrow.
    #[serde(default)]
    format: Option<String>,
}

/// Runs one read-only SQL statement and streams its rows. Decimals are
/// strings in JSON.
#[utoipa::path(
    post, path = "/api/sql", tag = "sql", request_body = SqlRequest,
    responses(
        (status = 200, content((String = "application/x-ndjson"), (String = "application/json"), (String = "text/csv"), (String = "application/vnd.apache.arrow.stream"))),
        (status = 400, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn sql(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (query, format) = read(&headers, body)?;
    let view = state.view()?;
    let rows = state.engine().sql(view, &caller, &query.as_str().into()).await?;
    let schema = rows.schema();
    stream::respond(rows, Some(schema), format).await
}

fn read(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(String, Format), Problem> {
    let example = r#"{"query": "SELECT …", "format": "csv"}"#;
    let request: SqlRequest = read_json(headers, body, example)?;
    let format = match request.format.as_deref() {
        None => Format::Ndjson,
        Some(name) => {
            Format::parse(name).filter(|format| *format != Format::Parquet).ok_or_else(|| {
                let detail = format!("format is {name:?}; it is json, ndjson, csv or arrow");
                Problem::parameter("format", name, detail)
            })?
        }
    };
    Ok((request.query, format))
}
