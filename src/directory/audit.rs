//! Who did what: one line for each act that changes something by hand.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// What somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Who, as well as is known: `api`, `cli`, a token's name.
    pub actor: String,
    /// A verb with its noun: `team.put`, `events.reprice`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What else is worth knowing; never prompt text.
    pub details: Value,
}

impl Audit {
    /// The organization whose admins may read the line: the one that the
    /// details or the subject name. `None` where they name none.
    pub fn organization_id(&self) -> Option<&str> {
        let named = self.details.get("organization_id").and_then(Value::as_str);
        let of_subject = || {
            let rest = self.subject.strip_prefix("organization/")?;
            rest.split('/').next()
        };
        named.or_else(of_subject)
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Sorts by time.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub audit: Audit,
}

/// Which lines of the audit log are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those that are older than the line of this id.
    pub before: Option<String>,
    /// So many at most.
    pub limit: u32,
    /// Only acts of this name.
    pub action: Option<String>,
    /// Only acts of whom the log calls so, or whose id stands in brackets.
    pub actor: Option<String>,
    /// The first moment.
    pub not_before: Option<DateTime<Utc>>,
    /// The moment after the last.
    pub until: Option<DateTime<Utc>>,
}

impl AuditFilter {
    /// The last lines, whatever they tell of.
    pub fn last(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_belongs_to_the_organization_that_it_names() {
        let of = |subject: &str, details: Value| {
            let (actor, action) = ("a".to_owned(), "team.put".to_owned());
            let audit = Audit { actor, action, subject: subject.to_owned(), details };
            audit.organization_id().map(str::to_owned)
        };
        assert_eq!(of("organization/o/team/t", Value::Null).as_deref(), Some("o"));
        assert_eq!(of("organization/o", json!({"name": "Acme"})).as_deref(), Some("o"));
        assert_eq!(of("0190", json!({"organization_id": "p"})).as_deref(), Some("p"));
        assert_eq!(of("directory", json!({"organization_id": null})), None);
    }
}
