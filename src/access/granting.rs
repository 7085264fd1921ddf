//! Who may give which grants to others: nobody more than it holds.

use super::grant::{Domain, Grant, Role};
use super::permission::{Permission, Permissions};
use super::principal::Principal;
use crate::error::{Error, ErrorKind, Result};

/// Most grants of one token or account.
const GRANTS_MAX: usize = 200;
/// Longest id of a team, department or user, bytes.
const ID_BYTES_MAX: usize = 512;

/// Whether whoever holds `holder` holds all that `grant` gives within `scopes`.
pub(super) fn holds(holder: &Principal, grant: &Grant, scopes: Permissions) -> bool {
    let given = grant.role().permissions().and(scopes);
    let reach = grant.domain().reach();
    given.iter().all(|permission| holder.reach(permission).covers(&reach))
}

/// `Forbidden` where `caller` does not hold all that the grants give within
/// `scopes`.
pub(super) fn check_holds(caller: &Principal, grants: &[Grant], scopes: Permissions) -> Result<()> {
    if !caller.scopes().covers(scopes) {
        let missing = scopes.iter().find(|scope| !caller.scopes().contains(*scope));
        let scope = missing.map_or("", Permission::scope);
        return Err(forbidden(format!(
            "the scope {scope} is not yours to give: your credential has it not itself"
        )));
    }
    match grants.iter().find(|grant| !holds(caller, grant, scopes)) {
        None => Ok(()),
        Some(grant) => Err(forbidden(format!(
            "{} is not yours to give: nobody gives more than it holds",
            in_words(grant)
        ))),
    }
}

/// Whether `caller` runs the whole of each place that the grants are over: it
/// may make tokens and accounts there that are not its own.
pub(super) fn manages(caller: &Principal, grants: &[Grant]) -> bool {
    grants.iter().all(|grant| match grant.domain().organization_id() {
        Some(id) => caller.may_in(Permission::ManageOrganization, id),
        None => caller.may_everywhere(Permission::ManagePlatform),
    })
}

/// Whether `caller` runs the platform.
pub(super) fn runs_platform(caller: &Principal) -> bool {
    caller.may_everywhere(Permission::ManagePlatform)
}

/// Whether the grants, within `scopes`, make a super admin.
pub(super) fn makes_super_admin(grants: &[Grant], scopes: Permissions) -> bool {
    scopes.contains(Permission::ManagePlatform)
        && grants.iter().any(|grant| grant.role() == Role::SuperAdmin)
}

/// The grants with organizations as the tables name them, each once. `Invalid`
/// where there is none, or an organization's id is no UUID.
pub(super) fn normalized(grants: Vec<Grant>) -> Result<Vec<Grant>> {
    if grants.is_empty() {
        return Err(Error::invalid(
            "grants is empty; name at least one role, such as {\"role\": \"analyst\", \"over\": \
             \"organization\", \"organization_id\": \"…\"}",
        ));
    }
    if grants.len() > GRANTS_MAX {
        let count = grants.len();
        return Err(Error::invalid(format!("there are {count} grants; {GRANTS_MAX} are the most")));
    }
    let mut known: Vec<Grant> = Vec::with_capacity(grants.len());
    for grant in grants {
        let grant = Grant::new(grant.role(), normalized_domain(grant.domain())?)?;
        if !known.contains(&grant) {
            known.push(grant);
        }
    }
    Ok(known)
}

impl Grant {
    /// The grant with its organization as the tables name it. What is no UUID
    /// stays, and names no row.
    pub(super) fn with_usual_ids(self) -> Self {
        let usual = normalized_domain(self.domain());
        usual.and_then(|domain| Self::new(self.role(), domain)).unwrap_or(self)
    }
}

