//! Spans by the GenAI semantic conventions, old and new names. Fields and
//! reasons: docs/sources/otlp.md.

use super::attribution::{attributed, set_cost, set_time};
use super::record::{Entry, Span, Value};
use super::usage::{Classes, Counts};
use crate::ingest::field::Field;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::sources::answer_id::is_unique;
use crate::ingest::wire::WireEvent;

/// Operations that are one call of a model. Everything else (`invoke_agent`,
/// `execute_tool`, workflows) is a parent that carries the sums of its calls,
/// or no call at all.
const MODEL_OPERATIONS: [&str; 8] = [
    "chat",
    "completion",
    "embedding",
    "embeddings",
    "generate_content",
    "responses",
    "text_completion",
    "rerank",
];

/// Tools whose log events count their calls already; their spans would count
/// them twice. Codex has a name for each of its programs.
const COUNTED_BY_LOGS: [&str; 9] = [
    "claude_code",
    "codex",
    "codex_app_server",
    "codex_cli",
    "codex_cli_rs",
    "codex_exec",
    "codex_tui",
    "codex_vscode",
    "gemini_cli",
];

const INPUT: [&str; 2] = ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
const OUTPUT: [&str; 2] = ["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"];
const CACHE_READ: [&str; 5] = [
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.input_cached_tokens",
    "gen_ai.usage.input_tokens.cached",
];
const CACHE_WRITE: [&str; 5] = [
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.input_tokens.cache_write",
];
const REASONING: [&str; 3] = [
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
];

/// Reads `entry` when it is one call of a model that used tokens.
pub(super) fn event<'a>(entry: &Entry<'_>) -> Option<Result<WireEvent<'a>, Rejection>> {
    let span = entry.record.span.as_ref()?;
    if !is_model_call(entry, span) || COUNTED_BY_LOGS.iter().any(|tool| entry.is_from(tool)) {
        return None;
    }
    let mut counts = Counts::default();
    let classes = classes(&mut counts, entry, span);
    if span.failed && classes.input.is_none() && !classes.is_any() {
        // The call failed before it used anything.
        return None;
    }
    if !is_id(&span.trace_id, 32) || !is_id(&span.span_id, 16) {
        return Some(Err(Rejection::of_line(
            RejectReason::InvalidValue,
            "the span's trace id or span id is not 16 or 8 bytes other than zero; without them a \
             span that is sent again would be counted again",
        )));
    }
    let mut wire = attributed("gen-ai", entry);
    set_facts(&mut wire, entry, span);
    set_cost(&mut wire, cost(entry), &classes);
    counts.write(classes, &mut wire);
    Some(Ok(wire))
}

/// Whether the span is one call of a model. Instrumentations from before the
/// operation's name say `llm.request.type`, or mark only the kind CLIENT.
fn is_model_call(entry: &Entry<'_>, span: &Span) -> bool {
    let attributes = &entry.record.attributes;
    let operation = attributes.text("gen_ai.operation.name");
    match operation.or_else(|| attributes.text("llm.request.type")) {
        Some(operation) => MODEL_OPERATIONS.contains(&operation),
        None => span.client && INPUT.iter().any(|name| attributes.get(name).is_some()),
    }
}

/// The conventions' rule: cached tokens are inside the input, reasoning is
/// inside the output. Sources that break it show by a part that is larger than
/// its whole.
fn classes(counts: &mut Counts, entry: &Entry<'_>, span: &Span) -> Classes {
    let mut count = |names: &[&str], field| counts.read(entry, names, field);
    let mut classes = Classes {
        input: count(&INPUT, Field::InputTokens),
        cache_read: count(&CACHE_READ, Field::CacheReadTokens).unwrap_or(0),
        cache_write: count(&CACHE_WRITE, Field::CacheWriteTokens).unwrap_or(0),
        cache_write_1h: 0,
        output: count(&OUTPUT, Field::OutputTokens),
        reasoning: count(&REASONING, Field::ReasoningTokens).unwrap_or(0),
    };
    // Embeddings have no output, and a call that failed may have had none.
    let operation = entry.text(&["gen_ai.operation.name", "llm.request.type"]);
    let without_output = matches!(operation, Some("embeddings" | "embedding" | "rerank"));
    if classes.output.is_none() && (without_output || span.failed) {
        classes.output = Some(0);
    }
    classes.take_cache_out_of_input().put_reasoning_into_output()
}

fn set_facts(wire: &mut WireEvent<'_>, entry: &Entry<'_>, span: &Span) {
    wire.set_text(Field::EventId, &format!("{}{}", span.trace_id, span.span_id));
    for (field, names) in [
        (Field::ConversationId, ["gen_ai.conversation.id"].as_slice()),
        // What answered is what is billed.
        (Field::ModelName, &["gen_ai.response.model", "gen_ai.request.model"]),
    ] {
        if let Some(text) = entry.text(names) {
            wire.set_text(field, text);
        }
    }
    if let Some(id) = entry.text(&["gen_ai.response.id"]).filter(|id| is_unique(id)) {
        wire.set_text(Field::RequestId, id);
    }
    if let Some(provider) = entry.text(&["gen_ai.provider.name", "gen_ai.system"]) {
        wire.set_text(Field::Provider, &provider_of(provider));
    }
    wire.set_text(Field::Status, if span.failed { "failed" } else { "completed" });
    set_time(wire, entry.record.time_unix_nano);
    let nanos = span.end_unix_nano.checked_sub(entry.record.time_unix_nano);
    if let Some(nanos) = nanos.filter(|_| entry.record.time_unix_nano > 0) {
        wire.set(Field::DurationMs, (nanos / 1_000_000).to_string());
    }
}

/// The cost that the span states. Its currency must be the one that all our
/// amounts are in; another one is left to the price book.
fn cost<'r>(entry: &Entry<'r>) -> Option<&'r Value> {
    let currency = entry.text(&["gen_ai.usage.cost.currency"]);
    if currency.is_some_and(|currency| !currency.eq_ignore_ascii_case("USD")) {
        return None;
    }
    entry.get("gen_ai.usage.cost.amount").or_else(|| entry.get("gen_ai.usage.cost"))
}

/// The price book's name of a provider. One that it does not know is kept.
fn provider_of(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let known = match lower.as_str() {
        "openai" => "openai",
        "anthropic" => "anthropic",
        "gcp.gemini" | "gcp.gen_ai" | "gemini" | "google" | "google_genai" => "google",
        "gcp.vertex_ai" | "vertex_ai" | "vertexai" => "google_vertex",
        "aws.bedrock" | "aws_bedrock" | "bedrock" => "bedrock",
        "azure.ai.openai" | "az.ai.openai" | "azure.ai.inference" | "az.ai.inference" | "azure" => {
            "azure"
        }
        "mistral_ai" | "mistralai" | "mistral" => "mistral",
        "x_ai" | "xai" => "xai",
        "cohere" => "cohere",
        "deepseek" => "deepseek",
        "groq" => "groq",
        "perplexity" => "perplexity",
        _ => return name.to_owned(),
    };
    known.to_owned()
}

fn is_id(hexadecimal: &str, digits: usize) -> bool {
    hexadecimal.len() == digits
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
        && hexadecimal.bytes().any(|byte| byte != b'0')
}
