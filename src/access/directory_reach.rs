//! Which things of the directory a reach holds: the same rules as those of the
//! directory's tables in SQL.

use std::collections::BTreeSet;

use super::reach::{Reach, RowReach};
use crate::directory::{Details, Directory, DirectoryKind, Entry, Membership};

/// The things of a directory that are within a reach.
///
/// Whoever reads rows of an organization may know the organization itself. Of
/// the things in it, all are within the whole of it. Within a part are: its
/// departments; its teams and those of its departments; its users and whoever
/// is or was in one of these teams; the keys of these teams and of its users;
/// and the memberships of these teams and of its users.
#[derive(Debug, Clone, Copy)]
pub struct DirectoryReach<'a> {
    directory: &'a Directory,
    reach: &'a Reach,
}

impl<'a> DirectoryReach<'a> {
    /// The things of `directory` within `reach`.
    pub fn new(directory: &'a Directory, reach: &'a Reach) -> Self {
        Self { directory, reach }
    }

    /// Whether a thing is within it.
    pub fn holds(&self, entry: &Entry) -> bool {
        let organization_id = match entry.kind() {
            DirectoryKind::Organization => &entry.id,
            _ => &entry.organization_id,
        };
        let Some(rows) = self.reach.of_organization(organization_id) else { return false };
        let (id, user_ids) = match rows {
            RowReach::Whole => return true,
            RowReach::Parts { user_ids, .. } => (&entry.id, user_ids),
        };
        match &entry.details {
            Details::Organization { .. } => true,
            Details::Department => rows.holds(None, Some(id), None),
            Details::Team { department } => rows.holds(Some(id), department.as_deref(), None),
            Details::User => user_ids.contains(id) || self.has_member(organization_id, rows, id),
            Details::ApiKey { owner_user_id, team_id, .. } => {
                let is_own = owner_user_id.as_ref().is_some_and(|owner| user_ids.contains(owner));
                let team_id = team_id.as_deref();
                is_own || team_id.is_some_and(|team| self.holds_team(organization_id, rows, team))
            }
        }
    }

    /// Whether a membership is within it.
    pub fn holds_membership(&self, membership: &Membership) -> bool {
        let Membership { organization_id, user_id, team_id, .. } = membership;
        match self.reach.of_organization(organization_id) {
            None => false,
            Some(RowReach::Whole) => true,
            Some(rows @ RowReach::Parts { user_ids, .. }) => {
                user_ids.contains(user_id) || self.holds_team(organization_id, rows, team_id)
            }
        }
    }

    /// Whether the user is or was in a team within `rows`.
    fn has_member(&self, organization_id: &str, rows: &RowReach, user_id: &str) -> bool {
        let memberships = self.directory.memberships(organization_id, user_id);
        let teams: BTreeSet<&String> = memberships.iter().map(|one| &one.team_id).collect();
        teams.into_iter().any(|team_id| self.holds_team(organization_id, rows, team_id))
    }

    /// Whether a team, known to the directory or not, is within `rows`.
    fn holds_team(&self, organization_id: &str, rows: &RowReach, team_id: &str) -> bool {
        let department = self.directory.department_of_team(organization_id, team_id);
        rows.holds(Some(team_id), department, None)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::directory::Record;

    const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const BETA: &str = "bbbbbbbb-0000-4000-8000-000000000002";

    fn team(organization_id: &str, id: &str, department: Option<&str>) -> Record {
        let mut entry = Entry::new(DirectoryKind::Team, organization_id, id, id);
        entry.details = Details::Team { department: department.map(str::to_owned) };
        Record::Entry(entry)
    }

    fn key(id: &str, owner: Option<&str>, team: Option<&str>) -> Record {
        let mut entry = Entry::new(DirectoryKind::ApiKey, ACME, id, id);
        entry.details = Details::ApiKey {
            provider: None,
            environment: None,
            owner_user_id: owner.map(str::to_owned),
            team_id: team.map(str::to_owned),
        };
        Record::Entry(entry)
    }

    fn member(user_id: &str, team_id: &str) -> Record {
        Record::Membership(Membership {
            organization_id: ACME.to_owned(),
            user_id: user_id.to_owned(),
            team_id: team_id.to_owned(),
            valid_from: DateTime::UNIX_EPOCH,
            valid_to: None,
            primary: false,
        })
    }

    /// Two organizations with a team, a user and a department of equal ids.
    fn directory() -> Directory {
        let mut records = Vec::new();
        for organization in [ACME, BETA] {
            let zone = chrono_tz::Tz::UTC;
            records.push(Record::Entry(Entry::organization(organization, "name", zone)));
            for (kind, id) in [
                (DirectoryKind::Department, "sales"),
                (DirectoryKind::User, "ann"),
                (DirectoryKind::User, "bob"),
            ] {
                records.push(Record::Entry(Entry::new(kind, organization, id, id)));
            }
            records.push(team(organization, "core", None));
            records.push(team(organization, "deals", Some("sales")));
        }
        records.extend([member("ann", "core"), member("bob", "deals")]);
        records.push(key("k-ann", Some("ann"), None));
        records.push(key("k-core", None, Some("core")));
        records.push(key("k-deals", Some("bob"), Some("deals")));
        Directory::of(records, DateTime::UNIX_EPOCH).expect("a directory")
    }

    /// The names of everything within `reach`.
    fn held(reach: &Reach) -> Vec<String> {
        let directory = directory();
        let within = DirectoryReach::new(&directory, reach);
        let mut held = Vec::new();
        for organization in directory.organizations() {
            let short = &organization.id[..1];
            let kinds = [
                DirectoryKind::Department,
                DirectoryKind::Team,
                DirectoryKind::User,
                DirectoryKind::ApiKey,
            ];
            let inner = kinds.iter().flat_map(|kind| directory.entries(*kind, &organization.id));
            let all = std::iter::once(organization).chain(inner);
            let found = all.filter(|entry| within.holds(entry));
            held.extend(found.map(|entry| format!("{short}/{}", entry.id)));
            let memberships = directory.all_memberships(&organization.id);
            let found = memberships.filter(|one| within.holds_membership(one));
            held.extend(found.map(|one| format!("{short}/{}@{}", one.user_id, one.team_id)));
        }
        held
    }

    fn in_acme(rows: RowReach) -> Vec<String> {
        let mut held = held(&Reach::within(ACME, rows));
        assert_eq!(held.remove(0), format!("a/{ACME}"));
        held
    }

    #[test]
    fn a_part_of_an_organization_holds_what_belongs_to_it() {
        let of_team = in_acme(RowReach::of_team("core"));
        assert_eq!(of_team, ["a/core", "a/ann", "a/k-core", "a/ann@core"]);
        let of_department = in_acme(RowReach::of_department("sales"));
        assert_eq!(of_department, ["a/sales", "a/deals", "a/bob", "a/k-deals", "a/bob@deals"]);
        assert_eq!(in_acme(RowReach::of_user("ann")), ["a/ann", "a/k-ann", "a/ann@core"]);
        assert_eq!(in_acme(RowReach::of_team("ann")), <[&str; 0]>::default());
    }

    #[test]
    fn the_whole_of_one_organization_holds_nothing_of_another() {
        let held_of_acme = held(&Reach::within(ACME, RowReach::Whole));
        assert!(held_of_acme.iter().all(|one| one.starts_with("a/")), "{held_of_acme:?}");
        assert_eq!(held_of_acme.len(), 11);
        assert_eq!(held(&Reach::nothing()).len(), 0);
        assert_eq!(held(&Reach::Everything).len(), 17);
    }
}
