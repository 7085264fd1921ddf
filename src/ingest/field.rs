//! The names that an event's fields have on the wire.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

macro_rules! fields {
    ($($variant:ident = $name:literal $(| $alias:literal)*;)+) => {
        /// A field of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($variant,)+ }

        impl Field {
            /// How many fields there are.
            pub(super) const COUNT: usize = Self::ALL.len();

            /// Every field, in column order.
            pub(super) const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Every name and alias, for hints.
            const NAMES: &'static [&'static str] = &[$($name, $($alias,)*)+];

            /// The column's name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The field of this name or alias.
            pub(super) fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

fields! {
    EventId = "event_id";
    Source = "source";
    EventTime = "event_time" | "timestamp";
    OrganizationId = "organization_id";
    TeamId = "team_id";
    Department = "department";
    UserId = "user_id";
    ApiKeyId = "api_key_id";
    ConversationId = "conversation_id";
    RequestId = "request_id";
    Provider = "provider" | "api_key_provider";
    ModelName = "model_name" | "model";
    Status = "status";
    Topic = "topic";
    InputTokens = "input_tokens";
    CacheReadTokens = "cache_read_tokens";
    CacheWriteTokens = "cache_write_tokens";
    CacheWrite1hTokens = "cache_write_1h_tokens";
    OutputTokens = "output_tokens";
    ReasoningTokens = "reasoning_tokens";
    ActualApiCost = "actual_api_cost";
    ChargedCost = "charged_cost" | "total_cost";
    DurationMs = "duration_ms";
    Tags = "tags";
}

impl Field {
    /// The known name nearest to `unknown`, when it is near enough to be a slip.
    pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
        Self::NAMES
            .iter()
            .map(|name| (strsim::damerau_levenshtein(name, unknown), *name))
            .filter(|(distance, _)| *distance <= 3)
            .min()
            .map(|(_, name)| name)
    }
}

/// The field of an event that has this name or alias, by its column's name.
pub fn event_field(name: &str) -> Option<&'static str> {
    Field::parse(name).map(Field::name)
}

/// Every name and alias of an event's fields.
pub fn event_field_names() -> &'static [&'static str] {
    Field::NAMES
}

/// A key of an event's object: a field, or a name nobody knows.
pub(super) enum Key {
    Known(Field),
    Unknown(String),
}

/// Unknown names are kept for the message only up to this many characters.
const UNKNOWN_NAME_CHARS_MAX: usize = 64;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Field::parse(name).map_or_else(
                    || Key::Unknown(name.chars().take(UNKNOWN_NAME_CHARS_MAX).collect()),
                    Key::Known,
                ))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
