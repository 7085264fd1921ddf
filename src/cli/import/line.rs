//! Builds the JSON line of one event from values that are text.

use std::io::Write;

use chrono::{NaiveDateTime, SecondsFormat};
use serde_json::Value;

use super::mapping::FieldName;

/// Shapes of a time without a zone, which is read as UTC.
const TIME_FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];

/// The fields of one event, in the order they were added.
#[derive(Debug, Default)]
pub(super) struct EventLine {
    fields: Vec<(&'static str, String)>,
    tags: serde_json::Map<String, Value>,
}

impl EventLine {
    /// Whether the event has this field already.
    pub(super) fn has(&self, field: &FieldName) -> bool {
        match field {
            FieldName::Field(name) => self.fields.iter().any(|(one, _)| one == name),
            FieldName::Tag(tag) => self.tags.contains_key(tag),
        }
    }

    /// Adds a field unless it is there or `value` is empty.
    pub(super) fn add(&mut self, field: &FieldName, value: &str) {
        if value.is_empty() || self.has(field) {
            return;
        }
        match field {
            FieldName::Tag(tag) => {
                self.tags.insert(tag.clone(), Value::from(value));
            }
            FieldName::Field("tags") => match serde_json::from_str(value) {
                Ok(Value::Object(tags)) => self.tags.extend(tags),
                // Ingest refuses it and says why.
                _ => self.fields.push(("tags", quoted(value))),
            },
            FieldName::Field(name) => self.fields.push((name, literal(name, value))),
        }
    }

    /// Writes the object and a line feed, and empties this line.
    pub(super) fn write(&mut self, output: &mut Vec<u8>) {
        // A Vec takes every write.
        let mut separator = '{';
        for (name, literal) in self.fields.drain(..) {
            let _ = write!(output, "{separator}\"{name}\":{literal}");
            separator = ',';
        }
        if !self.tags.is_empty() {
            let tags = Value::Object(std::mem::take(&mut self.tags));
            let _ = write!(output, "{separator}\"tags\":{tags}");
            separator = ',';
        }
        if separator == '{' {
            output.push(b'{');
        }
        output.extend_from_slice(b"}\n");
    }
}

/// `value` as the JSON of this field: counts as numbers, times with a zone.
fn literal(name: &str, value: &str) -> String {
    match name {
        "event_time" => quoted(&with_zone(value)),
        "duration_ms" => number_or_quoted(value),
        name if name.ends_with("_tokens") => number_or_quoted(value),
        // Money is exact in a string as well.
        _ => quoted(value),
    }
}

fn number_or_quoted(value: &str) -> String {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    if whole && !padded { value.to_owned() } else { quoted(value) }
}

/// A time without a zone as UTC, cut to microseconds; anything else as it is.
fn with_zone(value: &str) -> String {
    let parsed =
        TIME_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(value, format).ok());
    parsed.map_or_else(
        || value.to_owned(),
        |time| time.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}

/// `value` as a JSON string.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}
