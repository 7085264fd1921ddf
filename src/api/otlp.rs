//! `POST /v1/logs`, `/v1/traces`, `/v1/metrics`: OTLP over HTTP. Exporters
//! expect the protocol's own answers, so errors here are `google.rpc.Status`
//! messages in the encoding of the request, not problem details.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::{self, RefOr};

use super::admission::Sender;
use super::caller::Caller;
use super::ingest::{Incoming, IngestDoor, count_events, organization_header, too_large_as_413};
use super::problem::Problem;
use crate::access::Permission;
use crate::error::{ErrorKind, Result};
use crate::flush::{IngestReport, LineStatus};
use crate::ingest::{OtlpEncoding, SourceFormat};

/// What an export holds.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Logs,
    Traces,
    Metrics,
}

/// What every signal's route may answer instead.
struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let refusal = |(status, why): (&str, &str)| {
            let refusal = openapi::Response::new(format!("google.rpc.Status: {why}"));
            (status.to_owned(), refusal.into())
        };
        let all = [
            ("400", "the body cannot be read"),
            ("413", "the body is too large"),
            ("415", "neither protobuf nor JSON"),
            ("429", "this sender sends too much; send it again later"),
            ("503", "nothing was stored; send it again later"),
        ];
        all.map(refusal).into()
    }
}

/// Takes log records: each call of a model that Claude Code, Codex or Gemini
/// CLI logged is stored, every other record is acknowledged and left out.
#[utoipa::path(
    post,
    path = "/v1/logs",
    tag = "ingest",
    params(("x-spendlake-organization" = Option<String>, Header, description = "Organization (a UUID, or a name) of records that name none")),
    request_body(content = String, content_type = "application/x-protobuf", description = "ExportLogsServiceRequest; application/json too"),
    responses(
        (status = 200, description = "ExportLogsServiceResponse in the request's encoding; partial_success counts refused records"),
        Refusals,
    )
)]
pub(super) async fn post_logs(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    export(&door, Signal::Logs, (sender, caller), &headers, body).await
}

/// Takes spans: each call of a model by the GenAI semantic conventions is
/// stored, every other span is acknowledged and left out.
#[utoipa::path(
    post,
    path = "/v1/traces",
    tag = "ingest",
    params(("x-spendlake-organization" = Option<String>, Header, description = "Organization (a UUID, or a name) of spans that name none")),
    request_body(content = String, content_type = "application/x-protobuf", description = "ExportTraceServiceRequest; application/json too"),
    responses(
        (status = 200, description = "ExportTraceServiceResponse in the request's encoding; partial_success counts refused spans"),
        Refusals,
    )
)]
pub(super) async fn post_traces(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    export(&door, Signal::Traces, (sender, caller), &headers, body).await
}

/// Takes metrics and stores none: the same usage arrives as log records or
/// spans, and adding both would double it.
#[utoipa::path(
    post,
    path = "/v1/metrics",
    tag = "ingest",
    request_body(content = String, content_type = "application/x-protobuf", description = "ExportMetricsServiceRequest; application/json too"),
    responses(
        (status = 200, description = "ExportMetricsServiceResponse in the request's encoding"),
        Refusals,
    )
)]
pub(super) async fn post_metrics(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    export(&door, Signal::Metrics, (sender, caller), &headers, body).await
}

async fn export(
    door: &Arc<IngestDoor>,
    signal: Signal,
    sender: (Sender, Caller),
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let Some(encoding) = encoding_of(headers) else {
        let detail = "Content-Type must be application/x-protobuf or application/json".to_owned();
        return refusal(OtlpEncoding::Json, Problem::media_type(detail));
    };
    match store(door, signal, encoding, sender, headers, body).await {
        Ok(report) => success(signal, encoding, &report),
        Err(error) => {
            if error.kind() == ErrorKind::Internal {
                tracing::error!(cause = error.full_message(), "an OTLP export failed");
            }
            refusal(encoding, too_large_as_413(error))
        }
    }
}

fn encoding_of(headers: &HeaderMap) -> Option<OtlpEncoding> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(OtlpEncoding::Protobuf),
        "application/json" => Some(OtlpEncoding::Json),
        _ => None,
    }
}

