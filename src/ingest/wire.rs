//! One event's JSON object, taken apart without interpreting its values: each
//! field keeps the literal text, so that money is read digit by digit.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::field::{Field, Key};

/// The literal JSON text of each field of one event. `null` counts as absent.
#[derive(Debug)]
pub(super) struct WireEvent<'a> {
    values: [Option<Cow<'a, str>>; Field::COUNT],
    /// The first field that stands there twice, if any.
    pub(super) repeated: Option<Field>,
    /// The first name that no field has, if any.
    pub(super) unknown: Option<String>,
    /// The organization to take when neither the event nor the request names
    /// one: an adapter's best guess.
    pub(super) organization_fallback: Option<String>,
    /// Whether the source could not say what was used: its token counts are
    /// then 0 because a count is required, and no price may turn them into a
    /// cost of 0.
    pub(super) usage_unknown: bool,
}

impl<'a> WireEvent<'a> {
    /// Takes one JSON object apart.
    pub(super) fn parse(line: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }

    /// An event that says nothing yet: adapters fill it with [`Self::set`].
    pub(super) fn empty() -> Self {
        Self {
            values: [const { None }; Field::COUNT],
            repeated: None,
            unknown: None,
            organization_fallback: None,
            usage_unknown: false,
        }
    }

    /// The literal of `field`.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        self.values[field as usize].as_deref()
    }

    /// Gives `field` a JSON literal: a number's digits as they came, or
    /// anything else that [`super::validate`] is to judge.
    pub(super) fn set(&mut self, field: Field, literal: impl Into<Cow<'a, str>>) {
        self.values[field as usize] = Some(literal.into());
    }

    /// Gives `field` a JSON literal unless it has one.
    pub(super) fn set_default(&mut self, field: Field, literal: impl FnOnce() -> Cow<'a, str>) {
        self.values[field as usize].get_or_insert_with(literal);
    }

    /// The event as one JSON object of our own fields.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::from("{");
        for field in Field::ALL {
            let Some(literal) = self.get(field) else { continue };
            let comma = if json.len() > 1 { "," } else { "" };
            json.push_str(&format!("{comma}\"{}\":{literal}", field.name()));
        }
        json.push('}');
        json
    }

    /// Gives `field` a text.
    pub(super) fn set_text(&mut self, field: Field, text: &str) {
        self.set(field, serde_json::Value::from(text).to_string());
    }
}

impl<'de> Deserialize<'de> for WireEvent<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;
        impl<'de> Visitor<'de> for EventVisitor {
            type Value = WireEvent<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object with the fields of one event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut event = WireEvent::empty();
                let mut seen = [false; Field::COUNT];
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Known(field) => {
                            let text = map.next_value::<&RawValue>()?.get();
                            if std::mem::replace(&mut seen[field as usize], true) {
                                event.repeated.get_or_insert(field);
                            }
                            event.values[field as usize] = (text != "null").then_some(text.into());
                        }
                        Key::Unknown(name) => {
                            map.next_value::<IgnoredAny>()?;
                            event.unknown.get_or_insert(name);
                        }
                    }
                }
                Ok(event)
            }
        }
        deserializer.deserialize_map(EventVisitor)
    }
}
