//! The memory itself: who is asked, and how its parts are exchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::files::TEMPORARY_SUFFIX;
use super::keys::{FrozenKeys, KeyMap};
use super::manifest::{Manifest, RunEntry};
use super::merge::MergePlan;
use super::plan::{RunShape, runs_to_merge};
use super::run::Run;
use super::run_writer::write_entries;
use crate::error::{Context, Error, ErrorKind, Result};

const DAY_SECONDS: i64 = 86_400;

/// The memory of recorded event keys.
#[derive(Debug)]
pub struct Dedup {
    dir: PathBuf,
    window_days: u32,
    covered_since: DateTime<Utc>,
    number_next: u64,
    active: KeyMap,
    /// Oldest first, as the runs are.
    frozen: Vec<Arc<FrozenKeys>>,
    runs: Vec<Arc<Run>>,
}

/// Writes `frozen` as a run file, durably, without holding the memory.
/// `recorded_day` is the day of its newest key, days since 1970-01-01.
/// Writing it again replaces the file.
///
/// Errors: `Unavailable` when the disk is full or failing.
pub fn write_run(dir: &Path, frozen: &FrozenKeys, recorded_day: i32) -> Result<Run> {
    let entries = frozen.sorted().into_iter().map(Ok);
    write_entries(dir, frozen.number, (recorded_day, recorded_day), frozen.keys(), entries)
}

