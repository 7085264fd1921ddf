//! The recorded-style payloads of tests/fixtures/otlp.

use super::*;
use crate::model::{CostSource, Money, Status};

/// The events of a fixture, which must be the same in both encodings.
fn events(name: &str) -> Vec<UsageEvent> {
    let formats = |encoding| match name.rsplit('_').next() {
        Some("logs") => SourceFormat::OtlpLogs(encoding),
        Some("traces") => SourceFormat::OtlpTraces(encoding),
        _ => SourceFormat::OtlpMetrics(encoding),
    };
    let json = prepared(formats(OtlpEncoding::Json), &fixture(&format!("{name}.json")));
    let protobuf = prepared(formats(OtlpEncoding::Protobuf), &fixture(&format!("{name}.pb")));
    assert_eq!(format!("{:?}", json.lines), format!("{:?}", protobuf.lines));
    assert_eq!(format!("{:?}", json.events), format!("{:?}", protobuf.events));
    let refused: Vec<_> = json.lines.iter().filter(|line| line.outcome.is_err()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    json.events
}

fn cost(event: &UsageEvent) -> String {
    event.actual_api_cost.map(|cost| cost.to_string()).unwrap_or_default()
}

#[test]
fn claude_code_events_are_attributed_and_keep_the_digits_of_their_cost() {
    let events = events("claude_code_logs");
    let [main, auxiliary] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(main.event_id, "req_011CUwAxz");
    assert_eq!(main.request_id.as_deref(), Some("req_011CUwAxz"));
    assert_eq!(main.source, "claude-code");
    assert_eq!(main.organization_id, organization_id_of("acme"));
    assert_eq!(main.team_id.as_deref(), Some("search"));
    assert_eq!(main.department.as_deref(), Some("engineering"));
    assert_eq!(main.user_id.as_deref(), Some("0b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8"));
    assert_eq!(main.conversation_id.as_deref(), Some("session-1"));
    assert_eq!((main.provider.as_str(), main.duration_ms), ("anthropic", Some(2310)));
    assert_eq!(main.event_time, "2026-11-24T09:00:02Z".parse::<DateTime<Utc>>().expect("time"));
    assert_eq!((cost(main).as_str(), main.cost_source), ("0.0123456", CostSource::Reported));
    for (name, value) in [("cost_center", "CC-42"), ("project", "indexer"), ("speed", "normal")] {
        assert_eq!(main.tags.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!((cost(auxiliary).as_str(), auxiliary.tokens.input), ("0.00087", 500));
    assert!(auxiliary.event_id.starts_with("content-"), "{}", auxiliary.event_id);
    assert_eq!(auxiliary.request_id, None);
}

#[test]
fn codex_and_gemini_cli_events_are_priced_by_the_book() {
    let codex = events("codex_logs");
    let [codex] = codex.as_slice() else { panic!("{codex:?}") };
    assert_eq!((codex.source.as_str(), codex.provider.as_str()), ("codex", "openai"));
    assert_eq!(codex.conversation_id.as_deref(), Some("019a-conv"));
    assert_eq!(codex.user_id.as_deref(), Some("acct-7"));
    assert_eq!((cost(codex).as_str(), codex.cost_source), ("0.009016", CostSource::Computed));
    let gemini = events("gemini_cli_logs");
    let [gemini] = gemini.as_slice() else { panic!("{gemini:?}") };
    assert_eq!((gemini.source.as_str(), gemini.provider.as_str()), ("gemini-cli", "google"));
    assert_eq!(gemini.user_id.as_deref(), Some("inst-9"), "the address is not stored");
    assert_eq!((cost(gemini).as_str(), gemini.duration_ms), ("0.0125625", Some(2950)));
}

#[test]
fn only_spans_that_are_one_call_of_a_model_count() {
    let events = events("gen_ai_traces");
    let ids: Vec<&str> = events.iter().map(|event| &event.event_id[32..]).collect();
    let expected = ["0000000000000002", "0000000000000003", "0000000000000004", "0000000000000006"];
    assert_eq!(ids, expected, "neither the agent, nor the tool, nor the call that failed");
    let [openai, anthropic, legacy, embeddings] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(openai.model_name, "gpt-4o-2024-08-06");
    assert_eq!(openai.request_id, None, "chatcmpl-1 may name many calls");
    assert_eq!(openai.conversation_id.as_deref(), Some("conv-1"));
    assert_eq!((openai.duration_ms, openai.status), (Some(1500), Status::Completed));
    assert_eq!(openai.api_key_id.as_deref(), Some("key-prod"));
    assert_eq!((cost(openai).as_str(), openai.cost_source), ("0.00994", CostSource::Computed));
    assert_eq!(
        (cost(anthropic).as_str(), anthropic.cost_source),
        ("0.012345", CostSource::Reported)
    );
    assert_eq!((legacy.tokens.input, legacy.tokens.output), (100, 20));
    assert_eq!((embeddings.tokens.input, embeddings.tokens.output), (77, 0));
    assert_eq!(embeddings.actual_api_cost, None::<Money>, "no price is known for it");
}

#[test]
fn metrics_are_read_and_never_stored() {
    assert_eq!(events("claude_code_metrics").len(), 0);
}

#[test]
fn no_text_of_a_conversation_gets_through() {
    for name in ["claude_code_logs", "codex_logs", "gemini_cli_logs", "gen_ai_traces"] {
        let json = String::from_utf8(fixture(&format!("{name}.json"))).expect("UTF-8");
        assert!(json.matches(MARK).count() > 3, "{name} holds marked text");
        let format = if name.ends_with("traces") { JSON_TRACES } else { JSON_LOGS };
        // Once accepted, and once refused: without a model nothing is valid.
        let nameless = json.replace("\"model\"", "\"m\"").replace(".model\"", ".m\"");
        for body in [&json, &nameless] {
            let prepared = prepared(format, body.as_bytes());
            assert!(!prepared.lines.is_empty());
            let kept = format!("{prepared:?}");
            assert!(!kept.contains("MARKED"), "{name}: {kept}");
        }
        assert!(prepared(format, nameless.as_bytes()).events.is_empty(), "{name}");
    }
}
