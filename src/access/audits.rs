//! Lines of the audit log about access.

use serde_json::Value;

use super::grant::Grant;
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

/// `details` of an act on what has these grants: where all of them are within
/// one organization, its admins see the line.
pub(super) fn seen_by_admins_of(grants: &[Grant], mut details: Value) -> Value {
    let first = grants.first().and_then(|grant| grant.domain().organization_id());
    let same = |grant: &Grant| grant.domain().organization_id() == first;
    if let (Some(only), true, Some(details)) =
        (first, grants.iter().all(same), details.as_object_mut())
    {
        details.insert("organization_id".to_owned(), only.into());
    }
    details
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::{Domain, Role};

    #[test]
    fn only_what_lies_within_one_organization_is_seen_by_its_admins() {
        let over = |id: &str| {
            let domain = Domain::Organization { organization_id: id.to_owned() };
            Grant::new(Role::Analyst, domain).expect("a grant")
        };
        let platform = Grant::new(Role::Analyst, Domain::Platform).expect("a grant");
        let details = |grants: &[Grant]| seen_by_admins_of(grants, json!({}));
        assert_eq!(details(&[over("o"), over("o")]), json!({ "organization_id": "o" }));
        assert_eq!(details(&[over("o"), over("p")]), json!({}));
        assert_eq!(details(&[over("o"), platform]), json!({}));
        assert_eq!(details(&[]), json!({}));
    }
}
