//! Marked text goes in wherever a source carries text, and comes out nowhere.

use serde_json::{Map, Value, json};

use super::*;
use crate::ingest::rejected_batch;

const MARK: &str = "XYZZY-the-prompt-text";

/// Fails when the mark is in anything that is kept of a payload: events,
/// verdicts, rows of `rejected_events`.
fn assert_unmarked(format: SourceFormat, body: &str, what: &str) {
    assert!(body.contains(MARK), "{what}: nothing to find");
    let prepared = prepare(format, body.as_bytes());
    let rejected = rejected_batch(&prepared.lines, "r1", noon()).expect("rows");
    let kept = format!("{prepared:?}\n{rejected:?}");
    assert!(!kept.contains("XYZZY"), "{what}: {kept}");
}

/// `object` with each of its text values, at any depth, replaced by the mark,
/// but for those under a name in `except`.
fn marked(value: &Value, except: &[&str]) -> Value {
    match value {
        Value::String(_) => json!(MARK),
        Value::Array(elements) => elements.iter().map(|one| marked(one, except)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let kept = except.contains(&name.as_str());
                (name.clone(), if kept { value.clone() } else { marked(value, except) })
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Names of LiteLLM's fields that are dimensions: ids, names and labels that
/// are stored on purpose.
const LITELLM_DIMENSIONS: [&str; 14] = [
    "id",
    "litellm_call_id",
    "trace_id",
    "session_id",
    "call_type",
    "status",
    "custom_llm_provider",
    "model",
    "model_group",
    "request_tags",
    "end_user",
    "user_api_key_hash",
    "user_api_key_user_id",
    "user_api_key_end_user_id",
];

fn with_marked_conversation(mut payload: Value) -> Value {
    payload["messages"] = json!([{"role": "user", "content": MARK}, {"role": "x", "content": [{"type": "text", "text": MARK}]}]);
    payload["response"] = json!({"id": "r", "choices": [{"message": {"content": MARK}}]});
    payload["error_str"] = json!(MARK);
    payload["a_field_of_tomorrow"] = json!({"text": MARK});
    payload["metadata"]["spend_logs_metadata"] = json!({"note": MARK});
    payload["metadata"]["requester_metadata"]["note"] = json!(MARK);
    payload[MARK] = json!(1);
    payload
}

#[test]
fn litellm_keeps_no_text_of_a_conversation() {
    let failure = serde_json::from_str(include_str!("litellm_failure.json")).expect("JSON");
    for payload in [litellm_payload(), failure] {
        let payload = with_marked_conversation(marked(&payload, &LITELLM_DIMENSIONS));
        assert_unmarked(SourceFormat::LiteLlm, &payload.to_string(), "a call");
        assert_unmarked(SourceFormat::LiteLlm, &json!([payload]).to_string(), "a batch");
        // Refused ones, and ones that cannot be read.
        let mut unread = payload.clone();
        unread["metadata"]["usage_object"] = json!({"prompt_tokens": MARK});
        assert_unmarked(SourceFormat::LiteLlm, &unread.to_string(), "unreadable usage");
        let mut refused = payload.clone();
        refused["startTime"] = json!(MARK);
        refused["endTime"] = json!(MARK);
        assert_unmarked(SourceFormat::LiteLlm, &refused.to_string(), "no time");
        let text = payload.to_string();
        for cut in (0..text.len()).step_by(97).filter(|cut| text[..*cut].contains(MARK)) {
            assert_unmarked(SourceFormat::LiteLlm, &text[..cut], "cut off");
        }
    }
}

#[test]
fn another_json_value_in_the_place_of_an_event_is_not_quoted() {
    for format in [SourceFormat::Native, SourceFormat::CloudEvents, SourceFormat::LiteLlm] {
        for body in [json!(MARK), json!([MARK, [MARK], {"a": MARK}])] {
            let body = body.to_string().replace("{\"a\":", "{\"messages\":");
            assert_unmarked(format, &body, "another value");
        }
    }
}

#[test]
fn cloud_events_keep_no_text_of_a_conversation() {
    let data =
        json!({"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "output_tokens": 1});
    let with = |changes: Value| {
        let mut event = cloud_event(data.clone());
        for (name, value) in changes.as_object().expect("an object") {
            event[name] = value.clone();
        }
        event.to_string()
    };
    let mut talkative = data.clone();
    talkative["messages"] = json!([{"content": MARK}]);
    let mut nested = data.clone();
    nested["user_id"] = json!({"text": MARK});
    for (changes, what) in [
        (json!({"extension": MARK, "type": MARK, "dataschema": MARK}), "attributes"),
        (json!({"specversion": MARK}), "a wrong version"),
        (json!({"datacontenttype": MARK}), "another content"),
        (json!({"data_base64": MARK}), "encoded data"),
        (json!({"data": MARK}), "data that is a text"),
        (json!({"data": [MARK]}), "data that is an array"),
        (json!({"data": talkative}), "an unknown field"),
        (json!({"data": nested}), "a nested value"),
    ] {
        assert_unmarked(SourceFormat::CloudEvents, &with(changes), what);
    }
}

#[test]
fn a_transcript_gives_no_text_of_a_conversation() {
    let usage = json!({"input_tokens": 5, "output_tokens": 7, "note": MARK});
    let line = transcript_line("claude-sonnet-4-5", &usage);
    let except = ["sessionId", "requestId", "timestamp", "id", "uuid", "model", "cwd"];
    let mut line = marked(&line, &except);
    line["message"]["content"] = json!([{"type": "text", "text": MARK}, {"thinking": MARK}]);
    line["toolUseResult"] = json!({"stdout": MARK, "usage": {"input_tokens": 1}});
    let json = transcript_json(&line).expect("a call");
    assert!(!json.contains("XYZZY"), "{json}");
    let mut torn = line.to_string();
    torn.truncate(torn.len() - 4);
    let refused = TranscriptCall::read(torn.as_bytes()).expect_err("torn");
    assert!(!refused.message().contains("XYZZY"), "{}", refused.message());
    let line = transcript_line("claude-sonnet-4-5", &json!({"input_tokens": MARK}));
    let refused = TranscriptCall::read(line.to_string().as_bytes()).expect_err("no count");
    assert!(!refused.message().contains("XYZZY"), "{}", refused.message());
}