fn normalized_domain(domain: &Domain) -> Result<Domain> {
    let organization = |id: &str| {
        let uuid = uuid::Uuid::try_parse(id).map_err(|_| {
            Error::invalid(format!("organization_id is {id:?}; an organization's id is a UUID"))
        })?;
        Ok(uuid.as_hyphenated().to_string())
    };
    let part = |name: &str, id: &str| {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            let rule = format!("it has 1 to {ID_BYTES_MAX} bytes");
            return Err(Error::invalid(format!("{name} has {} bytes; {rule}", id.len())));
        }
        Ok(id.to_owned())
    };
    Ok(match domain {
        Domain::Platform => Domain::Platform,
        Domain::Organization { organization_id } => {
            Domain::Organization { organization_id: organization(organization_id)? }
        }
        Domain::Team { organization_id, team_id } => Domain::Team {
            organization_id: organization(organization_id)?,
            team_id: part("team_id", team_id)?,
        },
        Domain::Department { organization_id, department } => Domain::Department {
            organization_id: organization(organization_id)?,
            department: part("department", department)?,
        },
        Domain::User { organization_id, user_id } => Domain::User {
            organization_id: organization(organization_id)?,
            user_id: part("user_id", user_id)?,
        },
    })
}

/// The scopes of a new token: those that are named, else all that its maker
/// has. `Invalid` where they leave nothing of a grant: it would be shown as a
/// role that the token never has.
pub(super) fn scopes_of(
    named: Option<&[Permission]>,
    maker: &Principal,
    grants: &[Grant],
) -> Result<Permissions> {
    let scopes = named.map_or(maker.scopes(), Permissions::of);
    let given = |grant: &Grant| grant.role().permissions().and(scopes) != Permissions::default();
    let Some(empty) = grants.iter().find(|grant| !given(grant)) else { return Ok(scopes) };
    let names: Vec<_> = scopes.iter().map(Permission::scope).collect();
    Err(Error::invalid(format!(
        "the scopes [{}] leave nothing of what {} allows; name one that the role has, or leave the \
         role out",
        names.join(", "),
        in_words(empty)
    )))
}

/// `Invalid` where the grants of one token are over several organizations, or
/// over one and the platform: whoever runs one of them could not see all that
/// is done with it.
pub(super) fn check_one_place(grants: &[Grant]) -> Result<()> {
    let mut places = grants.iter().map(|grant| grant.domain().organization_id());
    let first = places.next();
    if places.all(|place| Some(place) == first) {
        return Ok(());
    }
    Err(Error::invalid(
        "the roles of a token are all over one organization, or all over the platform; make a \
         token for each",
    ))
}

/// What is left of `grants` for something that belongs to `owner`: an owner
/// that loses a role takes it from all that is its own.
pub(super) fn within_owner(
    owner: &Principal,
    grants: Vec<Grant>,
    scopes: Permissions,
) -> Vec<Grant> {
    grants.into_iter().filter(|grant| holds(owner, grant, scopes)).collect()
}

/// It is known, and not allowed.
pub(super) fn forbidden(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, message)
}

