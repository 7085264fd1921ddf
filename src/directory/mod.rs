//! Organizations and display names. Nothing here is needed to store an event:
//! an unknown organization is in UTC, an unknown id has no name.

mod file;
mod tables;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::error::{Error, Result};
use file::DirectoryFile;

/// What has a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectoryKind {
    /// A tenant.
    Organization,
    /// A team of an organization.
    Team,
    /// A person or service.
    User,
    /// A key, by its identifier.
    ApiKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Organization {
    name: String,
    time_zone: Tz,
}

/// Organizations with their time zones, and display names of teams, users and
/// API keys. A value: whoever changes one publishes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    organizations: BTreeMap<String, Organization>,
    teams: BTreeMap<String, String>,
    users: BTreeMap<String, String>,
    api_keys: BTreeMap<String, String>,
}

impl Directory {
    /// A directory that knows nobody.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads the JSON file at `path`; where there is none, the directory is
    /// empty. `Invalid` names the field, id or time zone that is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        match DirectoryFile::read(path)? {
            Some(file) => file.directory(),
            None => Ok(Self::empty()),
        }
    }

    /// Writes the JSON file at `path`. A crash leaves the old file or the new
    /// one, whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        DirectoryFile::of(self).write(path)
    }

    /// Adds an organization, or replaces the one with this id. The id is a
    /// UUID; `time_zone` an IANA name such as `Europe/Berlin`.
    pub fn with_organization(mut self, id: &str, name: &str, time_zone: &str) -> Result<Self> {
        let id = uuid::Uuid::try_parse(id).map_err(|_| {
            Error::invalid(format!("organization id {id:?} is not a UUID (8-4-4-4-12 hex digits)"))
        })?;
        let time_zone: Tz = time_zone.parse().map_err(|_| {
            Error::invalid(format!(
                "time_zone {time_zone:?} of organization {id} is not an IANA name such as \
                 Europe/Berlin or UTC"
            ))
        })?;
        let organization = Organization { name: name.to_owned(), time_zone };
        self.organizations.insert(id.to_string(), organization);
        Ok(self)
    }

    /// Adds the display name of a team, user or API key, or replaces it; of an
    /// organization it only changes the name of one that is there.
    #[must_use]
    pub fn with_name(mut self, kind: DirectoryKind, id: &str, name: &str) -> Self {
        let names = match kind {
            DirectoryKind::Organization => {
                if let Some(organization) = self.organizations.get_mut(id) {
                    name.clone_into(&mut organization.name);
                }
                return self;
            }
            DirectoryKind::Team => &mut self.teams,
            DirectoryKind::User => &mut self.users,
            DirectoryKind::ApiKey => &mut self.api_keys,
        };
        names.insert(id.to_owned(), name.to_owned());
        self
    }

    /// The time zone of an organization (its id in lower case); UTC when the
    /// directory does not know it.
    pub fn time_zone(&self, organization_id: &str) -> Tz {
        self.organizations.get(organization_id).map_or(Tz::UTC, |found| found.time_zone)
    }

    /// The local date that an event of this organization belongs to.
    pub fn usage_date(&self, organization_id: &str, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.time_zone(organization_id)).date_naive()
    }

    /// The display name of `id`, where the directory has one.
    pub fn name(&self, kind: DirectoryKind, id: &str) -> Option<&str> {
        let name = match kind {
            DirectoryKind::Organization => return Some(&self.organizations.get(id)?.name),
            DirectoryKind::Team => self.teams.get(id),
            DirectoryKind::User => self.users.get(id),
            DirectoryKind::ApiKey => self.api_keys.get(id),
        };
        name.map(String::as_str)
    }
}
