//! What senders leave out, write in other ways, or get wrong.

use super::*;
use crate::error::ErrorKind;
use crate::ingest::RejectReason;

fn request() -> Value {
    json!({
        "event.name": "api_request", "session.id": "s", "event.sequence": 7,
        "event.timestamp": "2026-11-24T09:00:02.500Z", "model": "claude-sonnet-4-5-20250929",
        "input_tokens": 10, "output_tokens": 5,
    })
}

fn claude(changes: &Value) -> Vec<u8> {
    let mut record = request();
    for (name, value) in changes.as_object().expect("an object") {
        record[name] = value.clone();
    }
    log(&json!({"service.name": "claude-code", "organization.id": "acme"}), &record)
}

#[test]
fn json_numbers_come_with_or_without_quotes_and_costs_keep_their_digits() {
    let body = br#"{"resourceLogs":[{"resource":null,"unknown":[[{}]],"scopeLogs":[null,{
        "scope":{"name":"com.anthropic.claude_code.events","attributes":[]},
        "logRecords":[{"timeUnixNano":1795510800000000000,"severityNumber":"INFO",
        "body":{"kvlistValue":{"values":[{"key":"a"}]}},"attributes":[
        {"key":"event.name","value":{"stringValue":"api_request"}},
        {"key":"organization.id","value":{"stringValue":"acme"}},
        {"key":"model","value":{"stringValue":"claude-sonnet-4-5"}},
        {"key":"input_tokens","value":{"intValue":10}},
        {"key":"output_tokens","value":{"intValue":"5"}},
        {"key":"cache_read_tokens","value":{"doubleValue":7.0}},
        {"key":"cost_usd","value":{"doubleValue":0.000330000000000005}},
        {"key":"nothing"},{"key":"later","value":{"futureValue":1}}]}]}]}]}"#;
    let event = only_event(prepared(JSON_LOGS, body));
    assert_eq!((event.tokens.input, event.tokens.output, event.tokens.cache_read), (10, 5, 7));
    // Sixteen digits are rounded half-even to the twelve of the column.
    assert_eq!(event.actual_api_cost.map(|cost| cost.to_string()).as_deref(), Some("0.00033"));
    assert_eq!(event.event_time, "2026-11-24T09:00:00Z".parse::<DateTime<Utc>>().expect("time"));
}

#[test]
fn a_body_that_cannot_be_read_is_refused_as_a_whole_without_showing_it() {
    let broken = format!("{{\"resourceLogs\": \"{MARK}\"}}");
    for body in ["", "[]", "null", "{\"resourceLogs\":[", broken.as_str()] {
        for signal in [JSON_LOGS, JSON_TRACES, SourceFormat::OtlpMetrics(OtlpEncoding::Json)] {
            if signal != JSON_LOGS && body == broken {
                continue;
            }
            let error = prepare(signal, body.as_bytes(), None).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.full_message().contains("MARKED"), "{error}");
        }
    }
    let protobuf = SourceFormat::OtlpLogs(OtlpEncoding::Protobuf);
    let error = prepare(protobuf, b"{\"resourceLogs\":[]}", None).expect_err("refused");
    assert!(error.to_string().contains("Content-Type"), "{error}");
}

#[test]
fn a_wrong_count_refuses_its_record_only_and_names_the_field() {
    for (value, reason) in [
        (json!(-4), RejectReason::OutOfRange),
        (json!("many"), RejectReason::InvalidValue),
        (json!(1.5), RejectReason::InvalidValue),
    ] {
        let prepared = prepared(JSON_LOGS, &claude(&json!({"output_tokens": value})));
        let rejection = prepared.lines[0].outcome.as_ref().expect_err("refused");
        assert_eq!(rejection.reason, reason, "{rejection:?}");
        assert_eq!(rejection.field.as_deref(), Some("output_tokens"));
        assert_eq!(prepared.lines[0].organization_id, Some(organization_id_of("acme")));
    }
}

#[test]
fn the_organization_is_what_was_told_then_the_requests_then_the_accounts() {
    let told = json!({"spendlake.organization_id": "told", "organization.id": "resource"});
    let mut record = request();
    record["organization.id"] = "account".into();
    record["event.name"] = "claude_code.api_request".into();
    let header = organization_id_of("header");
    for (resource, request, expected) in [
        (&told, Some(header.as_str()), "told"),
        (&json!({"organization.id": "resource"}), Some(header.as_str()), "resource"),
        (&json!({}), Some(header.as_str()), "header"),
        (&json!({}), None, "account"),
    ] {
        let prepared = prepare(JSON_LOGS, &log(resource, &record), request).expect("read");
        assert_eq!(only_event(prepared).organization_id, organization_id_of(expected));
    }
}

