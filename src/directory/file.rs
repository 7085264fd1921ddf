//! The directory as a JSON file.

use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Directory, DirectoryKind};
use crate::error::{Context, Error, ErrorKind, Result};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DirectoryFile {
    organizations: Vec<OrganizationLine>,
    teams: Vec<NameLine>,
    users: Vec<NameLine>,
    api_keys: Vec<NameLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationLine {
    id: String,
    name: String,
    #[serde(default = "utc")]
    time_zone: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameLine {
    id: String,
    name: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl DirectoryFile {
    /// The file's contents, or `None` where there is no file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let shown = path.display();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).context(ErrorKind::Unavailable, format!("reading {shown}"));
            }
        };
        // The cause names the field, its line and column.
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::invalid(format!("the directory file {shown} cannot be used: {error}"))
        })
    }

    /// Checks every line.
    pub(super) fn directory(self) -> Result<Directory> {
        let mut directory = Directory::empty();
        for line in self.organizations {
            let before = directory.organizations.len();
            directory = directory.with_organization(&line.id, &line.name, &line.time_zone)?;
            if directory.organizations.len() == before {
                let id = line.id;
                return Err(Error::invalid(format!("organization {id} is listed twice")));
            }
        }
        let lists = [
            (DirectoryKind::Team, "team", self.teams),
            (DirectoryKind::User, "user", self.users),
            (DirectoryKind::ApiKey, "API key", self.api_keys),
        ];
        for (kind, noun, lines) in lists {
            for line in lines {
                if directory.name(kind, &line.id).is_some() {
                    return Err(Error::invalid(format!("{noun} {:?} is listed twice", line.id)));
                }
                directory = directory.with_name(kind, &line.id, &line.name);
            }
        }
        Ok(directory)
    }

    pub(super) fn of(directory: &Directory) -> Self {
        let names = |names: &std::collections::BTreeMap<String, String>| {
            let lines =
                names.iter().map(|(id, name)| NameLine { id: id.clone(), name: name.clone() });
            lines.collect()
        };
        let organizations = directory.organizations.iter().map(|(id, organization)| {
            let time_zone = organization.time_zone.name().to_owned();
            OrganizationLine { id: id.clone(), name: organization.name.clone(), time_zone }
        });
        Self {
            organizations: organizations.collect(),
            teams: names(&directory.teams),
            users: names(&directory.users),
            api_keys: names(&directory.api_keys),
        }
    }

    /// Writes a new file beside the old one and puts it in its place once it
    /// is on disk.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).internal("writing the directory as JSON")?;
        let doing = format!("writing the directory file {}", path.display());
        replace_file(path, &bytes).context(ErrorKind::Unavailable, doing)
    }
}

fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The rename itself is durable only once the folder is synced.
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
