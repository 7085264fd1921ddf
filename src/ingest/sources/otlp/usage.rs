//! Token counts of a record → the disjoint classes of an event.

use super::record::Entry;
use crate::ingest::field::Field;
use crate::ingest::wire::WireEvent;

/// The counts that a record states, before it is known which contain which.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The first count that is no whole number of 0 or more: its field and
    /// literal, for validation to refuse.
    wrong: Option<(Field, String)>,
}

/// The disjoint classes of an event, and the reasoning part of the output.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Classes {
    /// `None` where the source says nothing: unknown is never 0.
    pub(super) input: Option<i64>,
    pub(super) cache_read: i64,
    pub(super) cache_write: i64,
    pub(super) cache_write_1h: i64,
    /// `None` where the source says nothing.
    pub(super) output: Option<i64>,
    pub(super) reasoning: i64,
}

impl Counts {
    /// The first of `names` that `entry` has; `field` is the column that a
    /// wrong value is reported under. Numbers come as integers, as doubles, or
    /// as texts of digits (Claude Code before 2.1.122, Codex).
    pub(super) fn read(&mut self, entry: &Entry<'_>, names: &[&str], field: Field) -> Option<i64> {
        let value = names.iter().find_map(|name| entry.get(name))?;
        let digits = value.text()?;
        let whole = digits.strip_suffix(".0").unwrap_or(digits);
        let number = whole.parse::<i64>().ok().filter(|number| *number >= 0);
        if number.is_none() && self.wrong.is_none() {
            let is_number = serde_json::from_str::<serde_json::Number>(digits).is_ok();
            self.wrong = Some((field, if is_number { digits.into() } else { value.literal() }));
        }
        number
    }

    /// Writes `classes` into `wire`, and over them the count that was wrong.
    pub(super) fn write(self, classes: Classes, wire: &mut WireEvent<'_>) {
        for (field, count) in [
            (Field::InputTokens, classes.input),
            (Field::CacheReadTokens, Some(classes.cache_read)),
            (Field::CacheWriteTokens, Some(classes.cache_write)),
            (Field::CacheWrite1hTokens, Some(classes.cache_write_1h)),
            (Field::OutputTokens, classes.output),
            (Field::ReasoningTokens, Some(classes.reasoning)),
        ] {
            if let Some(count) = count {
                wire.set(field, count.to_string());
            }
        }
        if let Some((field, literal)) = self.wrong {
            wire.set(field, literal);
        }
    }
}

impl Classes {
    /// Takes the cached tokens out of an input count that includes them. An
    /// input smaller than its parts evidently does not include them, and stays.
    pub(super) fn take_cache_out_of_input(mut self) -> Self {
        let cached = [self.cache_read, self.cache_write, self.cache_write_1h];
        let cached = cached.into_iter().fold(0, i64::saturating_add);
        self.input = self.input.map(|input| if input < cached { input } else { input - cached });
        self
    }

    /// Puts reasoning into an output count that is smaller than it, and so
    /// evidently does not include it.
    pub(super) fn put_reasoning_into_output(mut self) -> Self {
        let reasoning = self.reasoning;
        self.output = self.output.map(|output| {
            if output < reasoning { output.saturating_add(reasoning) } else { output }
        });
        self
    }

    /// Whether any token is counted.
    pub(super) fn is_any(&self) -> bool {
        let counts = [self.input.unwrap_or(0), self.cache_read, self.cache_write];
        let others = [self.cache_write_1h, self.output.unwrap_or(0)];
        counts.into_iter().chain(others).any(|count| count > 0)
    }
}
