//! `<data_dir>/demo.json`: which sample a folder holds, and how much of it.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{DemoOptions, foreign_folder};
use crate::error::{Context, Error, ErrorKind, Result};

/// A folder that belongs to the demo.
#[derive(Debug)]
pub(super) struct DemoFolder {
    path: PathBuf,
    pub(super) marker: Marker,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    events: u64,
    seed: u64,
    end_date: NaiveDate,
    /// Chunks of the generator that are stored.
    pub(super) chunks_done: u64,
    /// Trace files that are stored.
    pub(super) traces_done: Vec<String>,
    pub(super) generated: bool,
}

/// Takes `data_dir` for the sample, or finds the one begun there, whose end
/// date then holds. `Invalid` when it holds anything else.
pub(super) fn claim(data_dir: &Path, wanted: DemoOptions) -> Result<DemoFolder> {
    let path = data_dir.join("demo.json");
    let shown = data_dir.display();
    if let Ok(bytes) = fs::read(&path) {
        let marker: Marker = serde_json::from_slice(&bytes)
            .context(ErrorKind::Invalid, format!("{} cannot be read", path.display()))?;
        if (marker.events, marker.seed) != (wanted.events, wanted.seed) {
            return Err(Error::invalid(format!(
                "{shown} holds a demo of {} events, seed {}; for {} events, seed {} delete it or \
                 pass --data-dir with a new folder",
                marker.events, marker.seed, wanted.events, wanted.seed
            )));
        }
        return Ok(DemoFolder { path, marker });
    }
    let occupied = fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(foreign_folder(data_dir));
    }
    fs::create_dir_all(data_dir)
        .context(ErrorKind::Unavailable, format!("creating the folder {shown}"))?;
    let DemoOptions { events, seed, end_date } = wanted;
    let traces_done = Vec::new();
    let marker = Marker { events, seed, end_date, chunks_done: 0, traces_done, generated: false };
    let folder = DemoFolder { path, marker };
    folder.save()?;
    Ok(folder)
}

impl DemoFolder {
    /// What the folder holds, or will.
    pub(super) fn options(&self) -> DemoOptions {
        let Marker { events, seed, end_date, .. } = self.marker;
        DemoOptions { events, seed, end_date }
    }

    /// Replaces the saved marker, as a whole. What it lacks after a crash is
    /// sent again and recognised.
    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.marker).internal("writing demo.json")?;
        let staged = self.path.with_extension("json.tmp");
        fs::write(&staged, text)
            .and_then(|()| fs::rename(&staged, &self.path))
            .context(ErrorKind::Unavailable, format!("writing {}", self.path.display()))
    }
}
