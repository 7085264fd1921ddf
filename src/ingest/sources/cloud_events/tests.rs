use serde_json::{Value, json};

use crate::ingest::sources::tests::{ORGANIZATION, cloud_event, prepare, prepare_with};
use crate::ingest::{Payload, PreparedRequest, RejectReason, SourceFormat};

fn data() -> Value {
    json!({"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 10})
}

fn with(changes: Value) -> PreparedRequest {
    let mut event = cloud_event(data());
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    prepare(SourceFormat::CloudEvents, event.to_string().as_bytes())
}

fn refusal(prepared: &PreparedRequest) -> (RejectReason, Option<&str>) {
    let rejection = prepared.lines[0].outcome.as_ref().expect_err("refused");
    (rejection.reason, rejection.field.as_deref())
}

#[test]
fn the_envelope_gives_identity_time_and_user() {
    let prepared = with(json!({}));
    let event = &prepared.events[0];
    assert_eq!((event.event_id.as_str(), event.source.as_str()), ("c1", "gateway"));
    assert_eq!(event.event_time.to_rfc3339(), "2026-11-24T09:00:00+00:00");
    assert_eq!(event.user_id.as_deref(), Some("ada"));
    assert_eq!(event.organization_id, ORGANIZATION);
    assert_eq!(event.actual_api_cost.map(|cost| cost.to_string()).as_deref(), Some("0.0026"));
}

#[test]
fn what_data_says_of_time_and_user_wins() {
    let mut data = data();
    data["event_time"] = json!("2026-11-23T00:00:00Z");
    data["user_id"] = json!("grace");
    data["organization_id"] = json!("0190a3c2-7b1e-7c00-8000-000000000002");
    let prepared = with(json!({"data": data}));
    let event = &prepared.events[0];
    assert_eq!(event.event_time.to_rfc3339(), "2026-11-23T00:00:00+00:00");
    assert_eq!(event.user_id.as_deref(), Some("grace"));
    assert_eq!(event.organization_id, "0190a3c2-7b1e-7c00-8000-000000000002");
}

#[test]
fn data_may_repeat_the_identity_but_not_contradict_it() {
    let identified = |id: &str| {
        let mut data = data();
        data["event_id"] = json!(id);
        with(json!({"data": data}))
    };
    assert_eq!(identified("c1").events.len(), 1);
    let other = identified("c2");
    assert_eq!(refusal(&other), (RejectReason::InvalidValue, Some("event_id")));
}

#[test]
fn any_type_and_any_extension_are_taken() {
    let prepared =
        with(json!({"type": "com.example.prompt", "traceparent": "00-1", "subject": null}));
    assert_eq!(prepared.events[0].user_id, None);
}

#[test]
fn a_broken_envelope_is_refused_by_the_attribute() {
    for (changes, reason, field) in [
        (json!({"specversion": "0.3"}), RejectReason::InvalidValue, "specversion"),
        (json!({"specversion": null}), RejectReason::MissingField, "specversion"),
        (json!({"id": ""}), RejectReason::MissingField, "id"),
        (json!({"id": 7}), RejectReason::MissingField, "id"),
        (json!({"source": null}), RejectReason::MissingField, "source"),
        (json!({"type": null}), RejectReason::MissingField, "type"),
        (json!({"data": null}), RejectReason::MissingField, "data"),
        (json!({"data_base64": "e30="}), RejectReason::InvalidValue, "data_base64"),
        (json!({"datacontenttype": "text/plain"}), RejectReason::InvalidValue, "datacontenttype"),
        (json!({"time": "yesterday"}), RejectReason::InvalidValue, "event_time"),
    ] {
        assert_eq!(refusal(&with(changes.clone())), (reason, Some(field)), "{changes}");
    }
    let mut data = data();
    data["output_token"] = json!(1);
    assert_eq!(refusal(&with(json!({"data": data}))).0, RejectReason::UnknownField);
}

#[test]
fn a_batch_is_judged_event_by_event_and_may_be_empty() {
    let mut second = cloud_event(data());
    second["id"] = json!("c2");
    let batch = json!([cloud_event(data()), {"specversion": "1.0"}, second]).to_string();
    let prepared = prepare(SourceFormat::CloudEvents, batch.as_bytes());
    let ids: Vec<_> = prepared.events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!((ids, prepared.lines.len()), (vec!["c1", "c2"], 3));
    assert!(prepare(SourceFormat::CloudEvents, b"[]").lines.is_empty());
}

#[test]
fn in_binary_mode_the_attributes_are_headers() {
    let attributes = [
        ("specversion", "1.0"),
        ("id", "b1"),
        ("source", "gateway"),
        ("type", "t"),
        ("time", "2026-11-24T09:00:00Z"),
        ("subject", "ada"),
        ("datacontenttype", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = data().to_string();
    let payload = Payload {
        organization_id: Some(ORGANIZATION),
        attributes: &attributes,
        ..Payload::new(SourceFormat::CloudEventBinary, body.as_bytes())
    };
    let prices = "provider,model,valid_from,valid_to,input_usd_per_mtok,cache_read_usd_per_mtok,cache_write_usd_per_mtok,cache_write_1h_usd_per_mtok,output_usd_per_mtok,reasoning_usd_per_mtok\n";
    let prepared = prepare_with(prices, payload);
    let event = &prepared.events[0];
    assert_eq!((event.event_id.as_str(), event.user_id.as_deref()), ("b1", Some("ada")));
    let none = Payload { attributes: &[], ..payload };
    assert_eq!(refusal(&prepare_with(prices, none)).0, RejectReason::MissingField);
}

#[test]
fn the_same_id_of_another_source_is_another_event() {
    let key = |prepared: &PreparedRequest| *prepared.lines[0].outcome.as_ref().expect("a key");
    let (one, other) = (with(json!({})), with(json!({"source": "other"})));
    assert_ne!(key(&one).key, key(&other).key);
    assert_eq!(key(&one), key(&with(json!({}))));
}
