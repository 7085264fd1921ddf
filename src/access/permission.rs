//! What can be allowed: the scopes that a token names.

use serde::{Deserialize, Serialize};

/// One thing that a role allows and a token's scopes can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// Ask the dashboards' questions, and export.
    #[serde(rename = "usage:read")]
    ReadUsage,
    /// Run SQL.
    #[serde(rename = "sql:read")]
    RunSql,
    /// Send events.
    #[serde(rename = "events:write")]
    WriteEvents,
    /// Change an organization: its directory, tokens and events.
    #[serde(rename = "organization:manage")]
    ManageOrganization,
    /// Change what all organizations share: prices, months, retention, accounts.
    #[serde(rename = "platform:manage")]
    ManagePlatform,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 5] = [
        Self::ReadUsage,
        Self::RunSql,
        Self::WriteEvents,
        Self::ManageOrganization,
        Self::ManagePlatform,
    ];

    /// The scope's name on a token.
    pub fn scope(self) -> &'static str {
        match self {
            Self::ReadUsage => "usage:read",
            Self::RunSql => "sql:read",
            Self::WriteEvents => "events:write",
            Self::ManageOrganization => "organization:manage",
            Self::ManagePlatform => "platform:manage",
        }
    }

    /// The permission of a scope's name.
    pub fn parse(scope: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.scope() == scope)
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// All of them.
    pub const ALL: Self = Self(0b1_1111);

    /// Exactly these.
    pub fn of(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |bits, permission| bits | permission.bit()))
    }

    /// Whether it holds `permission`.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Those that both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it holds all of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.and(other) == other
    }

    /// Its members, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_one_permission() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.scope()), Some(permission));
            assert!(Permissions::ALL.contains(permission));
            assert_eq!(Permissions::of(&[permission]).iter().collect::<Vec<_>>(), [permission]);
        }
        assert_eq!(Permission::parse("usage:write"), None);
    }
}
