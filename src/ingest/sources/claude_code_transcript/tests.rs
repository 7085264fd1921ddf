use serde_json::{Value, json};

use super::*;
use crate::ingest::sources::SourceFormat;
use crate::ingest::sources::tests::{prepare, transcript_json, transcript_line};

fn usage() -> Value {
    json!({"input_tokens": 4, "cache_creation_input_tokens": 1200, "cache_read_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 50, "service_tier": "standard"})
}

fn json_of(line: &Value) -> Option<Value> {
    transcript_json(line).map(|text| serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_line_becomes_an_event_of_our_own_fields() {
    let line = transcript_line("claude-sonnet-4-5", &usage());
    assert_eq!(
        json_of(&line).expect("a call"),
        json!({"event_id": "msg_1:req_1", "source": "claude-code-transcript",
            "event_time": "2026-11-24T09:00:00.250000Z", "conversation_id": "s1",
            "request_id": "req_1", "provider": "anthropic", "model_name": "claude-sonnet-4-5",
            "input_tokens": 4, "cache_read_tokens": 300, "cache_write_tokens": 200,
            "cache_write_1h_tokens": 1000, "output_tokens": 50, "reasoning_tokens": 0,
            "tags": {"project": "web"}})
    );
    let body = transcript_json(&line).expect("a call");
    let prepared = prepare(SourceFormat::Native, body.as_bytes());
    // 4×3 + 300×0.3 + 200×3.75 + 1000×6 + 50×15 = 7602 microdollars.
    let cost = prepared.events[0].actual_api_cost.map(|cost| cost.to_string());
    assert_eq!(cost.as_deref(), Some("0.007602"));
}

#[test]
fn lines_without_a_call_are_passed_over() {
    let with = |changes: Value| {
        let mut line = transcript_line("claude-sonnet-4-5", &usage());
        for (name, value) in changes.as_object().expect("an object") {
            line["message"][name] = value.clone();
        }
        json_of(&line)
    };
    assert_eq!(with(json!({"model": "<synthetic>"})), None);
    assert_eq!(with(json!({"usage": null})), None);
    assert_eq!(with(json!({"usage": {"input_tokens": 0, "output_tokens": 0}})), None);
    let tool = json!({"type": "user", "toolUseResult": {"usage": {"input_tokens": 9, "output_tokens": 9}}});
    assert_eq!(json_of(&tool), None);
    assert_eq!(json_of(&json!({"type": "summary", "summary": "usage"})), None);
}

#[test]
fn a_cost_that_the_line_says_is_the_reported_one() {
    let mut line = transcript_line("claude-sonnet-4-5", &usage());
    line["costUSD"] = json!(0.25);
    assert_eq!(json_of(&line).expect("a call")["actual_api_cost"], json!(0.25));
    line["costUSD"] = json!(0.0);
    assert!(json_of(&line).expect("a call").get("actual_api_cost").is_none());
}

#[test]
fn the_services_of_a_model_are_told_by_its_name() {
    for (model, provider) in [
        ("claude-opus-4-5-20251101", "anthropic"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("claude-sonnet-4-5@20250929", "google_vertex"),
    ] {
        assert_eq!(
            json_of(&transcript_line(model, &usage())).expect("a call")["provider"],
            provider
        );
    }
}

#[test]
fn a_call_without_a_request_id_is_told_apart_by_its_message() {
    let mut line = transcript_line("claude-sonnet-4-5", &usage());
    line["requestId"] = Value::Null;
    assert_eq!(json_of(&line).expect("a call")["event_id"], "msg_1");
    line["message"]["id"] = Value::Null;
    assert_eq!(json_of(&line).expect("a call")["event_id"], "u1");
}

#[test]
fn constants_fill_what_a_line_lacks_and_replace_nothing() {
    let line = transcript_line("claude-sonnet-4-5", &usage()).to_string();
    let mut call = TranscriptCall::read(line.as_bytes()).expect("readable").expect("a call");
    call.set_default("user_id", "ada");
    call.set_default("model", "other");
    call.add_tag("project", "other");
    call.add_tag("environment", "dev");
    let json: Value = serde_json::from_str(&call.to_json()).expect("JSON");
    assert_eq!(
        (json["user_id"].as_str(), json["model_name"].as_str()),
        (Some("ada"), Some("claude-sonnet-4-5"))
    );
    assert_eq!(json["tags"], json!({"project": "web", "environment": "dev"}));
}
