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
