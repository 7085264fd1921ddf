//! For which organizations a sender may write.

use super::field::Field;
use super::rejected::{RejectReason, Rejection};
use crate::access::Reach;

/// What whoever owns the process may write.
pub(super) static EVERYTHING: Reach = Reach::Everything;

/// The organization of events that name none: the only one that the sender
/// may write for, where there is only one.
pub(super) fn only_organization(reach: &Reach) -> Option<&str> {
    let mut organizations = organizations(reach)?;
    let first = organizations.next();
    first.filter(|_| organizations.next().is_none())
}

/// Refuses an event of an organization that the sender may not write for.
pub(super) fn check(reach: &Reach, organization_id: &str) -> Result<(), Rejection> {
    if reach.reads_whole(organization_id) {
        return Ok(());
    }
    let known: Vec<&str> = organizations(reach).into_iter().flatten().collect();
    let rule = match known.as_slice() {
        [only] => format!(
            "the token writes for organization {only} only; leave organization_id out, or use a \
             token of this organization"
        ),
        several => format!(
            "the token writes for organizations {} only; use a token of this organization",
            several.join(", ")
        ),
    };
    let field = Field::OrganizationId.name();
    Err(Rejection::of_field(RejectReason::ForeignOrganization, field, Some(organization_id), rule))
}

/// Whose refused line it is: what a sender may not write for must not show
/// among its own refused lines.
pub(super) fn owner(reach: &Reach, named: Option<String>) -> Option<String> {
    let own = named.filter(|id| reach.reads_whole(id));
    own.or_else(|| only_organization(reach).map(str::to_owned))
}

/// The organizations that are written for as a whole; none for all of them.
fn organizations(reach: &Reach) -> Option<impl Iterator<Item = &str>> {
    match reach {
        Reach::Everything => None,
        Reach::Within(organizations) => {
            let whole = organizations.keys().filter(|id| reach.reads_whole(id));
            Some(whole.map(String::as_str))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::RowReach;

    #[test]
    fn a_sender_of_one_organization_writes_for_it_alone() {
        let ours = Reach::within("a", RowReach::Whole);
        assert_eq!(only_organization(&ours), Some("a"));
        assert!(check(&ours, "a").is_ok());
        let message = check(&ours, "b").expect_err("refused").message();
        assert!(message.contains("writes for organization a only"), "{message}");
        assert_eq!(owner(&ours, Some("b".to_owned())).as_deref(), Some("a"));
        assert_eq!(owner(&ours, None).as_deref(), Some("a"));
    }

    #[test]
    fn a_sender_of_several_must_name_one_of_them() {
        let part = Reach::within("c", RowReach::of_team("t"));
        let both = Reach::within("a", RowReach::Whole).or(Reach::within("b", RowReach::Whole));
        let both = both.or(part);
        assert_eq!(only_organization(&both), None);
        assert!(check(&both, "a").is_ok() && check(&both, "b").is_ok());
        assert!(
            check(&both, "c").expect_err("a part is not enough").message().contains("a, b only")
        );
        assert_eq!(owner(&both, Some("c".to_owned())), None);
    }

    #[test]
    fn everything_is_written_by_whoever_may() {
        assert_eq!(only_organization(&EVERYTHING), None);
        assert!(check(&EVERYTHING, "a").is_ok());
        assert_eq!(owner(&EVERYTHING, Some("b".to_owned())).as_deref(), Some("b"));
    }
}
