//! CloudEvents 1.0 over HTTP: structured, batched and binary mode. The
//! envelope is the standard's, `data` is an event of our own fields, judged as
//! strictly as one that comes without an envelope.
//!
//! The specification: <https://github.com/cloudevents/spec>, `spec.md`,
//! `formats/json-format.md` and `bindings/http-protocol-binding.md`, 1.0.2.

use std::borrow::Cow;

use super::native;
use super::object::Object;
use super::{Draft, not_an_object};
use crate::ingest::field::Field;
use crate::ingest::lines::split_lines;
use crate::ingest::prepare::IntakeLimits;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::validate::string_content;
use crate::ingest::wire::WireEvent;

/// The only version there is.
const SPEC_VERSION: &str = "1.0";

/// The required attributes besides `specversion`.
const REQUIRED: [&str; 3] = ["id", "source", "type"];

/// The drafts of a body of structured events: one, or an array of them.
pub(super) fn structured<'a>(body: &'a [u8], limits: &IntakeLimits) -> Vec<Draft<'a>> {
    let lines = split_lines(body, limits.request_events_max).into_iter();
    lines
        .map(|line| Draft { number: line.number, event: structured_event(line.text, limits) })
        .collect()
}

/// The draft of a body that is the data of one event, whose attributes came
/// in headers.
pub(super) fn binary<'a>(
    body: &'a [u8],
    attributes: &[(String, String)],
    limits: &IntakeLimits,
) -> Vec<Draft<'a>> {
    let attribute = |name: &str| {
        let found = attributes.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| Cow::Borrowed(value.as_str()))
    };
    vec![Draft { number: 1, event: event(body.trim_ascii(), attribute, limits) }]
}

fn structured_event<'a>(text: &'a [u8], limits: &IntakeLimits) -> Result<WireEvent<'a>, Rejection> {
    native::check_length(text, limits)?;
    let envelope = Object::parse(text).map_err(|error| not_an_object(text, &error))?;
    if envelope.has("data_base64") {
        let rule = "is not read; send the event's fields as a JSON object in data";
        return Err(Rejection::of_field(RejectReason::InvalidValue, "data_base64", None, rule));
    }
    let attribute = |name: &str| envelope.get(name).and_then(string_content);
    let data = envelope.get("data").unwrap_or_default();
    event(data.as_bytes(), attribute, limits)
}

/// An event of `data` within an envelope of attributes.
///
/// `id` and `source` are the identity that the standard gives the event, so
/// `data` may repeat them but not contradict them. `time` and `subject` stand
/// in for `event_time` and `user_id` where `data` has none.
fn event<'a, 'e>(
    data: &'a [u8],
    attribute: impl Fn(&str) -> Option<Cow<'e, str>>,
    limits: &IntakeLimits,
) -> Result<WireEvent<'a>, Rejection> {
    check_attributes(&attribute)?;
    if data.is_empty() {
        let rule = "is required: a JSON object with the fields of one event";
        return Err(Rejection::of_field(RejectReason::MissingField, "data", None, rule));
    }
    let mut event = native::event(data, limits)?;
    for (name, field) in [("id", Field::EventId), ("source", Field::Source)] {
        let value = attribute(name).unwrap_or_default();
        let said = event.get(field).and_then(string_content);
        if said.is_some_and(|said| said != value) {
            let rule = format!("contradicts the envelope's {name}; leave it out of data");
            return Err(Rejection::of_field(RejectReason::InvalidValue, field.name(), None, rule));
        }
        event.set_text(field, &value);
    }
    for (name, field) in [("time", Field::EventTime), ("subject", Field::UserId)] {
        if let Some(value) = attribute(name) {
            let quoted = || Cow::Owned(serde_json::Value::from(&*value).to_string());
            event.set_default(field, quoted);
        }
    }
    Ok(event)
}

fn check_attributes<'e>(
    attribute: &impl Fn(&str) -> Option<Cow<'e, str>>,
) -> Result<(), Rejection> {
    match attribute("specversion").as_deref() {
        Some(SPEC_VERSION) => {}
        Some(_) => {
            let rule = format!("must be \"{SPEC_VERSION}\"");
            return Err(refused(RejectReason::InvalidValue, "specversion", rule));
        }
        None => {
            let rule = format!("is required and must be \"{SPEC_VERSION}\"");
            return Err(refused(RejectReason::MissingField, "specversion", rule));
        }
    }
    for name in REQUIRED {
        if attribute(name).is_none_or(|value| value.is_empty()) {
            let rule = "is required and must be a non-empty string".to_owned();
            return Err(refused(RejectReason::MissingField, name, rule));
        }
    }
    let content_type = attribute("datacontenttype");
    if content_type.is_some_and(|content_type| !is_json(&content_type)) {
        let rule = "must be application/json, since data is read as JSON".to_owned();
        return Err(refused(RejectReason::InvalidValue, "datacontenttype", rule));
    }
    Ok(())
}

fn refused(reason: RejectReason, attribute: &str, rule: String) -> Rejection {
    Rejection::of_field(reason, attribute, None, rule)
}

/// Whether a media type is JSON, by its name or its suffix.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests;
