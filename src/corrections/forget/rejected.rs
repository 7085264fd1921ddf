//! Refused lines that name a user: what they say goes, and why they were
//! refused stays.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use serde_json::Value;

use super::rows::{text_column, with_column};
use crate::directory::Erasure;
use crate::error::Result;
use crate::ingest::{RejectReason, organization_id_of};
use crate::model::mentions;

/// Texts that hold what a sender said. They go as a whole.
const SENDERS_TEXTS: [&str; 4] = ["source", "event_id", "value", "payload"];
/// Our words, not the sender's: for nested values, and for a source not said.
const OUR_WORDS: [&str; 3] = ["a JSON object", "a JSON array", "api"];
/// What stands in the place of a rule that names the user.
const FORGOTTEN: &str = "(forgotten)";

/// The columns that are looked into.
struct Texts<'a> {
    organization_id: &'a StringArray,
    source: &'a StringArray,
    event_id: &'a StringArray,
    reason: &'a StringArray,
    field: &'a StringArray,
    value: &'a StringArray,
    rule: &'a StringArray,
    message: &'a StringArray,
    payload: &'a StringArray,
}

/// The rows of `rejected_events` without what their senders said, where that
/// names the user: the organization's rows, and those of nobody.
pub(super) fn blank_texts(
    rows: &RecordBatch,
    erasure: &Erasure,
) -> Result<Option<(RecordBatch, u64)>> {
    let texts = Texts::of(rows)?;
    let named: Vec<bool> = (0..rows.num_rows()).map(|row| texts.name(row, erasure)).collect();
    let changed = named.iter().filter(|named| **named).count() as u64;
    if changed == 0 {
        return Ok(None);
    }
    let kept = |column: &StringArray, instead: &dyn Fn(usize) -> Option<String>| {
        let kept = |row: usize| match named[row] {
            true => instead(row),
            false => text(column, row).map(str::to_owned),
        };
        Arc::new((0..column.len()).map(kept).collect::<StringArray>())
    };
    let user = erasure.user_id.as_str();
    let unsaid = |column: &StringArray, row: usize| {
        text(column, row).filter(|text| !mentions(text, user)).map(str::to_owned)
    };
    let rule = |row: usize| Some(unsaid(texts.rule, row).unwrap_or_else(|| FORGOTTEN.to_owned()));
    let mut changed_rows = rows.clone();
    for name in SENDERS_TEXTS {
        let column = kept(text_column(rows, name)?, &|_| None);
        changed_rows = with_column(&changed_rows, name, column)?;
    }
    for (name, column) in [
        ("field", kept(texts.field, &|row| unsaid(texts.field, row))),
        ("rule", kept(texts.rule, &rule)),
        ("message", kept(texts.message, &rule)),
    ] {
        changed_rows = with_column(&changed_rows, name, column)?;
    }
    Ok(Some((changed_rows, changed)))
}

impl<'a> Texts<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            organization_id: text_column(rows, "organization_id")?,
            source: text_column(rows, "source")?,
            event_id: text_column(rows, "event_id")?,
            reason: text_column(rows, "reason")?,
            field: text_column(rows, "field")?,
            value: text_column(rows, "value")?,
            rule: text_column(rows, "rule")?,
            message: text_column(rows, "message")?,
            payload: text_column(rows, "payload")?,
        })
    }

    /// Whether a row is the organization's, or nobody's, and names the user.
    fn name(&self, row: usize, erasure: &Erasure) -> bool {
        let user = erasure.user_id.as_str();
        let organization = text(self.organization_id, row).filter(|id| !id.is_empty());
        // A line keeps the organization as its sender wrote it.
        let is_ours = organization.is_none_or(|id| {
            id == erasure.organization_id || organization_id_of(id) == erasure.organization_id
        });
        let said = |column, says: fn(&str, &str) -> bool| {
            text(column, row).is_some_and(|text| says(text, user))
        };
        // Only an unknown field is called as its sender likes.
        let unknown = text(self.reason, row) == Some(RejectReason::UnknownField.as_str());
        is_ours
            && (said(self.payload, payload_names)
                || said(self.value, value_names)
                || said(self.event_id, mentions)
                || said(self.source, sender_names)
                || (unknown && said(self.field, mentions))
                || said(self.rule, quotes)
                || said(self.message, quotes))
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Whether a payload has the user as a whole value.
fn payload_names(payload: &str, user: &str) -> bool {
    match serde_json::from_str::<Value>(payload) {
        Ok(value) => has_value(&value, user),
        Err(_) => mentions(payload, user),
    }
}

fn has_value(value: &Value, user: &str) -> bool {
    match value {
        Value::String(text) => text == user,
        Value::Array(values) => values.iter().any(|value| has_value(value, user)),
        // A number is an id where an id belongs.
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let is_id =
                |number: &serde_json::Number| name == "user_id" && number.to_string() == user;
            value.as_number().is_some_and(is_id) || has_value(value, user)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether the literal of a field names the user.
fn value_names(literal: &str, user: &str) -> bool {
    let decoded = serde_json::from_str::<String>(literal);
    let text = decoded.as_deref().unwrap_or(literal);
    sender_names(text, user)
}

/// Whether a text names the user, unless it is one of ours.
fn sender_names(text: &str, user: &str) -> bool {
    !OUR_WORDS.contains(&text) && mentions(text, user)
}

/// Whether a sentence of ours quotes the user: its own words are no ids.
fn quotes(sentence: &str, user: &str) -> bool {
    sentence.contains(&format!("{user:?}")) || sentence.contains(&Value::from(user).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_whole_values_however_they_are_escaped() {
        let payload = r#"{"user_id":"J\u00fcrgen \"J\" \/ \\","model":"a-b"}"#;
        assert!(payload_names(payload, r#"Jürgen "J" / \"#));
        for user in ["a", "user_id", "b", "Jürgen", "model"] {
            assert!(!payload_names(payload, user), "{user}");
        }
        assert!(payload_names(r#"{"user_id":4711}"#, "4711"));
        assert!(!payload_names(r#"{"input_tokens":4711}"#, "4711"));
        assert!(payload_names("broken: 'ada'", "ada") && !payload_names("canada", "ada"));
    }

    #[test]
    fn a_value_names_the_user_as_a_token() {
        for literal in [r#""ada""#, r#""\u0061da""#, r#""of ada, today""#, "ada"] {
            assert!(value_names(literal, "ada"), "{literal}");
        }
        assert!(!value_names("a JSON object", "a") && !value_names(r#""canada""#, "ada"));
    }

    #[test]
    fn the_words_of_a_rule_are_no_users() {
        let rule = "the value of \"ada\" must not hold a control character";
        assert!(quotes(rule, "ada"));
        for user in ["a", "value", "control", "ad"] {
            assert!(!quotes(rule, user), "{user}");
        }
    }
}
