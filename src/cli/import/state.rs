//! How far a file is imported, so that an interrupted import goes on.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::FileFormat;
use super::mapping::Mapping;
use crate::cli::feed::Acknowledged;
use crate::error::{Context, ErrorKind, Result};

/// Counts of one file, over all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImportState {
    /// Rows whose fate is known: where the next run goes on.
    pub(super) rows_done: u64,
    pub(super) accepted: u64,
    pub(super) duplicate: u64,
    #[serde(default)]
    pub(super) sighting: u64,
    pub(super) conflict: u64,
    pub(super) rejected: u64,
    pub(super) finished: bool,
}

impl ImportState {
    pub(super) fn add(&mut self, done: &Acknowledged) {
        self.rows_done = done.position;
        self.accepted += done.stored.accepted;
        self.duplicate += done.stored.duplicate;
        self.sighting += done.stored.sighting;
        self.conflict += done.stored.conflict;
        self.rejected += done.stored.rejected;
    }
}

/// `<data_dir>/imports/<hash>.json` of one file and mapping.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    hash: u64,
    identity: Identity,
}

/// What makes a file the same one as last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    file: String,
    bytes: u64,
    modified_micros: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    state: ImportState,
}

impl StateFile {
    pub(super) fn of(
        path: &Path,
        format: FileFormat,
        mapping: &Mapping,
        data_dir: &Path,
    ) -> Result<Self> {
        let shown = path.display();
        let missing = || format!("cannot open {shown}; check the name");
        let full = path.canonicalize().context(ErrorKind::NotFound, missing())?;
        let meta = full.metadata().context(ErrorKind::NotFound, missing())?;
        let modified = meta.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let file = full.to_string_lossy().into_owned();
        let key = format!("{file}\n{format:?}\n{}", mapping.fingerprint());
        let hash = xxh3_64(key.as_bytes());
        let modified_micros =
            modified.and_then(|since| u64::try_from(since.as_micros()).ok()).unwrap_or(0);
        Ok(Self {
            path: data_dir.join("imports").join(format!("{hash:016x}.json")),
            hash,
            identity: Identity { file, bytes: meta.len(), modified_micros },
        })
    }

    /// Starts the request ids of this file.
    pub(super) fn request_name(&self) -> String {
        format!("import-{:016x}", self.hash)
    }

    /// How far the file is. One that changed, or a state that cannot be read,
    /// starts anew: events that are stored already count as duplicates.
    pub(super) fn load(&self) -> ImportState {
        let saved = fs::read(&self.path).ok();
        let saved: Option<Saved> = saved.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match saved {
            Some(saved) if saved.identity == self.identity => saved.state,
            _ => ImportState::default(),
        }
    }

    /// Replaces the saved state, as a whole.
    pub(super) fn save(&self, state: &ImportState) -> Result<()> {
        let saved = Saved { identity: self.identity.clone(), state: state.clone() };
        let text = serde_json::to_vec_pretty(&saved).internal("writing the import's state")?;
        let staged = self.path.with_extension("json.tmp");
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&staged, text))
            .and_then(|()| fs::rename(&staged, &self.path))
            .context(ErrorKind::Unavailable, format!("writing {}", self.path.display()))
    }
}
