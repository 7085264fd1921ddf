//! `POST /api/events` and the routes of the sources: bytes in, one verdict per
//! line out.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::admission::{Admission, AdmittedBody, Sender};
use super::caller::Caller;
use super::cloud_events;
use super::problem::Problem;
use crate::access::{Permission, Reach};
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Registrar;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::{IngestReport, LineResult, LineStatus, Store};
use crate::ingest::{Intake, Payload, Rejection, SourceFormat, organization_id_of};
use crate::model::Winner;

/// Everything that a body passes on its way to being stored.
#[derive(Debug)]
pub struct IngestDoor {
    intake: Arc<Intake>,
    /// Empty while the log is being replayed.
    pub(super) store: Arc<OnceLock<Arc<Store>>>,
    registrar: Arc<OnceLock<Registrar>>,
    pub(super) clock: Arc<dyn Clock>,
    admission: Admission,
    /// The organization of events that name none, when their request does not
    /// name one either.
    organization_default: Option<String>,
}

/// A body on its way in, and what its request says.
#[derive(Debug)]
pub struct Incoming {
    /// How to read the body.
    pub format: SourceFormat,
    /// The events.
    pub body: AdmittedBody,
    /// The organization (a UUID) of events that name none.
    pub organization_id: Option<String>,
    /// See [`Payload::attributes`].
    pub attributes: Vec<(String, String)>,
    /// The organizations that the sender may write for.
    pub writes: Reach,
}

impl Incoming {
    /// A body with our own fields that came by no request.
    pub fn native(body: Bytes) -> Self {
        let (organization_id, attributes) = (None, Vec::new());
        let (body, writes) = (AdmittedBody::local(body), Reach::Everything);
        Self { format: SourceFormat::Native, body, organization_id, attributes, writes }
    }
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
        let organization = &config.organization_default;
        let organization_default = (!organization.is_empty()).then(|| organization.clone());
        let admission = Admission::new(config);
        Self { intake, store, registrar, clock, admission, organization_default }
    }

    /// Stores the valid events of a body. When this returns, what it reports as
    /// accepted is durable and in the next query. A body without any event is
    /// reported with no lines.
    pub async fn ingest(
        self: &Arc<Self>,
        incoming: Incoming,
        request_id: String,
    ) -> Result<IngestReport> {
        let store = Arc::clone(self.store.get().ok_or_else(not_ready)?);
        let door = Arc::clone(self);
        let now = self.clock.now();
        // The memory is held until the answer: what is made of a body is larger.
        let AdmittedBody { bytes, sender, memory: _memory } = incoming.body;
        // Parsing a large body takes milliseconds; the workers stay free.
        let prepared = tokio::task::spawn_blocking(move || {
            // A sender of one organization needs no default.
            let default = door.organization_default.as_deref();
            let default = default.filter(|id| incoming.writes.reads_whole(id));
            let payload = Payload {
                format: incoming.format,
                body: &bytes,
                organization_id: incoming.organization_id.as_deref().or(default),
                attributes: &incoming.attributes,
                writes: &incoming.writes,
            };
            door.intake.prepare(payload, now)
        });
        let mut prepared = prepared.await.internal("reading events")??;
        if prepared.lines.is_empty() {
            return Ok(IngestReport::default());
        }
        self.admission.take_events(sender.as_ref(), prepared.lines.len(), now)?;
        let sightings = std::mem::take(&mut prepared.sightings);
        let report = store.ingest(prepared, request_id, now).await?;
        // Stored without the directory; what it does not know it may learn now.
        if let Some(registrar) = self.registrar.get() {
            registrar.see(sightings);
        }
        Ok(report)
    }

    /// Reads a request's body within the limits.
    pub(super) async fn body(
        &self,
        sender: Sender,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<AdmittedBody> {
        self.admission.read(sender, headers, body, self.clock.now()).await
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
    /// accepted, duplicate, sighting, conflict or rejected.
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
    /// Events of requests (of models) that another event counts for; kept in
    /// the table sightings.
    sighting: u64,
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
            sighting: report.sighting,
            conflict: report.conflict,
            rejected: report.rejected,
            rounded: report.rounded,
            results: report.results.into_iter().map(LineAnswer::from).collect(),
        }
    }
}

impl From<LineResult> for LineAnswer {
    fn from(result: LineResult) -> Self {
        let mut winner = None;
        let (status, rejection) = match result.status {
            LineStatus::Accepted => ("accepted", None),
            LineStatus::Duplicate => ("duplicate", None),
            LineStatus::Sighting(counts) => {
                winner = Some(counts);
                ("sighting", None)
            }
            LineStatus::Conflict(rejection) => ("conflict", Some(rejection)),
            LineStatus::Rejected(rejection) => ("rejected", Some(rejection)),
        };
        let line = result.line;
        let message = rejection.as_ref().map(|why| format!("line {line}: {}", why.message()));
        let message = message.or(winner.map(|Winner { source, event_id }| {
            format!(
                "line {line}: its request is counted by event {event_id:?} of source {source:?}"
            )
        }));
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
/// (NDJSON), plain or compressed with gzip or zstd; or CloudEvents 1.0 in
/// structured (`application/cloudevents+json`), batched
/// (`application/cloudevents-batch+json`) or binary mode (`ce-…` headers). Each
/// line is judged by itself. 200 says that every line was judged and every
/// accepted event is durable and visible; 422 that no line was stored, since
/// each was refused.
#[utoipa::path(
    post,
    path = "/api/events",
    tag = "ingest",
    params(("x-spendlake-organization" = Option<String>, Header, description = "Organization (a UUID) of events that name none")),
    request_body(content = String, content_type = "application/x-ndjson", description = "Usage events"),
    responses(
        (status = 200, description = "Every line was judged", body = IngestAnswer),
        (status = 400, description = "The body cannot be read", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "A CloudEvents format that is not read", body = Problem),
        (status = 422, description = "Every line was refused", body = IngestAnswer),
        (status = 429, description = "This sender sends too much; nothing was stored", body = Problem),
        (status = 503, description = "Nothing was stored; send it again later", body = Problem),
    )
)]
pub(super) async fn post_events(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (format, attributes) = cloud_events::format_of(&headers)?;
    take(&door, (sender, caller), &headers, body, format, attributes).await
}

