//! A role over a part of the hierarchy.

use serde::{Deserialize, Serialize};

use super::permission::{Permission, Permissions};
use super::reach::{Reach, RowReach};
use crate::error::{Error, Result};

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the platform: may do and see everything.
    SuperAdmin,
    /// Runs one organization: its people, keys, tokens, corrections, and all its rows.
    OrganizationAdmin,
    /// Reads what its teams or departments used.
    TeamLead,
    /// Reads, and asks in SQL, within any part of the hierarchy.
    Analyst,
    /// Reads what it used itself.
    Member,
    /// Writes events and reads nothing.
    Ingest,
}

/// The part of the hierarchy that a role is held over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "over", rename_all = "snake_case", deny_unknown_fields)]
pub enum Domain {
    /// Every organization.
    Platform,
    /// One organization.
    Organization { organization_id: String },
    /// One team.
    Team { organization_id: String, team_id: String },
    /// One department.
    Department { organization_id: String, department: String },
    /// One user.
    User { organization_id: String, user_id: String },
}

/// A role over a domain that fits it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Grant {
    role: Role,
    #[serde(flatten)]
    domain: Domain,
}

/// A grant as somebody wrote it. It lists every field, since a `Domain` that
/// is read by itself takes no offence at a field too many: "over the platform"
/// with an organization would then be the platform.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    role: Role,
    over: Over,
    organization_id: Option<String>,
    team_id: Option<String>,
    department: Option<String>,
    user_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Over {
    Platform,
    Organization,
    Team,
    Department,
    User,
}

impl TryFrom<Unchecked> for Grant {
    type Error = Error;

    fn try_from(written: Unchecked) -> Result<Self> {
        let Unchecked { role, over, organization_id, team_id, department, user_id } = written;
        let (domain, rule) = match (over, organization_id, team_id, department, user_id) {
            (Over::Platform, None, None, None, None) => (Some(Domain::Platform), ""),
            (Over::Organization, Some(organization_id), None, None, None) => {
                (Some(Domain::Organization { organization_id }), "")
            }
            (Over::Team, Some(organization_id), Some(team_id), None, None) => {
                (Some(Domain::Team { organization_id, team_id }), "")
            }
            (Over::Department, Some(organization_id), None, Some(department), None) => {
                (Some(Domain::Department { organization_id, department }), "")
            }
            (Over::User, Some(organization_id), None, None, Some(user_id)) => {
                (Some(Domain::User { organization_id, user_id }), "")
            }
            (Over::Platform, ..) => (None, "the platform names no id"),
            (Over::Organization, ..) => (None, "an organization names organization_id"),
            (Over::Team, ..) => (None, "a team names organization_id and team_id"),
            (Over::Department, ..) => (None, "a department names organization_id and department"),
            (Over::User, ..) => (None, "a user names organization_id and user_id"),
        };
        let name = role.name();
        let domain = domain.ok_or_else(|| {
            Error::invalid(format!("a grant of {name} over {rule}, and nothing else"))
        })?;
        Self::new(role, domain)
    }
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 6] = [
        Self::SuperAdmin,
        Self::OrganizationAdmin,
        Self::TeamLead,
        Self::Analyst,
        Self::Member,
        Self::Ingest,
    ];

    /// Its name, as in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::OrganizationAdmin => "organization_admin",
            Self::TeamLead => "team_lead",
            Self::Analyst => "analyst",
            Self::Member => "member",
            Self::Ingest => "ingest",
        }
    }

    /// What the role may do within its domain.
    pub fn permissions(self) -> Permissions {
        match self {
            Self::SuperAdmin => Permissions::ALL,
            Self::OrganizationAdmin => Permissions::of(&[
                Permission::ReadUsage,
                Permission::RunSql,
                Permission::WriteEvents,
                Permission::ManageOrganization,
            ]),
            Self::Analyst => Permissions::of(&[Permission::ReadUsage, Permission::RunSql]),
            Self::TeamLead | Self::Member => Permissions::of(&[Permission::ReadUsage]),
            Self::Ingest => Permissions::of(&[Permission::WriteEvents]),
        }
    }
}

