//! Grants and scopes as they are written, and as a body names them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Domain, Grant, Permission, Permissions, Role};
use crate::error::{Error, Result};

/// A role over a part of the hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantBody {
    /// super_admin (over the platform), organization_admin (an organization),
    /// team_lead (a team or department), analyst (anything), member (a user)
    /// or ingest (the platform or an organization).
    #[schema(example = "analyst")]
    pub role: String,
    /// platform, organization, team, department or user.
    #[schema(example = "organization")]
    pub over: String,
    /// The organization (a UUID), unless it is the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// The department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

impl From<&Grant> for GrantBody {
    fn from(grant: &Grant) -> Self {
        let organization_id = grant.domain().organization_id().map(str::to_owned);
        let role = grant.role().name().to_owned();
        let base = |over: &str| Self {
            role: role.clone(),
            over: over.to_owned(),
            organization_id: organization_id.clone(),
            ..Self::default()
        };
        match grant.domain() {
            Domain::Platform => base("platform"),
            Domain::Organization { .. } => base("organization"),
            Domain::Team { team_id, .. } => Self { team_id: Some(team_id.clone()), ..base("team") },
            Domain::Department { department, .. } => {
                Self { department: Some(department.clone()), ..base("department") }
            }
            Domain::User { user_id, .. } => Self { user_id: Some(user_id.clone()), ..base("user") },
        }
    }
}

impl TryFrom<GrantBody> for Grant {
    type Error = Error;

    fn try_from(body: GrantBody) -> Result<Self> {
        let role = Role::ALL.into_iter().find(|role| role.name() == body.role);
        let role = role.ok_or_else(|| {
            let names = Role::ALL.map(Role::name).join(", ");
            Error::invalid(format!("role is {:?}; there are {names}", body.role))
        })?;
        Self::new(role, body.domain()?)
    }
}

impl GrantBody {
    /// The place that the body names: by exactly the ids that it needs.
    fn domain(self) -> Result<Domain> {
        let over = self.over.as_str();
        let needed: &[&str] = match over {
            "platform" => &[],
            "organization" => &["organization_id"],
            "team" => &["organization_id", "team_id"],
            "department" => &["organization_id", "department"],
            "user" => &["organization_id", "user_id"],
            _ => {
                return Err(Error::invalid(format!(
                    "over is {over:?}; a role is held over platform, organization, team, \
                     department or user"
                )));
            }
        };
        let mut values = Vec::new();
        for (name, value) in [
            ("organization_id", self.organization_id),
            ("team_id", self.team_id),
            ("department", self.department),
            ("user_id", self.user_id),
        ] {
            match (needed.contains(&name), value) {
                (true, Some(value)) => values.push(value),
                (false, None) => {}
                (true, None) => {
                    return Err(Error::invalid(format!("over is {over}; {name} is missing")));
                }
                (false, Some(_)) => {
                    return Err(Error::invalid(format!("over is {over}; leave out {name}")));
                }
            }
        }
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let organization_id = next();
        Ok(match over {
            "organization" => Domain::Organization { organization_id },
            "team" => Domain::Team { organization_id, team_id: next() },
            "department" => Domain::Department { organization_id, department: next() },
            "user" => Domain::User { organization_id, user_id: next() },
            _ => Domain::Platform,
        })
    }
}

/// Grants out of a body.
pub(super) fn grants_of(bodies: Vec<GrantBody>) -> Result<Vec<Grant>> {
    bodies.into_iter().map(Grant::try_from).collect()
}

/// Grants for an answer.
pub(super) fn grant_bodies(grants: &[Grant]) -> Vec<GrantBody> {
    grants.iter().map(GrantBody::from).collect()
}

/// Scopes out of a body.
pub(super) fn scopes_of(names: Option<&[String]>) -> Result<Option<Vec<Permission>>> {
    let read = |name: &String| {
        Permission::parse(name).ok_or_else(|| {
            let names = Permission::ALL.map(Permission::scope).join(", ");
            Error::invalid(format!("there is no scope {name:?}; there are {names}"))
        })
    };
    names.map(|names| names.iter().map(read).collect()).transpose()
}

/// Scopes for an answer.
pub(super) fn scope_names(scopes: Permissions) -> Vec<&'static str> {
    scopes.iter().map(Permission::scope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Grant> {
        let body: GrantBody = serde_json::from_str(json).expect("a body");
        Grant::try_from(body)
    }

    #[test]
    fn a_grant_comes_back_from_its_body() {
        for json in [
            r#"{"role":"super_admin","over":"platform"}"#,
            r#"{"role":"analyst","over":"organization","organization_id":"o"}"#,
            r#"{"role":"team_lead","over":"team","organization_id":"o","team_id":"t"}"#,
            r#"{"role":"team_lead","over":"department","organization_id":"o","department":"d"}"#,
            r#"{"role":"member","over":"user","organization_id":"o","user_id":"u"}"#,
        ] {
            let grant = read(json).expect("a grant");
            let body = serde_json::to_string(&GrantBody::from(&grant)).expect("JSON");
            assert_eq!(body, json);
            // What is stored has the same form.
            let stored: serde_json::Value = serde_json::to_value(&grant).expect("JSON");
            assert_eq!(stored, serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
        }
    }

    #[test]
    fn a_grant_names_exactly_the_ids_that_it_needs() {
        for (json, said) in [
            (r#"{"role":"boss","over":"platform"}"#, "role is \"boss\"; there are super_admin"),
            (r#"{"role":"analyst","over":"world"}"#, "over is \"world\""),
            (r#"{"role":"analyst","over":"organization"}"#, "organization_id is missing"),
            (
                r#"{"role":"analyst","over":"organization","organization_id":"o","team_id":"t"}"#,
                "leave out team_id",
            ),
            (r#"{"role":"member","over":"platform"}"#, "held over a user"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