/// Stores calls that a LiteLLM proxy logs.
///
/// The body is what LiteLLM's `generic_api` callback sends: an array of
/// StandardLoggingPayload objects, one object a line, or a single object.
/// Messages and responses in it are passed over unread. Answers like
/// `/api/events`.
#[utoipa::path(
    post,
    path = "/api/integrations/litellm",
    tag = "ingest",
    params(("x-spendlake-organization" = Option<String>, Header, description = "Organization (a UUID, or a name) of calls whose key has none")),
    request_body(content = String, content_type = "application/json", description = "StandardLoggingPayload objects"),
    responses(
        (status = 200, description = "Every call was judged", body = IngestAnswer),
        (status = 400, description = "The body cannot be read", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 422, description = "Every call was refused", body = IngestAnswer),
        (status = 429, description = "This sender sends too much; nothing was stored", body = Problem),
        (status = 503, description = "Nothing was stored; send it again later", body = Problem),
    )
)]
pub(super) async fn post_litellm(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    take(&door, (sender, caller), &headers, body, SourceFormat::LiteLlm, Vec::new()).await
}

/// Reads a request's body, stores its events and answers with the verdicts.
async fn take(
    door: &Arc<IngestDoor>,
    (sender, Caller(caller)): (Sender, Caller),
    headers: &HeaderMap,
    body: Body,
    format: SourceFormat,
    attributes: Vec<(String, String)>,
) -> Result<Response, Problem> {
    let organization_id = organization_header(headers, format)?;
    let body = door.body(sender, headers, body).await.map_err(too_large_as_413)?;
    let request_id = headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let writes = caller.reach(Permission::WriteEvents);
    let incoming = Incoming { format, body, organization_id, attributes, writes };
    let report = door.ingest(incoming, request_id).await.map_err(too_large_as_413)?;
    count_events(&report);
    // An empty batch of a source that sends such was judged, and well.
    let kept = report.accepted + report.duplicate + report.sighting;
    let refused = !report.results.is_empty() && kept == 0;
    let status = if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, Json(IngestAnswer::from(report))).into_response())
}

/// Counts the verdicts for `/metrics`.
pub(super) fn count_events(report: &IngestReport) {
    for (status, count) in [
        ("accepted", report.accepted),
        ("duplicate", report.duplicate),
        ("sighting", report.sighting),
        ("conflict", report.conflict),
        ("rejected", report.rejected),
    ] {
        metrics::counter!("spendlake_events_total", "status" => status).increment(count);
    }
}

/// The header that names the organization of events that name none.
pub(super) const ORGANIZATION_HEADER: &str = "x-spendlake-organization";

/// The organization that the request's header names: as events of the same
/// format name theirs. Our own are UUIDs; what the other sources know by a word
/// always becomes the same UUID.
pub(super) fn organization_header(
    headers: &HeaderMap,
    format: SourceFormat,
) -> Result<Option<String>> {
    let Some(value) = headers.get(ORGANIZATION_HEADER) else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    let id = text.and_then(|text| match format.takes_organization_names() {
        true => Some(organization_id_of(text)),
        false => uuid::Uuid::try_parse(text).ok().map(|id| id.hyphenated().to_string()),
    });
    id.map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "the header {ORGANIZATION_HEADER} is {value:?}; it must be the UUID of the \
             organization; nothing of the request was stored"
        ))
    })
}

/// Every limit of this route is one of the body's size.
pub(super) fn too_large_as_413(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::LimitExceeded => Problem::body_too_large(error.to_string()),
        _ => Problem::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &'static str, format: SourceFormat) -> Result<Option<String>> {
        let mut headers = HeaderMap::new();
        headers.insert(ORGANIZATION_HEADER, axum::http::HeaderValue::from_static(value));
        organization_header(&headers, format)
    }

    #[test]
    fn the_organization_header_of_our_own_events_is_a_uuid_as_theirs_is() {
        let native = SourceFormat::Native;
        assert_eq!(organization_header(&HeaderMap::new(), native).expect("none"), None);
        let id = header("0190A3C2-7B1E-7C00-8000-000000000001", native).expect("a UUID");
        assert_eq!(id.as_deref(), Some("0190a3c2-7b1e-7c00-8000-000000000001"));
        for format in [native, SourceFormat::CloudEvents, SourceFormat::CloudEventBinary] {
            let error = header("acme", format).expect_err("refused");
            assert!(error.to_string().contains("\"acme\"; it must be the UUID"), "{error}");
        }
    }

    #[test]
    fn the_organization_header_of_other_sources_may_be_a_name() {
        let logs = SourceFormat::OtlpLogs(crate::ingest::OtlpEncoding::Json);
        for format in [logs, SourceFormat::LiteLlm] {
            let id = header(" acme ", format).expect("a name");
            assert_eq!(id, Some(organization_id_of("acme")));
            assert!(header(" ", format).is_err());
        }
    }
}
