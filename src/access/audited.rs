//! What the audit log says of acts that read.

use serde_json::json;

use super::principal::Principal;
use crate::directory::Audit;

/// Text of a statement that the audit log keeps, characters.
const STATEMENT_CHARS_MAX: usize = 2_000;

impl Principal {
    /// What the audit log calls it: its name, and its id where that says more.
    pub fn actor(&self) -> String {
        let (id, name) = (self.id(), self.name());
        if id == name { name.to_owned() } else { format!("{name} ({id})") }
    }

    /// The line of a SQL statement: its text, cut, and never its parameters.
    pub fn audit_of_sql(&self, text: &str) -> Audit {
        let kept: String = text.chars().take(STATEMENT_CHARS_MAX).collect();
        let cut = kept.len() < text.len();
        self.audit("sql.run", "sql", json!({"statement": kept, "cut": cut}))
    }

    /// A line of what this principal does. Where all its roles are within one
    /// organization, that organization's admins see it too.
    pub fn audit(&self, action: &str, subject: &str, mut details: serde_json::Value) -> Audit {
        let organizations = self.organizations().unwrap_or_default();
        let mut organizations = organizations.into_iter();
        if let (Some(only), None, Some(details)) =
            (organizations.next(), organizations.next(), details.as_object_mut())
        {
            details.entry("organization_id").or_insert_with(|| only.into());
        }
        let (actor, action) = (self.actor(), action.to_owned());
        Audit { actor, action, subject: subject.to_owned(), details }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Domain, Grant, Origin, Permissions, Role};

    #[test]
    fn a_statement_is_cut_and_belongs_to_its_callers_only_organization() {
        let domain = Domain::Organization { organization_id: "o".to_owned() };
        let grants = vec![Grant::new(Role::Analyst, domain).expect("a grant")];
        let analyst = Principal::new("t1", "reports", Origin::Token, grants, Permissions::ALL);
        let audit = analyst.audit_of_sql(&"é".repeat(2_001));
        assert_eq!((audit.actor.as_str(), audit.action.as_str()), ("reports (t1)", "sql.run"));
        assert_eq!(audit.details["organization_id"], "o");
        assert_eq!(
            audit.details["statement"].as_str().map(|text| text.chars().count()),
            Some(2_000)
        );
        assert_eq!(audit.details["cut"], true);
        let audit = Principal::operator().audit_of_sql("SELECT 1");
        assert_eq!(audit.details, json!({"statement": "SELECT 1", "cut": false}));
    }
}
