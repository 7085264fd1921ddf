use serde_json::{Value, json};

use crate::ingest::RejectReason;
use crate::ingest::sources::tests::{ORGANIZATION, litellm_payload, prepare};
use crate::ingest::sources::{SourceFormat, organization_id_of};
use crate::model::{CostSource, Money, Status, UsageEvent};

fn failure() -> Value {
    serde_json::from_str(include_str!("../tests/litellm_failure.json")).expect("JSON")
}

fn read(payload: &Value) -> UsageEvent {
    let prepared = prepare(SourceFormat::LiteLlm, payload.to_string().as_bytes());
    assert_eq!(prepared.events.len(), 1, "{:?}", prepared.lines);
    prepared.events.into_iter().next().expect("an event")
}

fn money(text: &str) -> Option<Money> {
    Some(Money::parse(text).expect("money").0)
}

#[test]
fn a_recorded_call_becomes_an_event() {
    let event = read(&litellm_payload());
    assert_eq!(event.event_id, "268d5098-baae-418e-a024-e2a303cc9b3a");
    assert_eq!(event.source, "litellm");
    assert_eq!(event.event_time.to_rfc3339(), "2026-11-24T04:59:46.181851+00:00");
    assert_eq!((event.provider.as_str(), event.model_name.as_str()), ("openai", "gpt-4o"));
    assert_eq!((event.status, event.duration_ms), (Status::Completed, Some(2)));
    assert_eq!(event.user_id.as_deref(), Some("enduser-1"));
    assert_eq!(event.api_key_id.as_deref(), Some("litellm_proxy_master_key"));
    assert_eq!(event.conversation_id.as_deref(), Some(ORGANIZATION), "the session of the request");
    assert_eq!(event.request_id, None, "LiteLLM invented the answer's id");
    assert_eq!((event.tokens.input, event.tokens.output, event.tokens.total()), (10, 20, 30));
    assert_eq!(
        (event.actual_api_cost, event.cost_source),
        (money("0.000225"), CostSource::Reported)
    );
    let tags = event.tags.iter().map(|(name, value)| format!("{name}={value}"));
    assert_eq!(
        tags.collect::<Vec<_>>().join(" "),
        "batch=true call_type=acompletion end_user=enduser-1 model_group=gpt project=web \
         user_agent=curl"
    );
    assert_eq!(event.organization_id, ORGANIZATION);
}

#[test]
fn noise_in_a_float_is_rounded_at_the_twelfth_digit_from_its_own_digits() {
    // The text as it was recorded: a float that was read is no literal.
    let text = include_str!("../tests/litellm_payload.json");
    let with = |literal: &str| {
        let from = "\"response_cost\": 0.00022500000000000002";
        assert!(text.contains(from), "{text}");
        let body = text.replace(from, &format!("\"response_cost\": {literal}"));
        let prepared = prepare(SourceFormat::LiteLlm, body.as_bytes());
        (prepared.events[0].actual_api_cost, prepared.lines[0].rounded)
    };
    assert_eq!(with("0.00033000000000000005"), (money("0.00033"), true));
    assert_eq!(with("1.35e-05"), (money("0.0000135"), false));
    assert_eq!(with("0.0000000000005"), (money("0"), true));
}

#[test]
fn a_cost_of_zero_is_left_to_the_price_book() {
    let mut payload = litellm_payload();
    payload["response_cost"] = json!(0.0);
    // 8 and 20 tokens of gpt-4o at 2.5 and 10 USD per million.
    payload["metadata"]["usage_object"] = json!({"prompt_tokens": 8, "completion_tokens": 20});
    let event = read(&payload);
    assert_eq!(
        (event.actual_api_cost, event.cost_source),
        (money("0.00022"), CostSource::Computed)
    );
    payload["model"] = json!("openai/house-model-7");
    let event = read(&payload);
    assert_eq!((event.actual_api_cost, event.cost_source), (None, CostSource::Unpriced));
}

