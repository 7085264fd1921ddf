//! Whether a route's rule lets somebody in. Pure: what it looks at is the
//! principal and the request's line.

use super::rules::Need;
use crate::access::{Permission, Principal};
use crate::api::filters::organization_id;
use crate::api::problem::Problem;
use crate::error::ErrorKind;

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What the path has in the place of `{id}`, as handlers get it.
    pub(super) path_id: Option<&'a str>,
    /// The query as it was sent.
    pub(super) query: Option<&'a str>,
}

/// Lets `principal` pass, or says what it lacks: 404 for an organization that
/// it may not know of, else 403.
pub(super) fn judge(need: Need, principal: &Principal, asked: &Asked<'_>) -> Result<(), Problem> {
    use Permission::{ManageOrganization, ManagePlatform, ReadUsage, RunSql, WriteEvents};
    match need {
        Need::Open | Need::SignedIn => Ok(()),
        Need::Usage | Need::WholeOfUser => anywhere(principal, ReadUsage),
        Need::AllUsage => everywhere(principal, ReadUsage),
        Need::Sql => anywhere(principal, RunSql),
        Need::Events => anywhere(principal, WriteEvents),
        Need::Manage => anywhere(principal, ManageOrganization),
        Need::Platform | Need::Metrics => everywhere(principal, ManagePlatform),
        Need::UsageOfPath => {
            anywhere(principal, ReadUsage)?;
            let id = asked.path_organization()?;
            match principal.reach(ReadUsage).of_organization(&id) {
                Some(_) => Ok(()),
                None => Err(lacking(principal, ReadUsage, &id)),
            }
        }
        Need::ManagePath => {
            let id = asked.path_organization()?;
            manages(principal, &id)
        }
        Need::WholeUsage => {
            anywhere(principal, ReadUsage)?;
            match asked.query_organization() {
                Some(text) => match organization_id(&text) {
                    Some(id) => whole(principal, ReadUsage, &id),
                    // The handler says what is wrong with it.
                    None => Ok(()),
                },
                None => everywhere(principal, ReadUsage),
            }
        }
        Need::ManageQuery => match asked.query_organization() {
            Some(text) => match organization_id(&text) {
                Some(id) => manages(principal, &id),
                None => anywhere(principal, ManageOrganization),
            },
            None => everywhere(principal, ManagePlatform),
        },
    }
}

/// Lets pass whoever manages the whole organization.
pub(crate) fn manages(principal: &Principal, organization_id: &str) -> Result<(), Problem> {
    whole(principal, Permission::ManageOrganization, organization_id)
}

/// Lets pass whoever may do `permission` to every organization.
pub(crate) fn everywhere(principal: &Principal, permission: Permission) -> Result<(), Problem> {
    if principal.may_everywhere(permission) {
        return Ok(());
    }
    let over = match permission {
        Permission::ReadUsage => " over every organization (name one where the route takes it)",
        _ => " over the platform",
    };
    Err(forbidden(principal, permission, over, "a super admin"))
}

fn anywhere(principal: &Principal, permission: Permission) -> Result<(), Problem> {
    if principal.may(permission) {
        return Ok(());
    }
    Err(forbidden(principal, permission, "", "an admin of the organization"))
}

fn whole(principal: &Principal, permission: Permission, id: &str) -> Result<(), Problem> {
    if principal.may_in(permission, id) { Ok(()) } else { Err(lacking(principal, permission, id)) }
}

/// 403 for an organization that the principal has any role in, else 404.
fn lacking(principal: &Principal, permission: Permission, id: &str) -> Problem {
    let is_known = principal.organizations().is_none_or(|known| known.contains(id));
    if is_known {
        let over = format!(" over the whole of organization {id}");
        return forbidden(principal, permission, &over, "an admin of the organization");
    }
    unknown_organization(id)
}

/// Says the same of an organization that is not there and of one that whoever
/// asks may not know of.
fn unknown_organization(id: &str) -> Problem {
    let detail = format!("there is no organization {id:?} among those you may see; check the id");
    Problem::new(ErrorKind::NotFound, detail)
}

fn forbidden(principal: &Principal, permission: Permission, over: &str, who: &str) -> Problem {
    let (name, scope) = (principal.name(), permission.scope());
    let allowed = principal.grants().iter().any(|grant| grant.allows(permission));
    let detail = match allowed && !principal.scopes().contains(permission) {
        true => format!(
            "this needs {scope}{over}; a role of {name:?} has it, and the scopes of its token \
             leave it out: use a token with the scope {scope}"
        ),
        false => format!(
            "this needs {scope}{over}, which {name:?} does not have; {who} can give it a role \
             that has"
        ),
    };
    Problem::new(ErrorKind::Forbidden, detail)
}

