//! Whoever makes a request, once that is known.

use std::collections::BTreeSet;

use super::grant::{Domain, Grant, Role};
use super::permission::{Permission, Permissions};
use super::reach::Reach;

/// How a principal showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An access token of ours.
    Token,
    /// A person's session in a browser.
    Session,
    /// A signed token of an identity provider.
    Jwt,
    /// This machine's operator, by a file of the data directory, or this process itself.
    Operator,
    /// Nobody asked (`--insecure-anonymous`).
    Anonymous,
}

/// Who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    id: String,
    name: String,
    origin: Origin,
    grants: Vec<Grant>,
    scopes: Permissions,
    owner: Option<String>,
}

impl Principal {
    /// `scopes` narrow what the roles of `grants` allow.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        origin: Origin,
        grants: Vec<Grant>,
        scopes: Permissions,
    ) -> Self {
        Self { id: id.into(), name: name.into(), origin, grants, scopes, owner: None }
    }

    /// The same, where it is one of the tokens of an account.
    pub(super) fn owned_by(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// The same, with the roles of its account instead of its own, as far as its
    /// scopes reach.
    pub(super) fn with_roles_of(&self, account: &Self) -> Self {
        Self { grants: account.grants.clone(), ..self.clone() }.owned_by(&account.id)
    }

    /// This process itself, or somebody who owns its data directory.
    pub fn operator() -> Self {
        let grants = Grant::new(Role::SuperAdmin, Domain::Platform);
        let grants = grants.into_iter().collect();
        Self::new("operator", "operator", Origin::Operator, grants, Permissions::ALL)
    }

    /// What identifies it: a token's id, an account's, an issuer's subject.
    /// The audit log goes by it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who has a share of what is limited: all tokens of an account together
    /// have one.
    pub fn share_id(&self) -> &str {
        self.owner.as_deref().unwrap_or(&self.id)
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it showed who it is.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Its roles.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The scopes that its credential was given.
    pub fn scopes(&self) -> Permissions {
        self.scopes
    }

    /// Whether it may do `permission` anywhere.
    pub fn may(&self, permission: Permission) -> bool {
        self.holding(permission).next().is_some()
    }

    /// Whether it may do `permission` to the whole of this organization.
    pub fn may_in(&self, permission: Permission, organization_id: &str) -> bool {
        self.reach(permission).reads_whole(organization_id)
    }

    /// Whether it may do `permission` to every organization.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.reach(permission) == Reach::Everything
    }

    /// The rows that it may do `permission` to: those that it may read for
    /// [`Permission::ReadUsage`] and [`Permission::RunSql`].
    pub fn reach(&self, permission: Permission) -> Reach {
        let reaches = self.holding(permission).map(|grant| grant.domain().reach());
        reaches.fold(Reach::nothing(), Reach::or)
    }

    /// The organizations that it holds any role in; `None` for all of them.
    pub fn organizations(&self) -> Option<BTreeSet<&str>> {
        self.grants.iter().map(|grant| grant.domain().organization_id()).collect()
    }

    fn holding(&self, permission: Permission) -> impl Iterator<Item = &Grant> {
        let scoped = self.scopes.contains(permission);
        self.grants.iter().filter(move |grant| scoped && grant.allows(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyst(organization_id: &str, scopes: Permissions) -> Principal {
        let domain = Domain::Organization { organization_id: organization_id.to_owned() };
        let grants = vec![Grant::new(Role::Analyst, domain).expect("a grant")];
        Principal::new("t1", "reports", Origin::Token, grants, scopes)
    }

    #[test]
    fn scopes_narrow_what_roles_allow() {
        let full = analyst("o", Permissions::ALL);
        assert!(full.may(Permission::RunSql) && !full.may(Permission::WriteEvents));
        assert!(full.may_in(Permission::RunSql, "o") && !full.may_in(Permission::RunSql, "p"));
        let narrow = analyst("o", Permissions::of(&[Permission::ReadUsage]));
        assert!(narrow.may(Permission::ReadUsage) && !narrow.may(Permission::RunSql));
        assert_eq!(narrow.reach(Permission::RunSql), Reach::nothing());
    }

    #[test]
    fn the_operator_may_do_everything_everywhere() {
        let operator = Principal::operator();
        assert!(Permission::ALL.iter().all(|one| operator.may_everywhere(*one)));
        assert_eq!(operator.organizations(), None);
        let analyst = analyst("o", Permissions::ALL);
        assert_eq!(analyst.organizations(), Some(BTreeSet::from(["o"])));
    }
}
