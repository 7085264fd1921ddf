//! A role and what it is over, as flags.

use clap::{Args, ValueEnum};

use crate::api::GrantBody;
use crate::error::{Error, Result};

/// A role over a part of the hierarchy.
#[derive(Debug, Clone, Args)]
pub(super) struct RoleArgs {
    /// What it may do
    #[arg(long, value_enum)]
    role: RoleName,
    /// Over every organization
    #[arg(long, conflicts_with = "organization")]
    platform: bool,
    /// Over an organization (a UUID), or a part of it
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Over this team of the organization
    #[arg(long, value_name = "ID", requires = "organization", conflicts_with_all = ["department", "user"])]
    team: Option<String>,
    /// Over this department of the organization
    #[arg(long, value_name = "ID", requires = "organization", conflicts_with = "user")]
    department: Option<String>,
    /// Over this user of the organization
    #[arg(long, value_name = "ID", requires = "organization")]
    user: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Runs the platform
    #[value(name = "super_admin", alias = "super-admin")]
    SuperAdmin,
    /// Runs an organization
    #[value(name = "organization_admin", alias = "organization-admin")]
    OrganizationAdmin,
    /// Reads what a team or department used
    #[value(name = "team_lead", alias = "team-lead")]
    TeamLead,
    /// Reads, and asks in SQL
    Analyst,
    /// Reads what a user used
    Member,
    /// Writes events and reads nothing
    Ingest,
}

impl RoleArgs {
    /// The grant that the flags say.
    pub(super) fn grant(self) -> Result<GrantBody> {
        let role = self.role.to_possible_value();
        let role = role.map(|value| value.get_name().to_owned()).unwrap_or_default();
        let over = match (&self.team, &self.department, &self.user, &self.organization) {
            (Some(_), ..) => "team",
            (_, Some(_), ..) => "department",
            (_, _, Some(_), _) => "user",
            (_, _, _, Some(_)) => "organization",
            // A super admin is one of nothing less.
            _ if self.platform || self.role == RoleName::SuperAdmin => "platform",
            _ => {
                return Err(Error::invalid(format!(
                    "the role {role} is over what? pass --organization ID (with --team, \
                     --department or --user for a part of it), or --platform"
                )));
            }
        };
        Ok(GrantBody {
            role,
            over: over.to_owned(),
            organization_id: self.organization,
            team_id: self.team,
            department: self.department,
            user_id: self.user,
        })
    }
}
