//! Which of several sources that saw one request counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Stands for every source that the list does not name.
const OTHERS: &str = "*";

/// Sources that a list may name: more than any installation has.
const SOURCES_MAX: usize = 100;

/// Sources, those first whose word counts most. A `*` is the place of those
/// that the list does not name; without one they come last. They are equal
/// among themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePrecedence {
    /// Without the `*`.
    sources: Vec<String>,
    /// How many of `sources` come before those that are not named.
    before_others: usize,
}

impl Default for SourcePrecedence {
    /// Gateways know key, team and what is charged, so they come first; a
    /// tool's own telemetry knows the call, its transcript least.
    fn default() -> Self {
        let sources = [
            "litellm",
            "api",
            "gen-ai",
            "claude-code",
            "codex",
            "gemini-cli",
            "claude-code-transcript",
        ];
        Self { sources: sources.map(str::to_owned).to_vec(), before_others: 2 }
    }
}

impl SourcePrecedence {
    /// The place of `source`: the smaller one counts.
    pub fn rank(&self, source: &str) -> usize {
        match self.sources.iter().position(|known| known == source) {
            Some(place) if place < self.before_others => place,
            // Those that are not named have a place of their own in between.
            Some(place) => place + 1,
            None => self.before_others,
        }
    }

    /// Whether an event of `newcomer` takes the place of one of `counting`. Of
    /// equals, the first one that came counts.
    pub fn supersedes(&self, newcomer: &str, counting: &str) -> bool {
        self.rank(newcomer) < self.rank(counting)
    }

    fn from_names(names: Vec<String>) -> Result<Self> {
        let (mut sources, mut before_others) = (Vec::with_capacity(names.len()), None);
        if names.len() > SOURCES_MAX {
            return Err(Error::invalid(format!(
                "source_precedence names {} sources; at most {SOURCES_MAX} can be ordered",
                names.len()
            )));
        }
        for name in names {
            let repeated = sources.contains(&name) || (name == OTHERS && before_others.is_some());
            if name.is_empty() || repeated {
                return Err(Error::invalid(format!(
                    "source_precedence names {name:?} {}; name each source once, those first \
                     whose events count",
                    if repeated { "twice" } else { "as a source" }
                )));
            }
            match name == OTHERS {
                true => before_others = Some(sources.len()),
                false => sources.push(name),
            }
        }
        let before_others = before_others.unwrap_or(sources.len());
        Ok(Self { sources, before_others })
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        names.insert(self.before_others, OTHERS);
        names
    }
}

impl FromStr for SourcePrecedence {
    type Err = Error;

    /// Reads names with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self::from_names(names.map(str::to_owned).collect())
    }
}

impl fmt::Display for SourcePrecedence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.names().join(","))
    }
}

impl Serialize for SourcePrecedence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SourcePrecedence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_names(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precedence(text: &str) -> SourcePrecedence {
        text.parse().expect("a precedence")
    }

    #[test]
    fn the_earlier_name_counts_and_of_equals_nobody_gives_way() {
        let precedence = SourcePrecedence::default();
        assert!(precedence.supersedes("litellm", "claude-code"));
        assert!(!precedence.supersedes("claude-code", "litellm"));
        assert!(!precedence.supersedes("litellm", "litellm"));
    }

    #[test]
    fn sources_that_are_not_named_stand_at_the_star_and_are_equal() {
        let precedence = precedence("a, *, b");
        assert!(precedence.supersedes("a", "x") && precedence.supersedes("x", "b"));
        assert!(!precedence.supersedes("x", "y") && !precedence.supersedes("y", "x"));
    }

    #[test]
    fn without_a_star_they_come_last() {
        assert!(precedence("a,b").supersedes("b", "x"));
        assert_eq!(precedence("a,b"), precedence("a,b,*"));
    }

    #[test]
    fn the_default_is_what_its_text_says() {
        let default = SourcePrecedence::default();
        assert_eq!(precedence(&default.to_string()), default);
        assert_eq!(
            default.to_string(),
            "litellm,api,*,gen-ai,claude-code,codex,gemini-cli,claude-code-transcript"
        );
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        for wrong in ["a,b,a", "*,a,*"] {
            let error = wrong.parse::<SourcePrecedence>().expect_err("refused");
            assert!(error.to_string().contains("twice"), "{error}");
        }
    }
}
