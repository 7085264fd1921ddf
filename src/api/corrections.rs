//! Corrections of stored events: void and replace.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::caller::Caller;
use super::json_body::read_json;
use super::problem::Problem;
use crate::corrections::{
    Corrector, ReplaceReport, ReplaceResult, ReplaceStatus, VoidReport, VoidResult, VoidStatus,
};
use crate::ingest::Payload;
use crate::query::EventName;

/// Events that should not count, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoidRequest {
    /// The events, at most 10,000.
    events: Vec<EventReference>,
    /// Why, in a few words; kept with the correction.
    #[schema(example = "a load test, not real usage")]
    reason: String,
}

/// The identity of a stored event.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventReference {
    /// The organization, a UUID.
    #[schema(value_type = String, format = "uuid")]
    organization_id: uuid::Uuid,
    /// The source it was recorded under; `api` where the event named none.
    #[serde(default = "source_default")]
    source: String,
    /// The sender's identifier.
    event_id: String,
}

fn source_default() -> String {
    "api".to_owned()
}

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VoidAnswer {
    /// Names the correction: `correction_id` in usage_events. Null when
    /// nothing changed.
    correction_id: Option<String>,
    /// Events that counted until now.
    voided: usize,
    /// Events that had been voided before.
    already_void: usize,
    /// Events that were never stored.
    not_found: usize,
    /// Each event, in the order of asking.
    results: Vec<VoidLine>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
struct VoidLine {
    organization_id: String,
    source: String,
    event_id: String,
    /// voided, already_void or not_found.
    status: &'static str,
}

impl From<VoidReport> for VoidAnswer {
    fn from(report: VoidReport) -> Self {
        let count = |status| report.results.iter().filter(|one| one.status == status).count();
        Self {
            voided: count(VoidStatus::Voided),
            already_void: count(VoidStatus::AlreadyVoid),
            not_found: count(VoidStatus::NotFound),
            correction_id: report.correction_id,
            results: report.results.into_iter().map(VoidLine::from).collect(),
        }
    }
}

impl From<VoidResult> for VoidLine {
    fn from(result: VoidResult) -> Self {
        let EventName { organization_id, source, event_id } = result.event;
        let status = match result.status {
            VoidStatus::Voided => "voided",
            VoidStatus::AlreadyVoid => "already_void",
            VoidStatus::NotFound => "not_found",
        };
        Self { organization_id, source, event_id, status }
    }
}

/// Takes events back.
///
/// Each event's measures leave every sum by a reversal row; the event itself
/// stays readable. All of them leave in one step, or none. Voiding an event
/// again changes nothing, and a resend of a voided event is a duplicate.
#[utoipa::path(
    post, path = "/api/events/void", tag = "corrections", request_body = VoidRequest,
    responses(
        (status = 200, body = VoidAnswer),
        (status = 400, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn void_events(
    State(corrector): State<Arc<Corrector>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<VoidAnswer>, Problem> {
    let example = r#"{"reason": "a load test", "events": [{"organization_id": "…", "source": "gateway", "event_id": "…"}]}"#;
    let request: VoidRequest = read_json(&headers, body, example)?;
    let events = request.events.into_iter().map(|event| EventName {
        organization_id: event.organization_id.hyphenated().to_string(),
        source: event.source,
        event_id: event.event_id,
    });
    let events: Vec<EventName> = events.collect();
    let managed = caller.managed();
    let own = events.iter().filter(|event| managed.reads_whole(&event.organization_id));
    let corrector = corrector.acting_for(caller.actor());
    let mut report = corrector.void(own.cloned().collect(), &request.reason).await?;
    // Whether others have such an event is not for the caller to know.
    let mut results = report.results.into_iter();
    let result = |event: EventName| match managed.reads_whole(&event.organization_id) {
        true => results.next().unwrap_or(VoidResult { event, status: VoidStatus::NotFound }),
        false => VoidResult { event, status: VoidStatus::NotFound },
    };
    report.results = events.into_iter().map(result).collect();
    Ok(Json(report.into()))
}

/// Events with their right content, and why they change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceRequest {
    /// The events as `POST /api/events` takes them, at most 10,000.
    #[schema(value_type = Vec<Object>)]
    events: Box<RawValue>,
    /// Why, in a few words; kept with the correction.
    #[schema(example = "the gateway reported the wrong model")]
    reason: String,
}

/// What became of the replacements.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplaceAnswer {
    /// Names the correction: `correction_id` in usage_events. Null when
    /// nothing changed.
    correction_id: Option<String>,
    /// Each event, in the order of the body.
    results: Vec<ReplaceLine>,
}

/// What became of one replacement.
#[derive(Debug, Serialize, ToSchema)]
struct ReplaceLine {
    /// Element of `events`, from 1.
    line: u64,
    /// The event's id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// replaced, restored (it had been voided), unchanged, sighting (another
    /// event of its request counts), not_found or rejected.
    status: &'static str,
    /// The rule that a rejected one breaks, and the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<ReplaceReport> for ReplaceAnswer {
    fn from(report: ReplaceReport) -> Self {
        let results = report.results.into_iter().map(ReplaceLine::from).collect();
        Self { correction_id: report.correction_id, results }
    }
}

impl From<ReplaceResult> for ReplaceLine {
    fn from(result: ReplaceResult) -> Self {
        let (status, message) = match &result.status {
            ReplaceStatus::Replaced => ("replaced", None),
            ReplaceStatus::Restored => ("restored", None),
            ReplaceStatus::Unchanged => ("unchanged", None),
            ReplaceStatus::Sighting => ("sighting", None),
            ReplaceStatus::NotFound => ("not_found", None),
            ReplaceStatus::Rejected(why) => ("rejected", Some(why.message())),
        };
        let message = message.map(|message| format!("line {}: {message}", result.line));
        Self { line: result.line, event_id: result.event_id, status, message }
    }
}

/// Gives stored events other content.
///
/// Each event of the body names a stored one by organization, source and
/// event id: a reversal takes the stored one back, and the new content counts
/// in its place. All of them change in one step, or none; sending the same
/// again changes nothing. A voided event counts again.
#[utoipa::path(
    post, path = "/api/events/replace", tag = "corrections", request_body = ReplaceRequest,
    responses(
        (status = 200, body = ReplaceAnswer),
        (status = 400, body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn replace_events(
    State(corrector): State<Arc<Corrector>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ReplaceAnswer>, Problem> {
    let example = r#"{"reason": "wrong model", "events": [{"event_id": "…", …}]}"#;
    let request: ReplaceRequest = read_json(&headers, body, example)?;
    let writes = caller.managed();
    let payload = Payload { writes: &writes, ..Payload::native(request.events.get().as_bytes()) };
    let report = corrector.acting_for(caller.actor()).replace(payload, &request.reason).await?;
    Ok(Json(report.into()))
}
