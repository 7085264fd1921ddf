//! Events as senders write them.

use serde_json::{Value, json};

pub(crate) const ORGANIZATION: &str = "0190a3c2-7b1e-7c00-8000-000000000001";

/// A small valid event with this id.
pub(crate) fn event(id: &str) -> Value {
    json!({
        "event_id": id,
        "event_time": "2026-11-20T10:00:00Z",
        "organization_id": ORGANIZATION,
        "user_id": "ada",
        "api_key_id": "key-prod",
        "conversation_id": "c1",
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 100,
    })
}

/// `event` with some fields changed; `null` removes one.
pub(crate) fn event_with(id: &str, changes: Value) -> Value {
    let mut event = event(id);
    for (field, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            event.as_object_mut().expect("an object").remove(field);
        } else {
            event[field] = value.clone();
        }
    }
    event
}

/// One event a line.
pub(crate) fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}
