//! What holds for every adapter.

mod cached_tokens;
mod fuzz;
mod privacy;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::SourceFormat;
use super::claude_code_transcript::TranscriptCall;
use crate::config::Config;
use crate::directory::SharedDirectory;
use crate::ingest::{Intake, IntakeLimits, Payload, PreparedRequest};
use crate::pricing::PriceBook;

pub(super) const ORGANIZATION: &str = "0190a3c2-7b1e-7c00-8000-000000000001";

pub(super) fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

/// An intake that knows no directory.
fn intake(prices: Arc<PriceBook>) -> Intake {
    let limits = IntakeLimits::from(&Config::default());
    Intake::new(SharedDirectory::default(), prices, limits)
}

/// Judges a payload as the server would; `prices` is a price list.
pub(super) fn prepare_with(prices: &str, payload: Payload<'_>) -> PreparedRequest {
    let book = PriceBook::parse("test", prices).expect("a price list");
    let prepared = intake(Arc::new(book)).prepare(payload, noon());
    prepared.expect("a payload that can be taken apart")
}

/// The same, with the prices of two models.
pub(super) fn prepare(format: SourceFormat, body: &[u8]) -> PreparedRequest {
    let payload = Payload { organization_id: Some(ORGANIZATION), ..Payload::new(format, body) };
    prepare_with(PRICES, payload)
}

const PRICES: &str = "\
provider,model,valid_from,valid_to,input_usd_per_mtok,cache_read_usd_per_mtok,cache_write_usd_per_mtok,cache_write_1h_usd_per_mtok,output_usd_per_mtok,reasoning_usd_per_mtok
openai,gpt-4o,,,2.5,1.25,,,10,
anthropic,claude-sonnet-4-5,,,3,0.3,3.75,6,15,
";

/// A CloudEvent around `data`.
pub(super) fn cloud_event(data: Value) -> Value {
    json!({"specversion": "1.0", "id": "c1", "source": "gateway", "type": "spendlake.usage",
        "time": "2026-11-24T09:00:00Z", "subject": "ada", "data": data})
}

/// What LiteLLM 1.106.2 posts of a call, as recorded from a running proxy;
/// only what no adapter reads is shortened.
pub(super) fn litellm_payload() -> Value {
    serde_json::from_str(include_str!("tests/litellm_payload.json")).expect("JSON")
}

/// A line of a transcript with this usage.
pub(super) fn transcript_line(model: &str, usage: &Value) -> Value {
    json!({"parentUuid": "p1", "isSidechain": false, "cwd": "/home/ada/web", "version": "2.1.0",
        "sessionId": "s1", "type": "assistant", "requestId": "req_1", "uuid": "u1",
        "timestamp": "2026-11-24T09:00:00.250Z", "gitBranch": "main",
        "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": "hello"}], "stop_reason": null, "usage": usage}})
}

/// Our own fields of the call that a transcript's line tells of.
pub(super) fn transcript_json(line: &Value) -> Option<String> {
    let call = TranscriptCall::read(line.to_string().as_bytes()).expect("a readable line");
    call.map(TranscriptCall::to_json)
}
