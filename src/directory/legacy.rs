//! `directory.json`, which kept names before there was a database. It knew no
//! organization of teams, users and keys: such a name holds wherever nobody
//! declared another one.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::audit::Audit;
use super::edit::Edit;
use super::fields::Fields;
use super::records::{DirectoryKind, Record};
use super::store::DirectoryStore;
use crate::error::{Context, Error, ErrorKind, Result};

/// The name of the file in the data folder.
const FILE: &str = "directory.json";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LegacyFile {
    organizations: Vec<OrganizationLine>,
    teams: Vec<NameLine>,
    users: Vec<NameLine>,
    api_keys: Vec<NameLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationLine {
    id: String,
    name: String,
    #[serde(default)]
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameLine {
    id: String,
    name: String,
}

impl DirectoryStore {
    /// Takes over `directory.json` of the data folder into a new database; does
    /// nothing where something was ever stored. The file stays.
    pub async fn import_legacy(self: &Arc<Self>, data_dir: &Path) -> Result<()> {
        if self.shared().load().revision() != 0 {
            return Ok(());
        }
        let path = data_dir.join(FILE);
        let shown = path.display().to_string();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).context(ErrorKind::Unavailable, format!("reading {shown}"));
            }
        };
        let file: LegacyFile = serde_json::from_slice(&bytes).map_err(|error| {
            Error::invalid(format!("the directory file {shown} cannot be used: {error}"))
        })?;
        self.edit(move |edit| {
            import(edit, file).map_err(|error| {
                Error::invalid(format!("the directory file {shown} cannot be used: {error}"))
            })
        })
        .await
    }
}

fn import(edit: &mut Edit, file: LegacyFile) -> Result<()> {
    for line in file.organizations {
        let mut fields = Fields::default();
        fields.set("id", Some(line.id));
        fields.set("name", Some(line.name));
        fields.set("time_zone", line.time_zone);
        let kind = super::RecordKind::Entry(DirectoryKind::Organization);
        let record = fields.record(kind, None, edit.now());
        let Record::Entry(entry) = record.map_err(|fault| Error::invalid(fault.message()))? else {
            return Err(Error::internal("an organization became a membership"));
        };
        edit.put(entry)?;
    }
    let lists = [
        (DirectoryKind::Team, file.teams),
        (DirectoryKind::User, file.users),
        (DirectoryKind::ApiKey, file.api_keys),
    ];
    for (kind, lines) in lists {
        for line in lines {
            edit.put_unplaced_name(kind, line.id, line.name);
        }
    }
    edit.audit(Audit {
        actor: "start".to_owned(),
        action: "directory.import".to_owned(),
        subject: FILE.to_owned(),
        details: serde_json::Value::Null,
    });
    Ok(())
}