#[test]
fn a_hit_of_litellms_own_cache_costs_nothing() {
    let mut payload = litellm_payload();
    payload["response_cost"] = json!(0.0);
    payload["cache_hit"] = json!(true);
    payload["id"] = json!("chatcmpl-x_cache_hit1795496386.1");
    let event = read(&payload);
    assert_eq!((event.actual_api_cost, event.cost_source), (money("0"), CostSource::Reported));
    assert_eq!((event.tags["cache_hit"].as_str(), event.request_id), ("true", None));
}

#[test]
fn a_refused_call_cost_nothing_and_a_broken_one_nobody_knows() {
    let event = read(&failure());
    assert_eq!((event.status, event.tokens.total()), (Status::Failed, 0));
    assert_eq!((event.actual_api_cost, event.cost_source), (money("0"), CostSource::Reported));
    for code in [json!("500"), json!("408"), json!(""), Value::Null] {
        let mut broken = failure();
        broken["error_information"]["error_code"] = code.clone();
        // A model that the price book knows: zeros must not be priced.
        broken["model"] = json!("openai/gpt-4o");
        let event = read(&broken);
        assert_eq!(
            (event.actual_api_cost, event.cost_source),
            (None, CostSource::Unpriced),
            "{code}"
        );
        assert_eq!(event.tags["usage"], "unknown");
    }
    let mut partly = failure();
    partly["metadata"]["usage_object"] = json!({"prompt_tokens": 10, "completion_tokens": 3});
    partly["response_cost"] = json!(0.5);
    let event = read(&partly);
    assert_eq!((event.actual_api_cost, event.tokens.output), (money("0.5"), 3));
}

#[test]
fn a_failed_attempt_and_the_fallback_of_the_same_call_are_two_events() {
    let mut failed = failure();
    failed["litellm_call_id"] = litellm_payload()["litellm_call_id"].clone();
    let (failed, succeeded) = (read(&failed), read(&litellm_payload()));
    assert_ne!(failed.event_id, succeeded.event_id);
    assert!(failed.event_id.starts_with(&succeeded.event_id), "{}", failed.event_id);
}

#[test]
fn the_same_payload_twice_is_the_same_event() {
    let body = json!([litellm_payload(), litellm_payload()]).to_string();
    let prepared = prepare(SourceFormat::LiteLlm, body.as_bytes());
    assert_eq!(prepared.lines[0].outcome, prepared.lines[1].outcome);
    assert_eq!(prepared.events.len(), 2);
}

#[test]
fn an_id_alone_is_never_the_identity() {
    let mut payload = litellm_payload();
    payload["litellm_call_id"] = Value::Null;
    payload["id"] = json!("msg_01");
    let first = read(&payload).event_id;
    payload["startTime"] = json!(1_795_496_000.5);
    assert_ne!(first, read(&payload).event_id);
    for nothing in [json!("None"), Value::Null, json!("")] {
        payload["id"] = nothing;
        assert!(!read(&payload).event_id.contains("None"));
    }
    payload["trace_id"] = Value::Null;
    let prepared = prepare(SourceFormat::LiteLlm, payload.to_string().as_bytes());
    let refused = prepared.lines[0].outcome.as_ref().expect_err("no identity");
    assert_eq!(refused.reason, RejectReason::MissingField);
}

#[test]
fn attribution_comes_from_the_key() {
    let mut payload = litellm_payload();
    let metadata = &mut payload["metadata"];
    metadata["user_api_key_hash"] = json!("88dc28d0f030c55ed4ab77ed8faf098196cb1c05");
    metadata["user_api_key_user_id"] = json!("ada");
    metadata["user_api_key_team_id"] = json!("search");
    metadata["user_api_key_org_id"] = json!("acme");
    let event = read(&payload);
    assert_eq!(event.user_id.as_deref(), Some("ada"));
    assert_eq!(event.team_id.as_deref(), Some("search"));
    assert_eq!(event.api_key_id.as_deref(), Some("88dc28d0f030c55ed4ab77ed8faf098196cb1c05"));
    assert_eq!(event.organization_id, organization_id_of("acme"));
}

