//! Gemini CLI: the log event `gemini_cli.api_response`. Fields and reasons:
//! docs/sources/otlp.md.

use super::attribution::{attributed, content_id, set_duration, set_time_of_log};
use super::record::Entry;
use super::usage::{Classes, Counts};
use crate::ingest::field::Field;
use crate::ingest::wire::WireEvent;

/// Reads `entry` when it is an answer of the model. The same call also sends
/// `gen_ai.client.inference.operation.details`, which is not counted again.
pub(super) fn event<'a>(entry: &Entry<'_>) -> Option<WireEvent<'a>> {
    if !entry.is_event("gemini_cli", "api_response") {
        return None;
    }
    let mut wire = attributed("gemini-cli", entry);
    set_time_of_log(&mut wire, entry);
    set_duration(&mut wire, entry, "duration_ms");
    set_ids(&mut wire, entry);
    if let Some(model) = entry.text(&["model"]) {
        wire.set_text(Field::ModelName, model);
    }
    let vertex = entry.text(&["auth_type"]) == Some("vertex-ai");
    wire.set_text(Field::Provider, if vertex { "google_vertex" } else { "google" });
    let mut counts = Counts::default();
    let classes = classes(&mut counts, entry);
    counts.write(classes, &mut wire);
    Some(wire)
}

/// Gemini's rule: total = prompt + tool prompt + candidates + thoughts. The
/// cached tokens are inside the prompt; the thoughts are beside the candidates
/// and cost what output costs.
fn classes(counts: &mut Counts, entry: &Entry<'_>) -> Classes {
    let mut count = |name, field| counts.read(entry, &[name], field);
    let prompt = count("input_token_count", Field::InputTokens);
    let tool_prompt = count("tool_token_count", Field::InputTokens).unwrap_or(0);
    let candidates = count("output_token_count", Field::OutputTokens);
    let thoughts = count("thoughts_token_count", Field::ReasoningTokens).unwrap_or(0);
    let cached = count("cached_content_token_count", Field::CacheReadTokens).unwrap_or(0);
    let classes = Classes {
        input: prompt,
        cache_read: cached,
        output: candidates.map(|candidates| candidates.saturating_add(thoughts)),
        reasoning: thoughts,
        ..Classes::default()
    };
    let mut classes = classes.take_cache_out_of_input();
    classes.input = classes.input.map(|input| input.saturating_add(tool_prompt));
    classes
}

/// The event names no response, so the content is the id.
fn set_ids(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    const CONTENT: [&str; 8] = [
        "session.id",
        "prompt_id",
        "event.timestamp",
        "model",
        "duration_ms",
        "input_token_count",
        "output_token_count",
        "thoughts_token_count",
    ];
    wire.set_text(Field::EventId, &content_id(entry, &CONTENT));
}
