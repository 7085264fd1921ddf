//! What of an organization's directory somebody sees: what its rows name.

use crate::access::{Reach, RowReach};
use crate::directory::{Details, Directory, Entry, Membership};

/// Whether `entry` is to be seen by somebody who reads `reach`: all of an
/// organization by whoever reads all its rows; of a part the organization
/// itself, the part, a team's members and the keys of its users and teams.
pub(super) fn sees(reach: &Reach, directory: &Directory, entry: &Entry) -> bool {
    let Some(rows) = reach.of_organization(&entry.organization_id) else { return false };
    let RowReach::Parts { team_ids, departments, user_ids } = rows else { return true };
    match &entry.details {
        Details::Organization { .. } => true,
        Details::Department => departments.contains(&entry.id),
        Details::Team { department } => {
            let in_department = department.as_ref().is_some_and(|one| departments.contains(one));
            team_ids.contains(&entry.id) || in_department
        }
        Details::User => {
            let memberships = directory.memberships(&entry.organization_id, &entry.id);
            user_ids.contains(&entry.id)
                || memberships.iter().any(|one| team_ids.contains(&one.team_id))
        }
        Details::ApiKey { owner_user_id, team_id, .. } => {
            owner_user_id.as_ref().is_some_and(|owner| user_ids.contains(owner))
                || team_id.as_ref().is_some_and(|team| team_ids.contains(team))
        }
    }
}

/// Whether a membership of a user that is seen is seen itself: others' teams
/// are not.
pub(super) fn sees_membership(reach: &Reach, membership: &Membership) -> bool {
    match reach.of_organization(&membership.organization_id) {
        None => false,
        Some(RowReach::Whole) => true,
        Some(RowReach::Parts { team_ids, user_ids, .. }) => {
            user_ids.contains(&membership.user_id) || team_ids.contains(&membership.team_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::directory::{DirectoryKind, Record};

    const ORGANIZATION: &str = "aaaaaaaa-0000-4000-8000-000000000001";

    fn directory() -> Directory {
        let entry = |kind, id: &str| Entry::new(kind, ORGANIZATION, id, id);
        let membership = |user: &str, team: &str| {
            Record::Membership(Membership {
                organization_id: ORGANIZATION.to_owned(),
                user_id: user.to_owned(),
                team_id: team.to_owned(),
                valid_from: DateTime::UNIX_EPOCH,
                valid_to: None,
                primary: false,
            })
        };
        let key = |id: &str, owner: Option<&str>, team: Option<&str>| Entry {
            details: Details::ApiKey {
                provider: None,
                environment: None,
                owner_user_id: owner.map(str::to_owned),
                team_id: team.map(str::to_owned),
            },
            ..entry(DirectoryKind::ApiKey, id)
        };
        let named = [
            Entry::organization(ORGANIZATION, "Acme", chrono_tz::Tz::UTC),
            entry(DirectoryKind::Department, "sales"),
            entry(DirectoryKind::Team, "core"),
            entry(DirectoryKind::Team, "web"),
            entry(DirectoryKind::User, "ann"),
            entry(DirectoryKind::User, "bob"),
            key("ann-key", Some("ann"), None),
            key("web-key", None, Some("web")),
        ];
        let records = named.map(Record::Entry).into_iter();
        let records = records.chain([membership("ann", "core"), membership("bob", "web")]);
        Directory::of(records, DateTime::UNIX_EPOCH).expect("a directory")
    }

    fn seen(reach: &Reach) -> Vec<String> {
        let directory = directory();
        let kinds = [
            DirectoryKind::Organization,
            DirectoryKind::Department,
            DirectoryKind::Team,
            DirectoryKind::User,
            DirectoryKind::ApiKey,
        ];
        let entries = kinds.into_iter().flat_map(|kind| {
            let own = directory.get(kind, ORGANIZATION, ORGANIZATION);
            own.into_iter().chain(directory.entries(kind, ORGANIZATION)).collect::<Vec<_>>()
        });
        let seen = entries.filter(|entry| sees(reach, &directory, entry));
        let mut ids: Vec<String> = seen.map(|entry| entry.id.clone()).collect();
        ids.dedup();
        ids
    }

    #[test]
    fn a_part_of_an_organization_shows_itself_and_its_own() {
        let within = |rows| Reach::within(ORGANIZATION, rows);
        assert_eq!(seen(&within(RowReach::of_user("ann"))), [ORGANIZATION, "ann", "ann-key"]);
        let team = seen(&within(RowReach::of_team("web")));
        assert_eq!(team, [ORGANIZATION, "web", "bob", "web-key"]);
        assert_eq!(seen(&within(RowReach::of_department("sales"))), [ORGANIZATION, "sales"]);
        assert_eq!(seen(&within(RowReach::Whole)).len(), 8);
        assert_eq!(seen(&Reach::nothing()), [""; 0]);
        assert_eq!(seen(&Reach::within("another", RowReach::Whole)), [""; 0]);
    }
}