#[test]
fn a_resent_record_is_the_same_event_and_another_record_is_not() {
    let id = |changes| only_event(prepared(JSON_LOGS, &claude(&changes))).event_id;
    assert_eq!(id(json!({})), id(json!({})));
    assert_ne!(id(json!({})), id(json!({"event.sequence": 8})));
    assert_ne!(id(json!({})), id(json!({"session.id": "t"})));
    assert_ne!(id(json!({})), id(json!({"output_tokens": 6})));
}

#[test]
fn a_cost_of_zero_for_a_call_with_tokens_is_unknown() {
    let unpriced = json!({"cost_usd": 0.0, "model": "house-model"});
    let event = only_event(prepared(JSON_LOGS, &claude(&unpriced)));
    assert_eq!(event.actual_api_cost, None);
    for zero in [json!("-0"), json!(-0.0), json!("-0.0e5"), json!("0.00")] {
        let said = json!({"cost_usd": zero, "model": "house-model"});
        let event = only_event(prepared(JSON_LOGS, &claude(&said)));
        assert_eq!(event.actual_api_cost, None, "{said}");
    }
    let listed = only_event(prepared(JSON_LOGS, &claude(&json!({"cost_usd": "0"}))));
    // 10 × 3 + 5 × 15 = 105
    assert_eq!(listed.actual_api_cost.map(|cost| cost.to_string()).as_deref(), Some("0.000105"));
}

#[test]
fn an_address_is_the_user_only_when_there_is_no_id() {
    let user = |changes| only_event(prepared(JSON_LOGS, &claude(&changes))).user_id;
    let address = "ada@example.com";
    assert_eq!(user(json!({"user.email": address})).as_deref(), Some(address));
    let installation = json!({"user.email": address, "user.id": "i"});
    assert_eq!(user(installation).as_deref(), Some("i"));
}

#[test]
fn the_provider_follows_the_spelling_of_the_model() {
    let provider =
        |model: &str| only_event(prepared(JSON_LOGS, &claude(&json!({"model": model})))).provider;
    assert_eq!(provider("claude-opus-4-6"), "anthropic");
    assert_eq!(provider("us.anthropic.claude-opus-4-6-v1:0"), "bedrock");
    assert_eq!(provider("claude-opus-4-6@20260101"), "google_vertex");
}

#[test]
fn spans_of_tools_whose_logs_count_are_not_counted_again() {
    let chat = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 1, "service.name": "mine",
    });
    assert_eq!(prepared(JSON_TRACES, &span(&chat)).lines.len(), 1);
    let body = String::from_utf8(span(&chat)).expect("UTF-8");
    let claude = body.replace("spendlake.organization_id", "service.name");
    for tool in ["claude-code", "codex_cli_rs", "gemini-cli"] {
        let body = claude.replace("acme", tool);
        assert_eq!(prepared(JSON_TRACES, body.as_bytes()).lines.len(), 0, "{tool}");
    }
    let other = claude.replace("acme", "my-codex-proxy");
    assert_eq!(prepared(JSON_TRACES, other.as_bytes()).lines.len(), 1, "another program");
}

#[test]
fn a_model_call_without_counts_is_refused_unless_it_failed() {
    let chat = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    });
    let prepared = prepared(JSON_TRACES, &span(&chat));
    let rejection = prepared.lines[0].outcome.as_ref().expect_err("refused");
    assert_eq!(rejection.field.as_deref(), Some("input_tokens"));
}

#[test]
fn a_cost_in_another_currency_is_left_to_the_price_book() {
    let chat = |currency: &str| {
        let record = json!({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cost.amount": 0.5,
            "gen_ai.usage.cost.currency": currency,
        });
        only_event(super::prepared(JSON_TRACES, &span(&record))).actual_api_cost
    };
    assert_eq!(chat("USD").map(|cost| cost.to_string()).as_deref(), Some("0.5"));
    assert_eq!(chat("EUR").map(|cost| cost.to_string()).as_deref(), Some("0.00045"));
}
