//! What the directory knows: named things, and who is in which team when.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectoryKind {
    /// A tenant.
    Organization,
    /// A department of an organization; its id is the text that events carry.
    Department,
    /// A team of an organization.
    Team,
    /// A person or service.
    User,
    /// A key, by its identifier.
    ApiKey,
}

impl DirectoryKind {
    /// Every kind, those that others refer to first.
    pub const ALL: [Self; 5] =
        [Self::Organization, Self::Department, Self::Team, Self::User, Self::ApiKey];

    /// The word of files, tables and the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Department => "department",
            Self::Team => "team",
            Self::User => "user",
            Self::ApiKey => "api_key",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What a message calls one of them.
    pub fn noun(self) -> &'static str {
        if self == Self::ApiKey { "API key" } else { self.as_str() }
    }
}

/// Who told the directory of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A person, by the API or an import.
    #[default]
    Declared,
    /// An event that named the id. It proves nothing: a seen key belongs to
    /// nobody, and a generated name is no name.
    Seen,
}

impl Origin {
    /// The word of files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Seen => "seen",
        }
    }

    /// The origin of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Declared, Self::Seen].into_iter().find(|origin| origin.as_str() == word)
    }
}

/// A named thing. Within its kind and organization the id is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The organization it belongs to; an organization belongs to itself.
    pub organization_id: String,
    /// What events call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who told of it.
    pub origin: Origin,
    /// Since when it is deleted, or of a key: revoked. The name stays.
    pub ended_at: Option<DateTime<Utc>>,
    /// What only its kind has.
    pub details: Details,
}

/// What only one kind of thing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Details {
    /// Of an organization.
    Organization {
        /// Decides the local date of its events.
        time_zone: Tz,
        /// The department of events that nothing else attributes.
        default_department: Option<String>,
    },
    /// Of a department: nothing.
    Department,
    /// Of a team.
    Team {
        /// The department it belongs to.
        department: Option<String>,
    },
    /// Of a user: nothing.
    User,
    /// Of an API key. The key itself is never known.
    ApiKey {
        /// Whose API it opens.
        provider: Option<String>,
        /// prod, dev, …
        environment: Option<String>,
        /// The user it was given to.
        owner_user_id: Option<String>,
        /// The team that its events belong to, where no user says more.
        team_id: Option<String>,
    },
}

impl Details {
    /// The kind of thing that has such details.
    pub fn kind(&self) -> DirectoryKind {
        match self {
            Self::Organization { .. } => DirectoryKind::Organization,
            Self::Department => DirectoryKind::Department,
            Self::Team { .. } => DirectoryKind::Team,
            Self::User => DirectoryKind::User,
            Self::ApiKey { .. } => DirectoryKind::ApiKey,
        }
    }

    /// What a thing of this kind has when nobody said anything.
    pub fn unknown(kind: DirectoryKind) -> Self {
        match kind {
            DirectoryKind::Organization => {
                Self::Organization { time_zone: Tz::UTC, default_department: None }
            }
            DirectoryKind::Department => Self::Department,
            DirectoryKind::Team => Self::Team { department: None },
            DirectoryKind::User => Self::User,
            DirectoryKind::ApiKey => Self::ApiKey {
                provider: None,
                environment: None,
                owner_user_id: None,
                team_id: None,
            },
        }
    }
}

impl Entry {
    /// A thing of which only id and name are known.
    pub fn new(kind: DirectoryKind, organization_id: &str, id: &str, name: &str) -> Self {
        Self {
            organization_id: organization_id.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            origin: Origin::Declared,
            ended_at: None,
            details: Details::unknown(kind),
        }
    }

    /// An organization in `time_zone`.
    pub fn organization(id: &str, name: &str, time_zone: Tz) -> Self {
        let details = Details::Organization { time_zone, default_department: None };
        Self { details, ..Self::new(DirectoryKind::Organization, id, id, name) }
    }

    /// What kind of thing this is.
    pub fn kind(&self) -> DirectoryKind {
        self.details.kind()
    }

    /// Whether it was in use at `time`.
    pub fn holds_at(&self, time: DateTime<Utc>) -> bool {
        self.ended_at.is_none_or(|end| time < end)
    }
}

/// A user is in a team for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organization of both.
    pub organization_id: String,
    /// The member.
    pub user_id: String,
    /// The team.
    pub team_id: String,
    /// The first instant of it.
    pub valid_from: DateTime<Utc>,
    /// The first instant after it, where it ends.
    pub valid_to: Option<DateTime<Utc>>,
    /// Whether it decides among several at one time.
    pub primary: bool,
}

impl Membership {
    /// Whether it holds at `time`.
    pub fn holds_at(&self, time: DateTime<Utc>) -> bool {
        self.valid_from <= time && self.valid_to.is_none_or(|end| time < end)
    }
}

/// A row of the directory: what an import holds many of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A named thing.
    Entry(Entry),
    /// A user's time in a team.
    Membership(Membership),
}

/// A name and since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSince {
    /// The first instant at which it was called so.
    pub valid_from: DateTime<Utc>,
    /// The name.
    pub name: String,
}