async fn store(
    door: &Arc<IngestDoor>,
    signal: Signal,
    encoding: OtlpEncoding,
    (sender, Caller(caller)): (Sender, Caller),
    headers: &HeaderMap,
    body: Body,
) -> Result<IngestReport> {
    let body = door.body(sender, headers, body).await?;
    let format = match signal {
        Signal::Logs => SourceFormat::OtlpLogs(encoding),
        Signal::Traces => SourceFormat::OtlpTraces(encoding),
        Signal::Metrics => SourceFormat::OtlpMetrics(encoding),
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let organization_id = organization_header(headers, format)?;
    let request_id = text("x-request-id").unwrap_or_default().to_owned();
    let (attributes, writes) = (Vec::new(), caller.reach(Permission::WriteEvents));
    let incoming = Incoming { format, body, organization_id, attributes, writes };
    let report = door.ingest(incoming, request_id).await?;
    count_events(&report);
    Ok(report)
}

/// 200, with how many records were refused and why the first one was.
fn success(signal: Signal, encoding: OtlpEncoding, report: &IngestReport) -> Response {
    let refused = i64::try_from(report.rejected + report.conflict).unwrap_or(i64::MAX);
    let reason = (refused > 0).then(|| reason_of(report));
    let body = match encoding {
        OtlpEncoding::Json => json_success(signal, refused, reason),
        OtlpEncoding::Protobuf => protobuf_success(signal, refused, reason),
    };
    respond(StatusCode::OK, encoding, body)
}

fn json_success(signal: Signal, refused: i64, reason: Option<String>) -> Vec<u8> {
    let counter = match signal {
        Signal::Logs => "rejectedLogRecords",
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
    };
    // A 64-bit integer is a string in the JSON form of protobuf.
    let answer = reason.map_or_else(
        || json!({}),
        |reason| json!({"partialSuccess": {counter: refused.to_string(), "errorMessage": reason}}),
    );
    answer.to_string().into_bytes()
}

fn protobuf_success(signal: Signal, refused: i64, reason: Option<String>) -> Vec<u8> {
    match signal {
        Signal::Logs => {
            let partial_success = reason.map(|error_message| ExportLogsPartialSuccess {
                rejected_log_records: refused,
                error_message,
            });
            ExportLogsServiceResponse { partial_success }.encode_to_vec()
        }
        Signal::Traces => {
            let partial_success = reason.map(|error_message| ExportTracePartialSuccess {
                rejected_spans: refused,
                error_message,
            });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        }
        Signal::Metrics => ExportMetricsServiceResponse { partial_success: None }.encode_to_vec(),
    }
}

/// `2 of 40 calls were refused and are kept in rejected_events; the first,
/// record 17: …`
fn reason_of(report: &IngestReport) -> String {
    let refused = report.rejected + report.conflict;
    let first = report.results.iter().find_map(|result| match &result.status {
        LineStatus::Rejected(why) | LineStatus::Conflict(why) => {
            Some(format!("; the first, record {}: {}", result.line, why.message()))
        }
        LineStatus::Accepted | LineStatus::Duplicate | LineStatus::Sighting(_) => None,
    });
    format!(
        "{refused} of {} calls were refused and are kept in rejected_events{}",
        report.results.len(),
        first.unwrap_or_default()
    )
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    /// A `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// A refusal before the body is read, in the encoding of the request.
pub(super) fn refuse(headers: &HeaderMap, problem: Problem) -> Response {
    refusal(encoding_of(headers).unwrap_or(OtlpEncoding::Json), problem)
}

fn refusal(encoding: OtlpEncoding, problem: Problem) -> Response {
    let status = problem.status();
    let code = match status {
        StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE => 3, // INVALID_ARGUMENT
        StatusCode::NOT_FOUND => 5,                                        // NOT_FOUND
        StatusCode::FORBIDDEN => 7,                                        // PERMISSION_DENIED
        StatusCode::UNAUTHORIZED => 16,                                    // UNAUTHENTICATED
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8, // RESOURCE_EXHAUSTED
        StatusCode::SERVICE_UNAVAILABLE => 14,                             // UNAVAILABLE
        _ => 13,                                                           // INTERNAL
    };
    let message = problem.detail().to_owned();
    let body = match encoding {
        OtlpEncoding::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
        OtlpEncoding::Protobuf => RpcStatus { code, message }.encode_to_vec(),
    };
    let mut response = respond(status, encoding, body);
    let retry = problem.into_response().headers_mut().remove(header::RETRY_AFTER);
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn respond(status: StatusCode, encoding: OtlpEncoding, body: Vec<u8>) -> Response {
    let media_type = match encoding {
        OtlpEncoding::Protobuf => "application/x-protobuf",
        OtlpEncoding::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}
