//! SQL over the same tables, read-only.

mod answer;
mod parameters;
pub(crate) mod statements;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::ApiState;
use super::caller::Caller;
use super::json_body::read_json;
use super::problem::Problem;
use crate::engine::Statement;
use crate::export::Format;

/// One statement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One statement that reads.
    #[schema(
        example = "SELECT model_name, sum(charged_cost) FROM usage_events WHERE usage_date >= $1 GROUP BY 1"
    )]
    query: String,
    /// The values of `$1`, `$2`, …: texts, numbers (whose digits are read
    /// exactly), true, false or null. A text is read as what its place needs,
    /// so dates and amounts may be texts.
    #[serde(default)]
    #[schema(value_type = Vec<Object>, example = json!(["2026-11-01"]))]
    parameters: Vec<Box<RawValue>>,
    /// json, ndjson, csv, arrow or parquet; without it the header Accept
    /// chooses, and without that ndjson.
    #[serde(default)]
    format: Option<String>,
}

/// Runs one read-only SQL statement and streams its rows. Decimals are
/// strings in JSON. The header x-statement-id names the statement. An answer
/// that cannot be completed breaks off: the connection is closed before the
/// body's end; in ndjson the last line then is an object `{"error": …}`.
#[utoipa::path(
    post, path = "/api/sql", tag = "sql", request_body = SqlRequest,
    responses(
        (
            status = 200,
            headers(("x-statement-id" = String, description = "Names the statement in /api/sql/statements")),
            content(
                (String = "application/x-ndjson"), (String = "application/json"),
                (String = "text/csv"), (String = "application/vnd.apache.arrow.stream"),
                (String = "application/vnd.apache.parquet")
            )
        ),
        (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem, description = "Somebody cancelled it"),
        (status = 422, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn sql(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let example = r#"{"query": "SELECT …", "parameters": ["2026-11-01"], "format": "csv"}"#;
    let request: SqlRequest = read_json(&headers, body, example)?;
    let format = format_of(&request, &headers)?;
    let parameters = parameters::read(&request.parameters)?;
    let statement = Statement { text: request.query, parameters };
    let rows = state.engine().sql(|| state.view(), &caller, &statement).await?;
    answer::respond(state.engine(), rows, format).await
}

/// What the body asks for, else the first format that Accept lists.
fn format_of(request: &SqlRequest, headers: &HeaderMap) -> Result<Format, Problem> {
    if let Some(name) = request.format.as_deref() {
        return Format::parse(name).ok_or_else(|| {
            let detail = format!("format is {name:?}; it is json, ndjson, csv, arrow or parquet");
            Problem::parameter("format", name, detail)
        });
    }
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accepted.collect::<Vec<_>>().join(",");
    accepted_format(&accepted).ok_or_else(|| {
        let known = Format::ALL.map(media_type).join(", ");
        let detail = format!("the header Accept is {accepted:?}; answers are {known}");
        Problem::parameter("Accept", &accepted, detail)
    })
}

fn media_type(format: Format) -> &'static str {
    format.content_type().split(';').next().unwrap_or_default()
}

/// The format of an Accept header: the one of the largest q, of equal ones the
/// first. `None` where none of ours is accepted.
fn accepted_format(accept: &str) -> Option<Format> {
    if accept.trim().is_empty() {
        return Some(Format::Ndjson);
    }
    let mut best: Option<(f32, Format)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        let quality = quality.unwrap_or(1.0);
        let found = match name.as_str() {
            "*/*" | "application/*" => Some(Format::Ndjson),
            "text/*" => Some(Format::Csv),
            name => Format::ALL.into_iter().find(|format| media_type(*format) == name),
        };
        if let Some(format) = found
            && quality > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses_by_quality_and_then_by_order() {
        for (accept, format) in [
            ("", Some(Format::Ndjson)),
            ("*/*", Some(Format::Ndjson)),
            ("application/json", Some(Format::Json)),
            ("text/csv;q=0.5, application/vnd.apache.parquet", Some(Format::Parquet)),
            ("text/html, text/csv, application/json;q=0.9, */*;q=0.8", Some(Format::Csv)),
            ("APPLICATION/X-NDJSON; charset=utf-8", Some(Format::Ndjson)),
            ("application/vnd.apache.arrow.stream", Some(Format::Arrow)),
            ("image/png", None),
            ("text/csv;q=0", None),
        ] {
            assert_eq!(accepted_format(accept), format, "{accept}");
        }
    }
}
