//! `POST /api/events`: bytes in, one verdict per line out.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Registrar;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::{IngestReport, LineResult, LineStatus, Store};
use crate::ingest::{Encoding, Intake, Payload, Rejection, SourceFormat, decompress};

/// Everything that a body passes on its way to being stored.
#[derive(Debug)]
pub struct IngestDoor {
    intake: Arc<Intake>,
    /// Empty while the log is being replayed.
    pub(super) store: Arc<OnceLock<Arc<Store>>>,
    registrar: Arc<OnceLock<Registrar>>,
    pub(super) clock: Arc<dyn Clock>,
    body_bytes_max: usize,
    /// One permit a KiB of bodies in memory.
    memory: Semaphore,
    memory_kib: u32,
}

impl IngestDoor {
    /// A door to `store`, which may open later, as may `registrar`.
    pub fn new(
        config: &Config,
        intake: Arc<Intake>,
        store: Arc<OnceLock<Arc<Store>>>,
        registrar: Arc<OnceLock<Registrar>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let memory_kib = u32::try_from(config.ingest_bytes_max / 1024).unwrap_or(u32::MAX).max(1);
        let memory = Semaphore::new(memory_kib as usize);
        let body_bytes_max = config.body_bytes_max;
        Self { intake, store, registrar, clock, body_bytes_max, memory, memory_kib }
    }

    /// Stores the valid events of a plain body. When this returns, what it
    /// reports as accepted is durable and in the next query.
    pub async fn ingest(self: &Arc<Self>, body: Bytes, request_id: String) -> Result<IngestReport> {
        self.ingest_as(SourceFormat::Native, None, body, request_id).await
    }

    /// The same for a body of any format. `organization_id` is that of events
    /// that name none. A body without any event is reported with no lines.
    pub(super) async fn ingest_as(
        self: &Arc<Self>,
        format: SourceFormat,
        organization_id: Option<String>,
        body: Bytes,
        request_id: String,
    ) -> Result<IngestReport> {
        let store = Arc::clone(self.store.get().ok_or_else(not_ready)?);
        let door = Arc::clone(self);
        let now = self.clock.now();
        // Parsing a large body takes milliseconds; the workers stay free.
        let mut prepared = tokio::task::spawn_blocking(move || {
            let organization_id = organization_id.as_deref();
            door.intake.prepare(Payload { format, body: &body, organization_id }, now)
        })
        .await
        .internal("reading events")??;
        if prepared.lines.is_empty() {
            return Ok(IngestReport::default());
        }
        let sightings = std::mem::take(&mut prepared.sightings);
        let report = store.ingest(prepared, request_id, now).await?;
        // Stored without the directory; what it does not know it may learn now.
        if let Some(registrar) = self.registrar.get() {
            registrar.see(sightings);
        }
        Ok(report)
    }

    /// Reads a request's body within the limits.
    pub(super) async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes> {
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let encoding = Encoding::from_header(encoding)?;
        let limit = self.body_bytes_max;
        let bytes = axum::body::to_bytes(body, limit).await.map_err(|error| {
            if error.to_string().contains("length limit") {
                Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "the body is larger than {limit} bytes (body_bytes_max); send less at once"
                    ),
                )
            } else {
                Error::invalid("the body broke off; nothing of it was stored: send it again")
                    .caused_by(error)
            }
        })?;
        if encoding == Encoding::Identity {
            return Ok(bytes);
        }
        tokio::task::spawn_blocking(move || decompress(bytes, encoding, limit))
            .await
            .internal("decompressing a body")?
    }
}

/// The answer while the log is being replayed.
pub fn not_ready() -> Error {
    Error::unavailable(
        "the server is replaying its log and takes no requests yet; try again shortly",
    )
}

/// What became of one line.
#[derive(Debug, Serialize, ToSchema)]
struct LineAnswer {
    /// Line of an NDJSON body or element of an array, from 1.
    line: u64,
    /// The event's id, where the line has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// accepted, duplicate, conflict or rejected.
    status: &'static str,
    /// Why it was not stored: a word to filter by.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Its value, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The rule it breaks, and the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The same as a sentence that starts with the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Present when a cost was rounded half-even to 12 digits after the point.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rounded: bool,
}