impl Domain {
    /// The organization that it lies in; `None` for the platform.
    pub fn organization_id(&self) -> Option<&str> {
        match self {
            Self::Platform => None,
            Self::Organization { organization_id }
            | Self::Team { organization_id, .. }
            | Self::Department { organization_id, .. }
            | Self::User { organization_id, .. } => Some(organization_id),
        }
    }

    /// Its rows.
    pub fn reach(&self) -> Reach {
        let within = |rows| Reach::within(self.organization_id().unwrap_or_default(), rows);
        match self {
            Self::Platform => Reach::Everything,
            Self::Organization { .. } => within(RowReach::Whole),
            Self::Team { team_id, .. } => within(RowReach::of_team(team_id)),
            Self::Department { department, .. } => within(RowReach::of_department(department)),
            Self::User { user_id, .. } => within(RowReach::of_user(user_id)),
        }
    }
}

impl Grant {
    /// `Invalid` where the role cannot be held over such a domain.
    pub fn new(role: Role, domain: Domain) -> Result<Self> {
        let (fits, rule) = match role {
            Role::SuperAdmin => (domain == Domain::Platform, "the platform"),
            Role::OrganizationAdmin => {
                (matches!(domain, Domain::Organization { .. }), "an organization")
            }
            Role::TeamLead => (
                matches!(domain, Domain::Team { .. } | Domain::Department { .. }),
                "a team or a department",
            ),
            Role::Analyst => (true, "any part of the hierarchy"),
            Role::Member => (matches!(domain, Domain::User { .. }), "a user"),
            Role::Ingest => (
                matches!(domain, Domain::Platform | Domain::Organization { .. }),
                "the platform or an organization",
            ),
        };
        if fits {
            return Ok(Self { role, domain });
        }
        let name = role.name();
        Err(Error::invalid(format!("the role {name} is held over {rule}, not over {domain:?}")))
    }

    /// What its holder is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Over what.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether its holder may do `permission` within the domain.
    pub fn allows(&self, permission: Permission) -> bool {
        self.role.permissions().contains(permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_held_over_what_fits_it() {
        let organization = Domain::Organization { organization_id: "o".to_owned() };
        assert!(Grant::new(Role::OrganizationAdmin, organization.clone()).is_ok());
        let error = Grant::new(Role::SuperAdmin, organization).expect_err("refused");
        assert!(error.to_string().contains("super_admin is held over the platform"), "{error}");
        assert!(Grant::new(Role::Member, Domain::Platform).is_err());
    }

    #[test]
    fn a_grant_is_flat_json() {
        let team = Domain::Team { organization_id: "o".to_owned(), team_id: "t".to_owned() };
        let grant = Grant::new(Role::TeamLead, team).expect("a grant");
        let json = serde_json::to_value(&grant).expect("JSON");
        let flat = r#"{"role":"team_lead","over":"team","organization_id":"o","team_id":"t"}"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(flat).expect("JSON"));
        assert_eq!(serde_json::from_value::<Grant>(json).expect("a grant"), grant);
    }

    #[test]
    fn a_grant_names_the_ids_of_what_it_is_over_and_no_others() {
        let read = |text: &str| {
            serde_json::from_str::<Grant>(text).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"role":"analyst","over":"platform"}"#), Ok(()));
        for text in [
            r#"{"role":"analyst","over":"platform","organization_id":"o"}"#,
            r#"{"role":"analyst","over":"organization"}"#,
            r#"{"role":"analyst","over":"organization","organization_id":"o","team_id":"t"}"#,
            r#"{"role":"analyst","over":"team","organization_id":"o"}"#,
            r#"{"role":"analyst","over":"user","organization_id":"o","user_id":"u","team_id":"t"}"#,
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains("and nothing else"), "{text}: {error}");
        }
        assert!(read(r#"{"role":"analyst","over":"platform","note":"n"}"#).is_err());
        assert!(read(r#"{"role":"analyst"}"#).is_err());
    }
}
