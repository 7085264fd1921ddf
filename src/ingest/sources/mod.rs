//! Adapters: the payload of each source → drafts of events, in one order and
//! by pure functions. What a draft says is judged by the same rules, whatever
//! source it came from.

mod answer_id;
pub(super) mod claude_code_transcript;
mod cloud_events;
mod litellm;
mod native;
mod object;
mod otlp;
mod tags;
mod usage;

#[cfg(test)]
mod tests;

use serde_json::error::Category;

use super::field::Field;
use super::prepare::{IntakeLimits, Payload};
use super::rejected::{RejectReason, Rejection};
use super::wire::WireEvent;
use crate::error::Result;
use crate::model::TokenCounts;

pub use otlp::OtlpEncoding;

/// The format of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// Our own fields: one object, an array, or one object a line.
    Native,
    /// An OTLP export of log records.
    OtlpLogs(OtlpEncoding),
    /// An OTLP export of spans.
    OtlpTraces(OtlpEncoding),
    /// An OTLP export of metrics, of which none is stored.
    OtlpMetrics(OtlpEncoding),
    /// CloudEvents with their envelope in the body: one, or an array.
    CloudEvents,
    /// One CloudEvent with its envelope in [`Payload::attributes`].
    CloudEventBinary,
    /// LiteLLM's `StandardLoggingPayload`: one object, an array, or one object
    /// a line.
    LiteLlm,
}

/// One event that an adapter found in a payload.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Where it stands: a line or an element, from 1.
    pub(super) number: u64,
    /// What it says, or why it cannot be read.
    pub(super) event: std::result::Result<WireEvent<'a>, Rejection>,
}

impl SourceFormat {
    /// Whether an organization may be named by a word: see
    /// [`organization_id_of`].
    pub fn takes_organization_names(self) -> bool {
        match self {
            Self::Native | Self::CloudEvents | Self::CloudEventBinary => false,
            Self::OtlpLogs(_) | Self::OtlpTraces(_) | Self::OtlpMetrics(_) | Self::LiteLlm => true,
        }
    }

    /// The drafts of a payload; of one that holds too many events only a few
    /// more than `limits` allow. Fails as a whole only when the payload cannot
    /// be taken apart at all; a payload without any event has no drafts.
    pub(super) fn drafts<'a>(
        self,
        payload: &Payload<'a>,
        limits: &IntakeLimits,
    ) -> Result<Vec<Draft<'a>>> {
        let body = payload.body;
        match self {
            Self::Native => Ok(native::drafts(body, limits)),
            Self::OtlpLogs(encoding) => otlp::logs(body, encoding, limits),
            Self::OtlpTraces(encoding) => otlp::traces(body, encoding, limits),
            Self::OtlpMetrics(encoding) => otlp::metrics(body, encoding),
            Self::CloudEvents => Ok(cloud_events::structured(body, limits)),
            Self::CloudEventBinary => Ok(cloud_events::binary(body, payload.attributes, limits)),
            Self::LiteLlm => Ok(litellm::drafts(body, limits)),
        }
    }
}

/// Names organizations that a source knows by a word instead of a UUID.
const ORGANIZATION_NAMESPACE: uuid::Uuid = uuid::uuid!("5f0c6b1e-3c1d-5b58-9a53-7b0f3a6f0c11");

/// The organization that a source calls `name`: itself when it is a UUID, else
/// the name-based UUID (RFC 9562, version 5) of the name, always the same.
pub fn organization_id_of(name: &str) -> String {
    let id = uuid::Uuid::try_parse(name);
    id.unwrap_or_else(|_| uuid::Uuid::new_v5(&ORGANIZATION_NAMESPACE, name.as_bytes()))
        .hyphenated()
        .to_string()
}

/// Gives `event` every class of `tokens`.
fn set_tokens(event: &mut WireEvent<'_>, tokens: &TokenCounts) {
    for (field, count) in [
        (Field::InputTokens, tokens.input),
        (Field::CacheReadTokens, tokens.cache_read),
        (Field::CacheWriteTokens, tokens.cache_write),
        (Field::CacheWrite1hTokens, tokens.cache_write_1h),
        (Field::OutputTokens, tokens.output),
        (Field::ReasoningTokens, tokens.reasoning),
    ] {
        event.set(field, count.to_string());
    }
}

/// The rejection of a text that is no JSON object at all.
fn not_an_object(text: &[u8], error: &serde_json::Error) -> Rejection {
    not_json(text, error, "a JSON object")
}

/// The rejection of a text that is not `expected`. It quotes nothing of the
/// text, which may be a prompt: the library's message does where a value has
/// the wrong kind.
fn not_json(text: &[u8], error: &serde_json::Error, expected: &str) -> Rejection {
    let column = error.column();
    let rule = if std::str::from_utf8(text).is_err() {
        "the event is not valid UTF-8; JSON must be sent as UTF-8".to_owned()
    } else if error.classify() == Category::Data {
        format!("another JSON value stands there; expected {expected}, at character {column}")
    } else {
        // The library appends the position, which names a line of its own.
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        format!("not {expected}: {problem} at character {column}")
    };
    Rejection::of_line(RejectReason::InvalidJson, rule)
}