impl Dedup {
    /// Opens the memory in `dir`, drops runs older than the window, and
    /// removes files of it that the manifest does not list.
    ///
    /// Errors: `Unavailable` when the manifest or a run is missing or
    /// damaged, or the disk fails; then rebuild with
    /// [`create_empty`](Self::create_empty).
    pub fn open(dir: &Path, window_days: u32, now: DateTime<Utc>) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let number_max = manifest.runs.iter().map(|run| run.number).max().unwrap_or(0);
        let mut runs = Vec::with_capacity(manifest.runs.len());
        for entry in manifest.runs {
            runs.push(Arc::new(Run::open(dir, entry)?));
        }
        let mut memory = Self {
            dir: dir.to_owned(),
            window_days,
            covered_since: manifest.covered_since,
            number_next: number_max + 1,
            active: KeyMap::default(),
            frozen: Vec::new(),
            runs,
        };
        memory.expire(day_of(now))?;
        memory.remove_unlisted()?;
        Ok(memory)
    }

    /// Starts an empty memory in `dir`, which is created where it is missing;
    /// one that was there is removed.
    ///
    /// To rebuild: insert the recorded keys of the window (freeze, write and
    /// install them day by day), then call
    /// [`cover_since`](Self::cover_since). Until then
    /// [`covered_since`](Self::covered_since) is `now`, also after a crash, so
    /// that a rebuild that was interrupted is seen.
    ///
    /// Errors: `Unavailable` when the disk is full or failing.
    pub fn create_empty(dir: &Path, window_days: u32, now: DateTime<Utc>) -> Result<Self> {
        let doing = || format!("the folder {} cannot be created", dir.display());
        fs::create_dir_all(dir).context(ErrorKind::Unavailable, doing())?;
        let memory = Self {
            dir: dir.to_owned(),
            window_days,
            covered_since: now,
            number_next: 1,
            active: KeyMap::default(),
            frozen: Vec::new(),
            runs: Vec::new(),
        };
        Manifest::new(now, Vec::new()).write(dir)?;
        memory.remove_unlisted()?;
        Ok(memory)
    }

    /// The fingerprint of the first remembered copy of `key`.
    ///
    /// Errors: `Unavailable` when a run cannot be read or is damaged.
    pub fn find(&self, key: u128) -> Result<Option<u64>> {
        for run in &self.runs {
            if let Some(fingerprint) = run.find(key)? {
                return Ok(Some(fingerprint));
            }
        }
        let maps = self.frozen.iter().map(|frozen| &frozen.map).chain([&self.active]);
        Ok(maps.filter_map(|map| map.find(key)).next())
    }

    /// Remembers `key`. Insert only keys that [`find`](Self::find) does not
    /// know; a key that is inserted again keeps its first fingerprint.
    pub fn insert(&mut self, key: u128, fingerprint: u64) {
        self.active.insert(key, fingerprint);
    }

    /// Sets the active keys aside to be written as a run; they are still
    /// found. None when there are none.
    pub fn freeze(&mut self) -> Option<Arc<FrozenKeys>> {
        if self.active.len() == 0 {
            return None;
        }
        let map = std::mem::take(&mut self.active);
        let frozen = Arc::new(FrozenKeys { number: self.take_number(), map });
        self.frozen.push(Arc::clone(&frozen));
        Some(frozen)
    }

    /// Replaces `frozen` by its `run`, durably.
    ///
    /// Errors: `Unavailable` when the manifest cannot be written; nothing
    /// changed then, and `write_run` and `install` can be repeated.
    pub fn install(&mut self, frozen: &Arc<FrozenKeys>, run: Run) -> Result<()> {
        let place = self.frozen.iter().position(|known| Arc::ptr_eq(known, frozen));
        let Some(place) = place.filter(|_| run.entry.number == frozen.number) else {
            return Err(Error::internal("a key run was installed for keys that are not frozen"));
        };
        let mut runs = self.runs.clone();
        runs.push(Arc::new(run));
        self.replace_runs(runs, self.covered_since)?;
        self.frozen.remove(place);
        Ok(())
    }

    /// The runs to merge next: [`merge_runs`](super::merge_runs) them without
    /// holding the memory, then [`install_merged`](Self::install_merged). One
    /// plan at a time. None when there is nothing to merge.
    pub fn plan_merge(&mut self) -> Option<MergePlan> {
        let shape = |run: &Arc<Run>| RunShape { rows: run.entry.rows, day_max: run.entry.day_max };
        let shapes: Vec<_> = self.runs.iter().map(shape).collect();
        let chosen = runs_to_merge(&shapes)?;
        let runs = chosen.into_iter().map(|index| Arc::clone(&self.runs[index])).collect();
        Some(MergePlan { number: self.take_number(), runs })
    }

    /// Replaces the runs of `plan` by the merged `run`, durably. When all of
    /// them expired meanwhile, the merged run is dropped.
    ///
    /// Errors: `Unavailable` when the manifest cannot be written; nothing
    /// changed then.
    pub fn install_merged(&mut self, plan: &MergePlan, run: Run) -> Result<()> {
        if run.entry.number != plan.number {
            return Err(Error::internal("a merged key run was installed for another plan"));
        }
        let is_merged =
            |known: &Arc<Run>| plan.runs.iter().any(|merged| Arc::ptr_eq(known, merged));
        let Some(place) = self.runs.iter().position(is_merged) else {
            remove_file(&run.path);
            return Ok(());
        };
        let mut runs = self.runs.clone();
        runs[place] = Arc::new(run);
        runs.retain(|known| !is_merged(known));
        self.replace_runs(runs, self.covered_since)
    }

    /// Drops the runs whose newest key is older than the window. `today`
    /// counts days since 1970-01-01.
    ///
    /// Errors: `Unavailable` when the manifest cannot be written; nothing
    /// changed then.
    pub fn expire(&mut self, today: i32) -> Result<()> {
        let horizon = today.saturating_sub(i32::try_from(self.window_days).unwrap_or(i32::MAX));
        let mut runs = self.runs.clone();
        runs.retain(|run| run.entry.day_max >= horizon);
        if runs.len() == self.runs.len() {
            return Ok(());
        }
        let complete_since =
            DateTime::from_timestamp(i64::from(horizon) * DAY_SECONDS, 0).unwrap_or_default();
        self.replace_runs(runs, self.covered_since.max(complete_since))
    }

    /// Declares that every key recorded since `since` is remembered: the end
    /// of a rebuild. All keys should be installed by then.
    ///
    /// Errors: `Unavailable` when the manifest cannot be written.
    pub fn cover_since(&mut self, since: DateTime<Utc>) -> Result<()> {
        self.replace_runs(self.runs.clone(), since)
    }

    /// Since when every recorded key is remembered.
    pub fn covered_since(&self) -> DateTime<Utc> {
        self.covered_since
    }

    /// Memory held by keys, filters and block indexes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let frozen: usize = self.frozen.iter().map(|frozen| frozen.map.memory_bytes()).sum();
        let runs: usize = self.runs.iter().map(|run| run.memory_bytes()).sum();
        self.active.memory_bytes() + frozen + runs
    }

    /// How many keys are remembered; one in two places counts twice.
    pub fn keys(&self) -> u64 {
        let frozen: u64 = self.frozen.iter().map(|frozen| frozen.keys()).sum();
        let runs: u64 = self.runs.iter().map(|run| run.entry.rows).sum();
        self.active.len() as u64 + frozen + runs
    }

    /// How many run files a lookup asks.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    fn take_number(&mut self) -> u64 {
        let number = self.number_next;
        self.number_next += 1;
        number
    }

    /// Makes `runs` the list, on disk first, and removes the files that are
    /// not in it any more.
    fn replace_runs(&mut self, runs: Vec<Arc<Run>>, covered_since: DateTime<Utc>) -> Result<()> {
        let entries: Vec<RunEntry> = runs.iter().map(|run| run.entry.clone()).collect();
        Manifest::new(covered_since, entries).write(&self.dir)?;
        let before = std::mem::replace(&mut self.runs, runs);
        self.covered_since = covered_since;
        for run in before {
            if !self.runs.iter().any(|kept| kept.entry.number == run.entry.number) {
                remove_file(&run.path);
            }
        }
        Ok(())
    }

    /// Removes run files and temporary files that no manifest lists.
    fn remove_unlisted(&self) -> Result<()> {
        let doing = || format!("the folder {} cannot be listed", self.dir.display());
        for file in fs::read_dir(&self.dir).context(ErrorKind::Unavailable, doing())? {
            let path = file.context(ErrorKind::Unavailable, doing())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_ours = name.ends_with(".run") || name.ends_with(TEMPORARY_SUFFIX);
            if is_ours && !self.runs.iter().any(|run| run.path == path) {
                remove_file(&path);
            }
        }
        Ok(())
    }
}

/// Removes a file that nothing refers to. One that stays is removed at the
/// next open, so an error is only logged.
fn remove_file(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(file = %path.display(), %error, "an unused key run stays for now");
    }
}

fn day_of(now: DateTime<Utc>) -> i32 {
    i32::try_from(now.timestamp().div_euclid(DAY_SECONDS)).unwrap_or(i32::MAX)
}
