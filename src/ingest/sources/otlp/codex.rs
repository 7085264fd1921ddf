//! Codex: the log event `codex.sse_event` of kind `response.completed`. Fields
//! and reasons: docs/sources/otlp.md.

use super::attribution::{attributed, content_id, set_time_of_log};
use super::record::Entry;
use super::usage::{Classes, Counts};
use crate::ingest::field::Field;
use crate::ingest::wire::WireEvent;

/// Reads `entry` when it carries the usage of an answer.
///
/// Codex sends two events of this kind for an answer: one for the message that
/// arrived, with its duration, and one with the usage. Only the latter counts.
pub(super) fn event<'a>(entry: &Entry<'_>) -> Option<WireEvent<'a>> {
    let completed = entry.text(&["event.kind"]) == Some("response.completed");
    if !completed || !entry.is_event("codex", "sse_event") {
        return None;
    }
    entry.text(&["input_token_count"])?;
    let mut wire = attributed("codex", entry);
    set_time_of_log(&mut wire, entry);
    set_ids(&mut wire, entry);
    if let Some(model) = entry.text(&["model"]) {
        wire.set_text(Field::ModelName, model);
    }
    wire.set_text(Field::Provider, "openai");
    let mut counts = Counts::default();
    let classes = classes(&mut counts, entry);
    counts.write(classes, &mut wire);
    Some(wire)
}

/// OpenAI's rule: cached tokens are inside the input, reasoning is inside the
/// output. `tool_token_count` is not read: Codex puts the call's total there.
fn classes(counts: &mut Counts, entry: &Entry<'_>) -> Classes {
    let mut count = |name, field| counts.read(entry, &[name], field);
    let classes = Classes {
        input: count("input_token_count", Field::InputTokens),
        cache_read: count("cached_token_count", Field::CacheReadTokens).unwrap_or(0),
        cache_write: count("cache_write_token_count", Field::CacheWriteTokens).unwrap_or(0),
        cache_write_1h: 0,
        output: count("output_token_count", Field::OutputTokens),
        reasoning: count("reasoning_token_count", Field::ReasoningTokens).unwrap_or(0),
    };
    classes.take_cache_out_of_input()
}

/// Codex names no response, so the content is the id.
fn set_ids(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    const CONTENT: [&str; 6] = [
        "conversation.id",
        "event.timestamp",
        "model",
        "input_token_count",
        "cached_token_count",
        "output_token_count",
    ];
    wire.set_text(Field::EventId, &content_id(entry, &CONTENT));
}
