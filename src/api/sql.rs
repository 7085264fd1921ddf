//! SQL over the same tables, read-only.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::Problem;
use super::stream;
use crate::error::ErrorKind;
use crate::export::Format;

/// Largest request body, bytes: axum's own default.
const BODY_BYTES_MAX: usize = 2 << 20;

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
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (query, format) = read(&headers, body)?;
    let view = state.view()?;
    let rows = state.engine().sql(view, &query).await?;
    let schema = rows.schema();
    stream::respond(rows, Some(schema), format).await
}

fn read(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(String, Format), Problem> {
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            let detail = format!("the body is {kind:?}; this route reads application/json");
            return Err(Problem::media_type(detail));
        }
    }
    let body = body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(format!(
            "the body exceeds {BODY_BYTES_MAX} bytes; send a shorter statement"
        )),
        _ => Problem::new(ErrorKind::Invalid, format!("the body broke off: {rejected}")),
    })?;
    let request: SqlRequest = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "the body cannot be read: {error}; send {{\"query\": \"SELECT …\", \"format\": \"csv\"}}"
        );
        Problem::new(ErrorKind::Invalid, detail)
    })?;
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