/// What became of a request's events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IngestAnswer {
    /// Events stored: durable, and in the next query.
    accepted: u64,
    /// Events that had been stored before with the same content; not stored again.
    duplicate: u64,
    /// Events whose id had been stored before with other content; not stored.
    conflict: u64,
    /// Lines that broke a rule; kept in the table rejected_events.
    rejected: u64,
    /// Events of which a cost was rounded to 12 digits after the point.
    rounded: u64,
    /// Each line, in the order of the body.
    results: Vec<LineAnswer>,
}

impl From<IngestReport> for IngestAnswer {
    fn from(report: IngestReport) -> Self {
        Self {
            accepted: report.accepted,
            duplicate: report.duplicate,
            conflict: report.conflict,
            rejected: report.rejected,
            rounded: report.rounded,
            results: report.results.into_iter().map(LineAnswer::from).collect(),
        }
    }
}

impl From<LineResult> for LineAnswer {
    fn from(result: LineResult) -> Self {
        let (status, rejection) = match result.status {
            LineStatus::Accepted => ("accepted", None),
            LineStatus::Duplicate => ("duplicate", None),
            LineStatus::Conflict(rejection) => ("conflict", Some(rejection)),
            LineStatus::Rejected(rejection) => ("rejected", Some(rejection)),
        };
        let line = result.line;
        let message = rejection.as_ref().map(|why| format!("line {line}: {}", why.message()));
        let reason = rejection.as_ref().map(|why| why.reason.as_str());
        let (field, value, rule) = match rejection {
            Some(Rejection { field, value, rule, .. }) => (field, value, Some(rule)),
            None => (None, None, None),
        };
        let (event_id, rounded) = (result.event_id, result.rounded);
        Self { line, event_id, status, reason, field, value, rule, message, rounded }
    }
}

/// Stores usage events.
///
/// The body is one JSON object, an array of objects, or one object a line
/// (NDJSON), plain or compressed with gzip or zstd. Each line is judged by
/// itself. 200 says that every line was judged and every accepted event is
/// durable and visible; 422 that no line was stored, since each was refused.
#[utoipa::path(
    post,
    path = "/api/events",
    tag = "ingest",
    request_body(content = String, content_type = "application/x-ndjson", description = "Usage events"),
    responses(
        (status = 200, description = "Every line was judged", body = IngestAnswer),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Every line was refused", body = IngestAnswer),
        (status = 503, description = "Nothing was stored; send it again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post_events(
    State(door): State<Arc<IngestDoor>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let _memory = door.reserve(&headers)?;
    let bytes = door.body(&headers, body).await.map_err(too_large_as_413)?;
    let request_id = headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let report = door.ingest(bytes, request_id).await.map_err(too_large_as_413)?;
    count_events(&report);
    let refused = report.accepted + report.duplicate == 0;
    let status = if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, Json(IngestAnswer::from(report))).into_response())
}

/// Counts the verdicts for `/metrics`.
pub(super) fn count_events(report: &IngestReport) {
    for (status, count) in [
        ("accepted", report.accepted),
        ("duplicate", report.duplicate),
        ("conflict", report.conflict),
        ("rejected", report.rejected),
    ] {
        metrics::counter!("spendlake_events_total", "status" => status).increment(count);
    }
}

/// Every limit of this route is one of the body's size.
pub(super) fn too_large_as_413(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::LimitExceeded => Problem::body_too_large(error.to_string()),
        _ => Problem::from(error),
    }
}

/// How far a compressed body is expected to unfold, for reserving memory.
const UNFOLDING_EXPECTED: usize = 8;

impl IngestDoor {
    /// Reserves memory for a body before reading it: what it says of its
    /// length, or the most it may have.
    pub(super) fn reserve(&self, headers: &HeaderMap) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let factor = if compressed { UNFOLDING_EXPECTED } else { 1 };
        let bytes = declared.map_or(self.body_bytes_max, |bytes| bytes.saturating_mul(factor));
        let kib = bytes.min(self.body_bytes_max).div_ceil(1024);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX).clamp(1, self.memory_kib);
        self.memory.try_acquire_many(kib).map_err(|_| {
            Error::new(
                ErrorKind::Busy,
                "too many bodies are in memory (ingest_bytes_max); nothing of this one was stored: \
                 send it again",
            )
        })
    }
}
