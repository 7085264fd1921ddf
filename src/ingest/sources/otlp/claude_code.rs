//! Claude Code: the log event `claude_code.api_request`, one for each answered
//! call of the model. Fields and reasons: docs/sources/otlp.md.

use super::attribution::{attributed, content_id, set_cost, set_duration, set_time_of_log};
use super::record::Entry;
use super::usage::{Classes, Counts};
use crate::ingest::field::Field;
use crate::ingest::wire::WireEvent;

/// Reads `entry` when it is a call that was answered.
pub(super) fn event<'a>(entry: &Entry<'_>) -> Option<WireEvent<'a>> {
    if !entry.is_event("claude_code", "api_request") {
        return None;
    }
    let mut wire = attributed("claude-code", entry);
    set_time_of_log(&mut wire, entry);
    set_duration(&mut wire, entry, "duration_ms");
    set_ids(&mut wire, entry);
    if let Some(model) = entry.text(&["model"]) {
        wire.set_text(Field::ModelName, model);
        wire.set_text(Field::Provider, provider_of(model));
    }
    let mut counts = Counts::default();
    let classes = classes(&mut counts, entry);
    set_cost(&mut wire, entry.get("cost_usd"), &classes);
    counts.write(classes, &mut wire);
    Some(wire)
}

/// The API's usage block: input excludes what was cached. Cache writes are of
/// the five-minute class, except those stated as one-hour ones.
fn classes(counts: &mut Counts, entry: &Entry<'_>) -> Classes {
    const ONE_HOUR: [&str; 2] =
        ["cache_creation_1h_tokens", "cache_creation.ephemeral_1h_input_tokens"];
    let mut count = |names: &[&str], field| counts.read(entry, names, field);
    let written = count(&["cache_creation_tokens"], Field::CacheWriteTokens).unwrap_or(0);
    let one_hour = count(&ONE_HOUR, Field::CacheWrite1hTokens).unwrap_or(0);
    Classes {
        input: count(&["input_tokens"], Field::InputTokens),
        cache_read: count(&["cache_read_tokens"], Field::CacheReadTokens).unwrap_or(0),
        // The API's count of written tokens is the sum of both classes.
        cache_write: if written < one_hour { written } else { written - one_hour },
        cache_write_1h: one_hour,
        output: count(&["output_tokens"], Field::OutputTokens),
        reasoning: 0,
    }
}

/// The API's request id names the billed call. Without one (other providers,
/// older versions) the client's own id does, or else the content.
fn set_ids(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    const CONTENT: [&str; 8] = [
        "session.id",
        "event.sequence",
        "event.timestamp",
        "model",
        "input_tokens",
        "cache_read_tokens",
        "cache_creation_tokens",
        "output_tokens",
    ];
    if let Some(id) = entry.text(&["request_id"]) {
        wire.set_text(Field::RequestId, id);
    }
    let id = entry.text(&["request_id", "client_request_id"]).map(str::to_owned);
    wire.set_text(Field::EventId, &id.unwrap_or_else(|| content_id(entry, &CONTENT)));
}

/// Who serves the model: no attribute says it, but the providers spell the
/// model's name in their own ways.
fn provider_of(model: &str) -> &'static str {
    if model.contains("anthropic.") {
        "bedrock"
    } else if model.contains('@') {
        "google_vertex"
    } else {
        "anthropic"
    }
}
