//! The tags that an adapter finds.

use serde_json::{Map, Value};

use super::object::is_identifier;
use crate::ingest::field::Field;
use crate::ingest::validate::{TAG_NAME_CHARS_MAX, TAGS_MAX};
use crate::ingest::wire::WireEvent;

/// Tags that keep to the rules. One that does not is left out, not refused:
/// an event must not be lost over a label that somebody else chose.
#[derive(Debug, Default)]
pub(super) struct Tags(Map<String, Value>);

impl Tags {
    /// Adds a tag, unless one of this name is there: the first one counts.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let fits = name.chars().count() <= TAG_NAME_CHARS_MAX && is_identifier(name);
        if fits && is_identifier(value) && self.0.len() < TAGS_MAX && !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Value::from(value));
        }
    }

    /// Gives the tags to `event`.
    pub(super) fn set(self, event: &mut WireEvent<'_>) {
        if !self.0.is_empty() {
            event.set(Field::Tags, Value::Object(self.0).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_breaks_a_rule_is_left_out_and_the_first_of_a_name_counts() {
        let mut tags = Tags::default();
        for (name, value) in [("a", "1"), ("a", "2"), ("", "x"), ("b", ""), ("c", "x\ny")] {
            tags.add(name, value);
        }
        tags.add("long", &"x".repeat(257));
        (0..40).for_each(|number| tags.add(&format!("n{number}"), "x"));
        let mut event = WireEvent::empty();
        tags.set(&mut event);
        let found: Map<String, Value> =
            serde_json::from_str(event.get(Field::Tags).expect("tags")).expect("an object");
        assert_eq!((found["a"].as_str(), found.len()), (Some("1"), 32));
        assert!(!found.contains_key("b") && !found.contains_key("c"));
    }
}
