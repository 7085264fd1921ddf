//! Lines of the audit log about access.

use serde_json::Value;

use super::principal::Principal;
use crate::directory::Audit;

/// What `caller` did.
pub(super) fn audit_of(
    caller: &Principal,
    action: &str,
    subject: impl Into<String>,
    details: Value,
) -> Audit {
    caller.audit(action, &subject.into(), details)
}

/// What somebody did.
pub(super) fn audit(
    actor: &str,
    action: &str,
    subject: impl Into<String>,
    details: Value,
) -> Audit {
    let (actor, action) = (actor.to_owned(), action.to_owned());
    Audit { actor, action, subject: subject.into(), details }
}