/// `organization_admin over organization 0190…`
fn in_words(grant: &Grant) -> String {
    let role = grant.role().name();
    match grant.domain() {
        Domain::Platform => format!("{role} over the platform"),
        Domain::Organization { organization_id } => {
            format!("{role} over organization {organization_id}")
        }
        Domain::Team { team_id, .. } => format!("{role} over team {team_id}"),
        Domain::Department { department, .. } => format!("{role} over department {department}"),
        Domain::User { user_id, .. } => format!("{role} over user {user_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Origin;

    const ACME: &str = "0190a000-0000-7000-8000-000000000001";
    const BETA: &str = "0190a000-0000-7000-8000-000000000002";

    fn over(organization_id: &str) -> Domain {
        Domain::Organization { organization_id: organization_id.to_owned() }
    }

    fn team(team_id: &str) -> Domain {
        Domain::Team { organization_id: ACME.to_owned(), team_id: team_id.to_owned() }
    }

    fn grant(role: Role, domain: Domain) -> Grant {
        Grant::new(role, domain).expect("a grant")
    }

    fn holder(role: Role, domain: Domain, scopes: Permissions) -> Principal {
        Principal::new("id", "name", Origin::Token, vec![grant(role, domain)], scopes)
    }

    #[test]
    fn an_organization_admin_gives_every_role_of_its_organization_and_no_other() {
        let admin = holder(Role::OrganizationAdmin, over(ACME), Permissions::ALL);
        for given in [
            grant(Role::OrganizationAdmin, over(ACME)),
            grant(Role::Analyst, over(ACME)),
            grant(Role::Ingest, over(ACME)),
            grant(Role::TeamLead, team("core")),
        ] {
            assert!(holds(&admin, &given, Permissions::ALL), "{given:?}");
            assert!(manages(&admin, &[given]));
        }
        for refused in [
            grant(Role::SuperAdmin, Domain::Platform),
            grant(Role::Analyst, Domain::Platform),
            grant(Role::Ingest, Domain::Platform),
            grant(Role::Analyst, over(BETA)),
        ] {
            assert!(!holds(&admin, &refused, Permissions::ALL), "{refused:?}");
            assert!(!manages(&admin, std::slice::from_ref(&refused)));
            let error = check_holds(&admin, &[refused], Permissions::ALL).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Forbidden);
        }
    }

    #[test]
    fn whoever_manages_nothing_gives_parts_of_its_own() {
        let analyst = holder(Role::Analyst, over(ACME), Permissions::ALL);
        assert!(!manages(&analyst, &[grant(Role::TeamLead, team("core"))]));
        assert!(holds(&analyst, &grant(Role::TeamLead, team("core")), Permissions::ALL));
        assert!(holds(&analyst, &grant(Role::Analyst, team("core")), Permissions::ALL));
        assert!(!holds(&analyst, &grant(Role::Ingest, over(ACME)), Permissions::ALL));
        let lead = holder(Role::TeamLead, team("core"), Permissions::ALL);
        assert!(!holds(&lead, &grant(Role::TeamLead, team("web")), Permissions::ALL));
        assert!(!holds(&lead, &grant(Role::Analyst, team("core")), Permissions::ALL), "no SQL");
        let read = Permissions::of(&[Permission::ReadUsage]);
        assert!(holds(&lead, &grant(Role::Analyst, team("core")), read), "what is left is its own");
    }

    #[test]
    fn a_scope_that_a_credential_lacks_is_not_its_to_give() {
        let read = Permissions::of(&[Permission::ReadUsage]);
        let admin = holder(Role::SuperAdmin, Domain::Platform, read);
        let given = [grant(Role::Analyst, over(ACME))];
        assert!(check_holds(&admin, &given, read).is_ok());
        let error = check_holds(&admin, &given, Permissions::ALL).expect_err("refused");
        assert!(error.to_string().contains("scope sql:read is not yours"), "{error}");
        assert!(!manages(&admin, &given));
    }

    #[test]
    fn an_organization_is_named_as_the_tables_name_it() {
        let shouted = grant(Role::Analyst, over(&ACME.to_uppercase()));
        let twice = vec![shouted, grant(Role::Analyst, over(ACME))];
        assert_eq!(normalized(twice).expect("grants"), [grant(Role::Analyst, over(ACME))]);
        let error = normalized(vec![grant(Role::Analyst, over("acme"))]).expect_err("refused");
        assert!(error.to_string().contains("\"acme\"; an organization's id is a UUID"), "{error}");
        assert!(normalized(Vec::new()).is_err());
        assert!(normalized(vec![grant(Role::TeamLead, team(""))]).is_err());
    }

    #[test]
    fn scopes_that_leave_nothing_are_refused() {
        let operator = Principal::operator();
        let member = Domain::User { organization_id: ACME.to_owned(), user_id: "u".to_owned() };
        let member = [grant(Role::Member, member)];
        assert!(scopes_of(Some(&[Permission::RunSql]), &operator, &member).is_err());
        assert!(scopes_of(Some(&[]), &operator, &member).is_err());
        assert_eq!(scopes_of(None, &operator, &member).expect("scopes"), Permissions::ALL);
    }
}
