//! Which list was active since when.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who made a list active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ActivatedBy {
    /// The program, with the list it brought.
    Start,
    /// Somebody who chose it.
    Operator,
}

/// From `activated_at` on, events were priced by `price_version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activation {
    pub(super) price_version: String,
    pub(super) activated_at: DateTime<Utc>,
    pub(super) by: ActivatedBy,
}

/// Every activation, oldest first: the content of `active.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    pub(super) activations: Vec<Activation>,
}

impl History {
    /// The list that holds now.
    pub(super) fn active(&self) -> Option<&str> {
        self.activations.last().map(|last| last.price_version.as_str())
    }

    /// Whether the program's own list has to become active: nobody ever chose
    /// one, and it is not active yet.
    pub(super) fn wants_built_in(&self, version: &str) -> bool {
        let chosen = self.activations.iter().any(|one| one.by == ActivatedBy::Operator);
        !chosen && self.active() != Some(version)
    }

    pub(super) fn push(&mut self, version: &str, now: DateTime<Utc>, by: ActivatedBy) {
        let price_version = version.to_owned();
        self.activations.push(Activation { price_version, activated_at: now, by });
    }

    /// When `version` became active, each time.
    pub(super) fn times_of(&self, version: &str) -> Vec<DateTime<Utc>> {
        let of_version = self.activations.iter().filter(|one| one.price_version == version);
        of_version.map(|one| one.activated_at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_gives_way_only_to_a_chosen_one() {
        let now = DateTime::default();
        let mut history = History::default();
        assert!(history.wants_built_in("one"));
        history.push("one", now, ActivatedBy::Start);
        assert!(!history.wants_built_in("one"));
        assert!(history.wants_built_in("two"), "a later program brings a newer list");
        history.push("ours", now, ActivatedBy::Operator);
        assert!(!history.wants_built_in("two"));
        assert_eq!(history.active(), Some("ours"));
    }
}
