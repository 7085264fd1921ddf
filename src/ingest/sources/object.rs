//! JSON objects of formats that somebody else defines: taken apart one level
//! deep, without interpreting or copying what is not asked for. A value of
//! another kind than expected counts as absent, so that a field that changes
//! its meaning in the next version loses no event.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ingest::validate::{TEXT_CHARS_MAX, string_content};
use crate::model::parse_decimal;

/// What Python's `str(None)` leaves where there is nothing.
const PYTHON_NONE: &str = "None";

/// Digits after the point of an epoch time that are kept: microseconds.
const EPOCH_SCALE: u32 = 6;

/// Shape of a time without a zone, which is read as UTC.
const TIME_FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];

/// The fields of one object, each with its literal text.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Takes one object apart.
    pub(super) fn parse(text: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// The literal of `name`. `null` counts as absent; of a repeated name the
    /// last one counts, as in most readers.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(one, _)| one == name);
        found.map(|(_, literal)| *literal).filter(|literal| *literal != "null")
    }

    /// Whether an object has a field of this name at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The object under `name`; an empty one where there is none.
    pub(super) fn object(&self, name: &str) -> Object<'a> {
        let parsed = self.get(name).map(|literal| Self::parse(literal.as_bytes()));
        parsed.and_then(Result::ok).unwrap_or_default()
    }

    /// The elements of the array under `name`; none where there is no array.
    pub(super) fn array(&self, name: &str) -> Vec<&'a str> {
        let parsed = self.get(name).map(serde_json::from_str::<Vec<&'a RawValue>>);
        let elements = parsed.and_then(Result::ok).unwrap_or_default();
        elements.into_iter().map(RawValue::get).collect()
    }

    /// A text that says something.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let text = string_content(self.get(name)?)?;
        (!text.is_empty() && text != PYTHON_NONE).then_some(text)
    }

    /// A text, or a number, that can stand in an identifier's column. One that
    /// cannot is left out: it would cost the whole event.
    pub(super) fn id(&self, name: &str) -> Option<Cow<'a, str>> {
        let id = self.text(name).or_else(|| self.number(name).map(Cow::Borrowed))?;
        is_identifier(&id).then_some(id)
    }

    /// The literal of a number.
    pub(super) fn number(&self, name: &str) -> Option<&'a str> {
        let literal = self.get(name)?;
        let first = literal.as_bytes().first()?;
        (*first == b'-' || first.is_ascii_digit()).then_some(literal)
    }

    /// Whether the value is `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A count. Absent is `None`; what is no whole number of 0 or more is an
    /// error, since a count that cannot be read must not become 0.
    pub(super) fn count(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(literal) = self.get(name) else { return Ok(None) };
        // Some writers turn counts into floats on the way.
        let digits = literal.strip_suffix(".0").unwrap_or(literal);
        match digits.parse::<i64>() {
            Ok(count) if (0..=COUNT_MAX).contains(&count) => Ok(Some(count)),
            _ => Err(format!("{name} must be a whole number of 0 to {COUNT_MAX}")),
        }
    }

    /// A time: seconds since 1970 as a number, read digit by digit, or a text
    /// in ISO 8601, in UTC where it names no zone.
    pub(super) fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        if let Some(literal) = self.number(name) {
            let micros = parse_decimal(literal, EPOCH_SCALE).ok()?.mantissa;
            return DateTime::from_timestamp_micros(i64::try_from(micros).ok()?);
        }
        let text = self.text(name)?;
        let zoned = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).ok();
        let naive = || {
            let formats = TIME_FORMATS.iter();
            formats.into_iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())
        };
        zoned.or_else(|| naive().map(|time| time.and_utc()))
    }
}

/// Far above any real count, and low enough that sums of a few cannot overflow.
const COUNT_MAX: i64 = 1_000_000_000_000;

/// Whether `text` fits the rules that every name and identifier is judged by.
pub(super) fn is_identifier(text: &str) -> bool {
    let short = text.len() <= TEXT_CHARS_MAX || text.chars().count() <= TEXT_CHARS_MAX;
    short && !text.is_empty() && !text.chars().any(char::is_control)
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    fields.push((name, value.get()));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Object::parse(text.as_bytes()).expect("an object")
    }

    #[test]
    fn a_value_of_another_kind_counts_as_absent() {
        let object = object(r#"{"a":[1],"b":{"c":1},"d":7,"e":"None","f":""}"#);
        assert!(object.text("a").is_none() && object.object("a").0.is_empty());
        assert!(object.text("d").is_none() && object.text("e").is_none() && !object.has("g"));
        assert_eq!(object.id("d").as_deref(), Some("7"));
        assert!(object.array("b").is_empty() && object.id("f").is_none());
    }

    #[test]
    fn an_epoch_time_keeps_its_microseconds() {
        let object =
            object(r#"{"a":1795496285.626084,"b":"2026-11-24T09:00:00.25","c":"x","d":1}"#);
        let micros = object.time("a").map(|time| time.timestamp_micros());
        assert_eq!(micros, Some(1_795_496_285_626_084));
        let iso = object.time("b").map(|time| time.to_rfc3339());
        assert_eq!(iso.as_deref(), Some("2026-11-24T09:00:00.250+00:00"));
        assert_eq!((object.time("c"), object.time("e")), (None, None));
    }

    #[test]
    fn a_count_that_cannot_be_read_is_no_zero() {
        let object = object(r#"{"a":12,"b":12.0,"c":-1,"d":"7","e":1.5,"f":1e40,"g":null}"#);
        assert_eq!((object.count("a"), object.count("b")), (Ok(Some(12)), Ok(Some(12))));
        assert_eq!((object.count("g"), object.count("h")), (Ok(None), Ok(None)));
        for name in ["c", "d", "e", "f"] {
            assert!(object.count(name).is_err(), "{name}");
        }
    }
}
