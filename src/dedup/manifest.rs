//! The list of runs.

use std::fs;
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::files;
use crate::error::{Context, Error, ErrorKind, Result};

const FORMAT_VERSION: u32 = 1;
pub(super) const MANIFEST_NAME: &str = "MANIFEST";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format_version: u32,
    /// Since when every recorded key is in the runs (or was in memory only).
    pub(super) covered_since: DateTime<Utc>,
    pub(super) runs: Vec<RunEntry>,
}

/// What the manifest says of a run; the file must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunEntry {
    pub(super) number: u64,
    pub(super) rows: u64,
    /// Days since 1970-01-01.
    pub(super) day_min: i32,
    pub(super) day_max: i32,
}

impl RunEntry {
    pub(super) fn file_name(&self) -> String {
        run_file_name(self.number)
    }
}

pub(super) fn run_file_name(number: u64) -> String {
    format!("{number:012}.run")
}

impl Manifest {
    pub(super) fn new(covered_since: DateTime<Utc>, runs: Vec<RunEntry>) -> Self {
        Self { format_version: FORMAT_VERSION, covered_since, runs }
    }

    /// Reads the manifest of `dir`; one that is missing or damaged is
    /// `Unavailable`, with the way out.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_NAME);
        let text = fs::read_to_string(&path)
            .map_err(|cause| damaged(&path, "it cannot be read").caused_by(cause))?;
        let (json, checksum) = text
            .trim_end()
            .rsplit_once('\n')
            .ok_or_else(|| damaged(&path, "it has no checksum line"))?;
        if checksum != checksum_line(json) {
            return Err(damaged(&path, "it does not match its checksum"));
        }
        let manifest: Self = serde_json::from_str(json)
            .map_err(|cause| damaged(&path, "its list cannot be read").caused_by(cause))?;
        if manifest.format_version != FORMAT_VERSION {
            let version = manifest.format_version;
            let what = format!(
                "it has format version {version}, and this build reads version {FORMAT_VERSION}"
            );
            return Err(damaged(&path, &what));
        }
        Ok(manifest)
    }

    /// Replaces the manifest of `dir` durably.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let json = serde_json::to_string(self).internal("the list of key runs has no JSON form")?;
        let text = format!("{json}\n{}\n", checksum_line(&json));
        files::write_whole(dir, MANIFEST_NAME, |file| file.write_all(text.as_bytes())).context(
            ErrorKind::Unavailable,
            format!("{} cannot be written; check the disk", dir.join(MANIFEST_NAME).display()),
        )?;
        Ok(())
    }
}

fn checksum_line(json: &str) -> String {
    format!("{:08x}", crc32fast::hash(json.as_bytes()))
}

/// The memory cannot be trusted: `path` is missing or damaged.
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    let dir = path.parent().unwrap_or(path).display();
    Error::unavailable(format!(
        "{} is missing or damaged: {what}; the folder {dir} only remembers which events were \
         recorded, so nothing is lost: stop the server and move the folder away, and the memory is \
         rebuilt from the stored events",
        path.display()
    ))
}