impl Asked<'_> {
    fn path_organization(&self) -> Result<String, Problem> {
        let text = self.path_id.unwrap_or_default();
        organization_id(text).ok_or_else(|| unknown_organization(text))
    }

    /// The organization that the query names. Of several, none: handlers
    /// refuse a repeated one, and what is refused needs no more than this.
    fn query_organization(&self) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.unwrap_or_default().as_bytes());
        let mut named = pairs.filter(|(name, _)| name == "organization_id");
        let first = named.next()?;
        if named.next().is_some() { None } else { Some(first.1.into_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Domain, Grant, Origin, Permissions, Role};

    const OURS: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const OTHER: &str = "bbbbbbbb-0000-4000-8000-000000000002";

    fn holding(role: Role, domain: Domain) -> Principal {
        let grants = vec![Grant::new(role, domain).expect("a grant")];
        Principal::new("p", "somebody", Origin::Token, grants, Permissions::ALL)
    }

    fn within() -> Domain {
        Domain::Organization { organization_id: OURS.to_owned() }
    }

    fn status(need: Need, principal: &Principal, path_id: &str, query: &str) -> u16 {
        let asked = Asked { path_id: Some(path_id), query: Some(query) };
        let judged = judge(need, principal, &asked);
        judged.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn an_organization_of_the_path_is_unknown_to_those_without_a_role_in_it() {
        let admin = holding(Role::OrganizationAdmin, within());
        let analyst = holding(Role::Analyst, within());
        let ingest = holding(Role::Ingest, within());
        for need in [Need::UsageOfPath, Need::ManagePath] {
            assert_eq!(status(need, &admin, OURS, ""), 200);
            assert_eq!(status(need, &admin, &OURS.to_uppercase(), ""), 200);
            assert_eq!(status(need, &admin, OTHER, ""), 404);
            assert_eq!(status(need, &admin, "no-uuid", ""), 404);
            assert_eq!(status(need, &ingest, OURS, ""), 403);
            assert_eq!(status(need, &Principal::operator(), OTHER, ""), 200);
        }
        assert_eq!(status(Need::UsageOfPath, &analyst, OURS, ""), 200);
        assert_eq!(status(Need::ManagePath, &analyst, OURS, ""), 403);
    }

    #[test]
    fn the_same_is_said_of_what_is_not_there_and_of_what_is_not_ones_own() {
        let admin = holding(Role::OrganizationAdmin, within());
        let said = |id: &str| {
            let asked = Asked { path_id: Some(id), query: None };
            let problem = judge(Need::UsageOfPath, &admin, &asked).expect_err("refused");
            problem.detail().replace(id, "ID")
        };
        assert_eq!(said(OTHER), said("cccccccc-0000-4000-8000-000000000003"));
    }

    #[test]
    fn whole_organizations_are_read_by_those_who_read_all_of_it() {
        let analyst = holding(Role::Analyst, within());
        let user = Domain::User { organization_id: OURS.to_owned(), user_id: "ann".to_owned() };
        let member = holding(Role::Member, user);
        let named = |id: &str| format!("limit=1&organization_id={id}");
        let asks = |who: &Principal, query: &str| status(Need::WholeUsage, who, "", query);
        assert_eq!(asks(&analyst, &named(OURS)), 200);
        assert_eq!(asks(&analyst, &named(OTHER)), 404);
        assert_eq!(asks(&analyst, ""), 403);
        assert_eq!(asks(&analyst, &format!("{}&organization_id={OTHER}", named(OURS))), 403);
        assert_eq!(asks(&member, &named(OURS)), 403);
        assert_eq!(asks(&Principal::operator(), ""), 200);
    }

    #[test]
    fn a_report_without_an_organization_is_the_platforms() {
        let admin = holding(Role::OrganizationAdmin, within());
        let asks = |query: &str| status(Need::ManageQuery, &admin, "", query);
        assert_eq!(asks(&format!("organization_id={OURS}")), 200);
        assert_eq!(asks(&format!("organization_id={OTHER}")), 404);
        assert_eq!(asks(""), 403);
    }

    #[test]
    fn a_refusal_names_what_is_missing_and_who_can_give_it() {
        let analyst = holding(Role::Analyst, within());
        let asked = Asked { path_id: None, query: None };
        let said = |who: &Principal, need| {
            judge(need, who, &asked).expect_err("refused").detail().to_owned()
        };
        let detail = said(&analyst, Need::Platform);
        assert!(detail.contains("platform:manage") && detail.contains("a super admin"), "{detail}");
        let scopes = Permissions::of(&[Permission::ReadUsage]);
        let grants = analyst.grants().to_vec();
        let narrow = Principal::new("p", "narrow", Origin::Token, grants, scopes);
        let detail = said(&narrow, Need::Sql);
        assert!(detail.contains("a token with the scope sql:read"), "{detail}");
    }
}
