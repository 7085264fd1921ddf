//! The cached-token rules: which count contains which, by source, and what the
//! call then costs by the provider's own rule. Expected values are worked by
//! hand from the price list 2026-11-23, in USD per million tokens:
//! claude-sonnet-4-5: input 3, read 0.3, write 3.75, one-hour write 6, output 15;
//! gpt-5-codex and gemini-2.5-pro: input 1.25, read 0.125, output 10;
//! gpt-4o: input 2.5, read 1.25, output 10.

use serde_json::{Value, json};

use super::{JSON_LOGS, JSON_TRACES, log, only_event, prepared, span};
use crate::ingest::SourceFormat;

/// Input, cache read, cache write, one-hour write, output, reasoning; cost.
type Expected = ([i64; 6], &'static str);

fn check(format: SourceFormat, body: &[u8], (classes, cost): Expected) {
    let event = only_event(prepared(format, body));
    let tokens = event.tokens;
    let found = [
        tokens.input,
        tokens.cache_read,
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.output,
        tokens.reasoning,
    ];
    let said = String::from_utf8_lossy(body);
    assert_eq!(found, classes, "{said}");
    assert_eq!(event.actual_api_cost.map(|cost| cost.to_string()).as_deref(), Some(cost), "{said}");
}

fn with(base: &Value, changes: &Value) -> Value {
    let mut merged = base.clone();
    for (name, value) in changes.as_object().expect("an object") {
        merged[name] = value.clone();
    }
    merged
}

#[test]
fn claude_code_counts_cached_tokens_beside_the_input() {
    let base = json!({
        "event.name": "claude_code.api_request", "session.id": "s",
        "model": "claude-sonnet-4-5-20250929",
    });
    for (changes, expected) in [
        // 12 × 3 + 20000 × 0.3 + 1500 × 3.75 + 345 × 15 = 36 + 6000 + 5625 + 5175 = 16836
        (
            json!({"input_tokens": 12, "cache_read_tokens": 20_000,
                   "cache_creation_tokens": 1_500, "output_tokens": 345}),
            ([12, 20_000, 1_500, 0, 345, 0], "0.016836"),
        ),
        // The same as texts, as versions before 2.1.122 sent it.
        (
            json!({"input_tokens": "12", "cache_read_tokens": "20000",
                   "cache_creation_tokens": "1500", "output_tokens": "345"}),
            ([12, 20_000, 1_500, 0, 345, 0], "0.016836"),
        ),
        // 500 of the 1500 written live an hour: 36 + 6000 + 1000 × 3.75 + 500 × 6 + 5175
        (
            json!({"input_tokens": 12, "cache_read_tokens": 20_000, "cache_creation_tokens": 1_500,
                   "cache_creation_1h_tokens": 500, "output_tokens": 345}),
            ([12, 20_000, 1_000, 500, 345, 0], "0.017961"),
        ),
        // No cache: 500 × 3 + 74 × 15 = 1500 + 1110
        (json!({"input_tokens": 500, "output_tokens": 74}), ([500, 0, 0, 0, 74, 0], "0.00261")),
    ] {
        let resource = json!({"organization.id": "acme"});
        check(JSON_LOGS, &log(&resource, &with(&base, &changes)), expected);
    }
}

#[test]
fn codex_counts_cached_tokens_inside_the_input_and_reasoning_inside_the_output() {
    let base = json!({
        "event.name": "codex.sse_event", "event.kind": "response.completed",
        "conversation.id": "c", "model": "gpt-5-codex",
    });
    for (changes, expected) in [
        // 992 × 1.25 + 11008 × 0.125 + 640 × 10 = 1240 + 1376 + 6400 = 9016
        (
            json!({"input_token_count": "12000", "cached_token_count": 11_008,
                   "output_token_count": "640", "reasoning_token_count": 512,
                   "tool_token_count": "12640"}),
            ([992, 11_008, 0, 0, 640, 512], "0.009016"),
        ),
        // Everything cached: 0 + 1024 × 0.125 + 1 × 10 = 128 + 10
        (
            json!({"input_token_count": 1_024, "cached_token_count": 1_024,
                   "output_token_count": 1}),
            ([0, 1_024, 0, 0, 1, 0], "0.000138"),
        ),
        // Written tokens are inside, too, and cost what input costs where no
        // price is listed: 1000 × 1.25 + 10000 × 0.125 + 1000 × 1.25 + 100 × 10
        (
            json!({"input_token_count": 12_000, "cached_token_count": 10_000,
                   "cache_write_token_count": 1_000, "output_token_count": 100}),
            ([1_000, 10_000, 1_000, 0, 100, 0], "0.00475"),
        ),
    ] {
        let resource = json!({"organization.id": "acme"});
        check(JSON_LOGS, &log(&resource, &with(&base, &changes)), expected);
    }
}

#[test]
fn gemini_counts_cached_tokens_inside_the_prompt_and_thoughts_beside_the_answer() {
    let base = json!({
        "event.name": "gemini_cli.api_response", "session.id": "s", "model": "gemini-2.5-pro",
        "auth_type": "gemini-api-key",
    });
    for (changes, expected) in [
        // Input 10000 − 8000 + 50 = 2050, output 200 + 700 = 900:
        // 2050 × 1.25 + 8000 × 0.125 + 900 × 10 = 2562.5 + 1000 + 9000 = 12562.5
        (
            json!({"input_token_count": 10_000, "cached_content_token_count": 8_000,
                   "tool_token_count": 50, "output_token_count": 200,
                   "thoughts_token_count": 700, "total_token_count": 10_950}),
            ([2_050, 8_000, 0, 0, 900, 700], "0.0125625"),
        ),
        // 100 × 1.25 + 20 × 10 = 125 + 200
        (
            json!({"input_token_count": 100, "cached_content_token_count": 0,
                   "tool_token_count": 0, "output_token_count": 20, "thoughts_token_count": 0}),
            ([100, 0, 0, 0, 20, 0], "0.000325"),
        ),
    ] {
        let resource = json!({"organization.id": "acme"});
        check(JSON_LOGS, &log(&resource, &with(&base, &changes)), expected);
    }
}

#[test]
fn spans_count_cached_tokens_inside_the_input_under_every_name() {
    let openai = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    });
    for (changes, expected) in [
        // 952 × 2.5 + 2048 × 1.25 + 500 × 10 = 2380 + 2560 + 5000
        (
            json!({"gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.cache_read.input_tokens": 2_048,
                   "gen_ai.usage.output_tokens": 500, "gen_ai.usage.reasoning.output_tokens": 128}),
            ([952, 2_048, 0, 0, 500, 128], "0.00994"),
        ),
        // The old names; cached tokens by a name seen in the wild.
        (
            json!({"gen_ai.usage.prompt_tokens": 3_000, "gen_ai.usage.input_cached_tokens": 2_048,
                   "gen_ai.usage.completion_tokens": 500}),
            ([952, 2_048, 0, 0, 500, 0], "0.00994"),
        ),
        // No cache: 100 × 2.5 + 20 × 10
        (
            json!({"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 20}),
            ([100, 0, 0, 0, 20, 0], "0.00045"),
        ),
    ] {
        check(JSON_TRACES, &span(&with(&openai, &changes)), expected);
    }
    let anthropic = json!({
        "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
    });
    // 500 × 3 + 1200 × 0.3 + 300 × 3.75 + 400 × 15 = 1500 + 360 + 1125 + 6000
    let changes = json!({
        "gen_ai.usage.input_tokens": 2_000, "gen_ai.usage.cache_read.input_tokens": 1_200,
        "gen_ai.usage.cache_creation.input_tokens": 300, "gen_ai.usage.output_tokens": 400,
    });
    let expected = ([500, 1_200, 300, 0, 400, 0], "0.008985");
    check(JSON_TRACES, &span(&with(&anthropic, &changes)), expected);
}

#[test]
fn a_part_that_is_larger_than_its_whole_was_not_counted_in_it() {
    // Anthropic's own block put into a span: 12 × 3 + 20000 × 0.3 + 345 × 15
    let anthropic = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 20_000, "gen_ai.usage.output_tokens": 345,
    });
    check(JSON_TRACES, &span(&anthropic), ([12, 20_000, 0, 0, 345, 0], "0.011211"));
    // Gemini's candidates without its thoughts: 100 × 1.25 + (20 + 300) × 10
    let gemini = json!({
        "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-pro", "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20, "gen_ai.usage.reasoning.output_tokens": 300,
    });
    check(JSON_TRACES, &span(&gemini), ([100, 0, 0, 0, 320, 300], "0.003325"));
}
