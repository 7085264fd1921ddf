//! Two organizations with equal teams, departments, users, keys and
//! conversations, and somebody of each role.

use crate::access::{Domain, Grant, Origin, Permissions, Principal, Role};
use crate::directory::{DirectoryKind, Entry};
use crate::model::{Status, UsageEvent};

use super::fixture::{ACME, BETA, Server, event};

/// An organization that nobody ever named.
pub(super) const GHOST: &str = "cccccccc-0000-4000-8000-000000000003";

/// What the events of one organization cost together; those of Beta cost ten
/// times as much.
pub(super) const ACME_COST: &str = "15";

/// Of each organization: ann (core, eng) and bob (core, eng) share the
/// conversation "chat", cid (ops, sales) has "talk", and ann without a team has
/// "solo"; of Beta also zed. They cost 1, 2, 4 and 8 in Acme.
pub(super) fn events() -> Vec<UsageEvent> {
    let mut events = Vec::new();
    for (organization, zero, status, topic) in
        [(ACME, "", Status::Completed, "plans"), (BETA, "0", Status::Failed, "secret of beta")]
    {
        for (index, user, team, department, conversation, cost) in [
            (1, "ann", Some("core"), Some("eng"), "chat", 1),
            (2, "bob", Some("core"), Some("eng"), "chat", 2),
            (3, "cid", Some("ops"), Some("sales"), "talk", 4),
            (4, "ann", None, None, "solo", 8),
        ] {
            let (at, cost) = (format!("2026-03-1{index}T10:00:00Z"), format!("{cost}{zero}"));
            let known = event(index, &at, user, conversation, Some(&cost), Some(&cost));
            events.push(UsageEvent {
                organization_id: organization.to_owned(),
                team_id: team.map(str::to_owned),
                department: department.map(str::to_owned),
                api_key_id: Some(format!("key-{user}")),
                request_id: Some("r1".to_owned()),
                topic: Some(topic.to_owned()),
                status,
                ..known
            });
        }
    }
    let of_beta = event(9, "2026-03-12T11:00:00Z", "zed", "hidden", Some("700"), None);
    let api_key_id = Some("key-zed".to_owned());
    events.push(UsageEvent { organization_id: BETA.to_owned(), api_key_id, ..of_beta });
    events
}

/// Beta lies in another time zone, and calls things by names of its own.
pub(super) fn things() -> Vec<Entry> {
    let mut things = vec![
        Entry::organization(ACME, "Acme", chrono_tz::UTC),
        Entry::organization(BETA, "Beta", chrono_tz::Pacific::Kiritimati),
        Entry::new(DirectoryKind::User, ACME, "bob", "Bob of Acme"),
    ];
    for (kind, id) in [
        (DirectoryKind::User, "ann"),
        (DirectoryKind::User, "bob"),
        (DirectoryKind::Team, "core"),
        (DirectoryKind::ApiKey, "key-ann"),
    ] {
        things.push(Entry::new(kind, BETA, id, &format!("{id} of Beta")));
    }
    things
}

/// Both paths over both tenants. Every event is a sighting as well.
pub(super) fn servers() -> [Server; 2] {
    Server::both_of(&events(), &events()[..8], &things())
}

pub(super) fn holding(name: &str, grants: Vec<(Role, Domain)>) -> Principal {
    let grants = grants.into_iter().map(|(role, domain)| Grant::new(role, domain).expect("fits"));
    Principal::new(name, name, Origin::Token, grants.collect(), Permissions::ALL)
}

fn in_organization(organization: &str) -> Domain {
    Domain::Organization { organization_id: organization.to_owned() }
}

fn team(organization: &str, team_id: &str) -> Domain {
    Domain::Team { organization_id: organization.to_owned(), team_id: team_id.to_owned() }
}

fn user(organization: &str, user_id: &str) -> Domain {
    Domain::User { organization_id: organization.to_owned(), user_id: user_id.to_owned() }
}

pub(super) fn admin() -> Principal {
    holding("admin", vec![(Role::OrganizationAdmin, in_organization(ACME))])
}

pub(super) fn admin_of_beta() -> Principal {
    holding("admin of beta", vec![(Role::OrganizationAdmin, in_organization(BETA))])
}

pub(super) fn analyst() -> Principal {
    holding("analyst", vec![(Role::Analyst, in_organization(ACME))])
}

/// Leads the team core.
pub(super) fn lead() -> Principal {
    holding("lead", vec![(Role::TeamLead, team(ACME, "core"))])
}

/// Leads the department sales.
pub(super) fn head() -> Principal {
    let (organization_id, department) = (ACME.to_owned(), "sales".to_owned());
    holding("head", vec![(Role::TeamLead, Domain::Department { organization_id, department })])
}

/// Is ann.
pub(super) fn member() -> Principal {
    holding("member", vec![(Role::Member, user(ACME, "ann"))])
}

/// Leads the team core of Acme, and is cid of Beta.
pub(super) fn of_both() -> Principal {
    let grants = vec![(Role::TeamLead, team(ACME, "core")), (Role::Member, user(BETA, "cid"))];
    holding("of both", grants)
}

/// May write events everywhere, and read nothing.
pub(super) fn ingest() -> Principal {
    holding("ingest", vec![(Role::Ingest, Domain::Platform)])
}

/// Everybody who sees a part of the platform.
pub(super) fn everybody_of_acme() -> Vec<Principal> {
    vec![admin(), analyst(), lead(), head(), member(), ingest()]
}