#[test]
fn only_a_session_that_the_client_named_is_a_conversation() {
    let with = |session: Value, trace: &str, requester: Value| {
        let mut payload = litellm_payload();
        payload["session_id"] = session;
        payload["trace_id"] = json!(trace);
        payload["metadata"]["requester_metadata"] = requester;
        read(&payload).conversation_id
    };
    let uuid = "143ca6c4-45d2-412e-bccb-fead18311968";
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(with(json!(""), uuid, json!({})), None);
    assert_eq!(with(json!("s1"), uuid, json!({})), some("s1"));
    assert_eq!(with(json!(""), "chat-7", Value::Null), some("chat-7"));
    assert_eq!(with(json!(""), uuid, json!({"session_id": uuid})), some(uuid));
    assert_eq!(with(json!(""), uuid, json!({"trace_id": uuid})), some(uuid));
}

#[test]
fn the_request_id_is_the_providers() {
    let with = |id: &str, headers: Value| {
        let mut payload = litellm_payload();
        payload["id"] = json!(id);
        payload["hidden_params"]["additional_headers"] = headers;
        read(&payload).request_id
    };
    let invented = "chatcmpl-2f339baa-2295-4382-9a90-3435019da180";
    assert_eq!(with(invented, Value::Null), None);
    let message = "msg_01XFDUDYJgAACzvnptvVoYEL";
    assert_eq!(with(message, json!({})).as_deref(), Some(message));
    let headers = || json!({"llm_provider-request-id": "req_7"});
    assert_eq!(with(message, headers()).as_deref(), Some("req_7"));
    // Ollama numbers its answers, and begins anew after 998.
    assert_eq!(with("chatcmpl-998", json!({})), None);
    assert_eq!(with("chatcmpl-998", headers()).as_deref(), Some("req_7"));
}

#[test]
fn request_tags_become_tags_and_odd_ones_cost_no_event() {
    let mut payload = litellm_payload();
    payload["request_tags"] = json!([
        "project:web",
        "project:app",
        "batch",
        "a:b:c",
        "",
        ":x",
        7,
        "x".repeat(300),
        "User-Agent: curl",
        "User-Agent: curl/7.88.1"
    ]);
    let tags = read(&payload).tags;
    let tag = |name: &str| tags.get(name).map(String::as_str);
    assert_eq!((tag("project"), tag("batch"), tag("a")), (Some("web"), Some("true"), Some("b:c")));
    assert_eq!(tag("user_agent"), Some("curl"));
    assert_eq!(tag("model_group"), Some("gpt"));
}

#[test]
fn the_names_of_the_documentations_sample_are_read_too() {
    let sample = json!({"id": "chatcmpl-9", "model": "gpt-4o", "custom_llm_provider": "openai",
        "startTime": "2026-11-24T09:00:00", "endTime": "2026-11-24T09:00:01.5", "cost": 0.001,
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
    let event = read(&sample);
    assert_eq!((event.tokens.input, event.tokens.output), (10, 5));
    assert_eq!((event.actual_api_cost, event.duration_ms), (money("0.001"), Some(1500)));
    assert_eq!(event.request_id, None, "the answer's id may name many calls");
}

#[test]
fn a_batch_is_read_in_each_log_format_and_a_broken_call_costs_no_other() {
    let one = litellm_payload().to_string();
    for body in [format!("[{one},null,{one}]"), format!("{one}\nnull\n{one}\n")] {
        let prepared = prepare(SourceFormat::LiteLlm, body.as_bytes());
        let fine: Vec<_> = prepared.lines.iter().map(|line| line.outcome.is_ok()).collect();
        assert_eq!(fine, [true, false, true], "{:?}", prepared.lines);
    }
    assert!(prepare(SourceFormat::LiteLlm, b"[]").lines.is_empty());
}

#[test]
fn a_long_conversation_does_not_make_a_call_too_long() {
    let mut payload = litellm_payload();
    payload["messages"] = json!("x".repeat(3 << 20));
    assert_eq!(read(&payload).tokens.total(), read(&litellm_payload()).tokens.total());
}
