//! Opens a data directory: what the tables hold, then what only the log holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};

use super::flusher::held_sequence;
use super::group::UNKNOWN_FINGERPRINT;
use super::old_events::{IDENTITY_COLUMNS, for_each_key};
use super::open_hot::for_each_request;
use super::replay::Replay;
use super::rollup_refresh::refresh;
use super::state::{State, Tables};
use super::superseding::superseding_application;
use super::view::View;
use super::writer::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::dedup::{Dedup, write_run};
use crate::directory::SharedDirectory;
use crate::error::{Context, Result};
use crate::hot::HotSnapshot;
use crate::lake::{Lake, LakeOptions};
use crate::rollup::{Cube, Segment};
use crate::wal::{Wal, WalOptions, WalStorage};

/// Who opens, and how often this directory was opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Names this data directory in the tables' application transactions.
    pub application: String,
    /// Grows with every opening; stamped on new log segments.
    pub epoch: u64,
    /// Whatever keeps others out of the directory: held until the last thread
    /// that can write there has ended.
    pub directory_lock: Arc<dyn DirectoryLock>,
    /// Says which months are closed.
    pub directory: SharedDirectory,
}

/// Keeps others out of a data directory while it lives.
pub trait DirectoryLock: std::fmt::Debug + Send + Sync {}

/// No lock: for a directory that nobody else knows.
impl DirectoryLock for () {}

/// What an opening yields.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) lake: Arc<Lake>,
    pub(super) state: Arc<State>,
    pub(super) log: Arc<Mutex<Log>>,
}

/// Opens the tables, covers them by the rollup, loads the cube, and replays
/// the log on top.
pub(super) async fn recover(
    config: &Config,
    opening: &Opening,
    storage: Arc<dyn WalStorage>,
    clock: Arc<dyn Clock>,
) -> Result<Recovered> {
    let options = LakeOptions {
        log_retention_days: config.log_retention_days,
        tombstone_retention_hours: config.vacuum_retention_hours,
        ..LakeOptions::new(Arc::clone(&clock))
    };
    let lake = Arc::new(Lake::open(&config.data_dir, &options).await?);
    let daily = refresh(&lake).await?.daily;
    let cube = Arc::new(Cube::new());
    let covered = load_segments(&lake, &cube).await?;
    let held = held_sequences(&lake, &opening.application).await?;
    let (view, now) = (stored_view(&lake, daily, held), clock.now());
    let state =
        Arc::new(State::new(view, Arc::clone(&cube), covered, config.rollup_cache_bytes_max));
    let mut replay = Replay::new(Arc::clone(&state), cube, held);
    let (wal_options, epoch) =
        (WalOptions { segment_bytes_max: config.wal_segment_bytes_max }, opening.epoch);
    let lake_for_keys = Arc::clone(&lake);
    let (dedup_dir, window_days) = (config.data_dir.join("dedup"), config.dedup_window_days);
    let log = tokio::task::spawn_blocking(move || {
        let mut dedup = open_keys(&lake_for_keys, &dedup_dir, window_days, now)?;
        let wal = Wal::open(storage, wal_options, epoch, held.latest(), &mut |frame| {
            replay.frame(&frame, &mut dedup)
        })?;
        let (requests, unapplied) = replay.finish()?;
        tracing::info!(
            last_sequence = wal.last_sequence(),
            unapplied = unapplied.len(),
            "replayed the write-ahead log"
        );
        Ok((Log { wal, dedup, requests }, unapplied))
    })
    .await
    .internal("replaying the write-ahead log")?;
    let (log, unapplied) = log?;
    if !unapplied.is_empty() {
        for superseding in &unapplied {
            superseding.commit(&lake.events, &opening.application).await?;
        }
        let daily = refresh(&lake).await?.daily;
        let covered = match state.cube() {
            Some(cube) => load_segments(&lake, &cube).await?,
            None => Vec::new(),
        };
        state.reloaded(Tables { daily, ..Tables::of(&lake) }, covered, held.events);
    }
    Ok(Recovered { lake, state, log: Arc::new(Mutex::new(log)) })
}

/// Opens the memory of keys. A new one, one whose folder was moved away, and
/// one whose rebuild was interrupted is built from every event that the lake
/// holds, so that it has forgotten none.
fn open_keys(lake: &Lake, dir: &Path, window_days: u32, now: DateTime<Utc>) -> Result<Dedup> {
    if holds_keys(dir) {
        let dedup = Dedup::open(dir, window_days, now)?;
        // Expiry never moves this into the window; only a rebuild that did
        // not finish leaves it there.
        if dedup.covered_since() <= now - TimeDelta::days(i64::from(window_days)) {
            return Ok(dedup);
        }
    }
    let mut dedup = Dedup::create_empty(dir, window_days, now)?;
    let today = i32::try_from(now.timestamp().div_euclid(86_400)).unwrap_or(i32::MAX);
    let save = |dedup: &mut Dedup| -> Result<()> {
        let Some(frozen) = dedup.freeze() else { return Ok(()) };
        let run = write_run(dir, &frozen, today)?;
        dedup.install(&frozen, run)
    };
    let columns = [&IDENTITY_COLUMNS[..], &["request_id"]].concat();
    for table in [&lake.events, &lake.sightings] {
        for file in &table.snapshot().files {
            for batch in table.read_file(file, Some(&columns))? {
                let batch = batch?;
                for_each_key(&batch, |key| dedup.insert(key, UNKNOWN_FINGERPRINT))?;
                for_each_request(&batch, |_, key| dedup.insert(key, UNKNOWN_FINGERPRINT))?;
            }
            save(&mut dedup)?;
        }
    }
    dedup.cover_since(DateTime::UNIX_EPOCH)?;
    Ok(dedup)
}

/// Whether `dir` holds more than what a first start that broke off leaves.
fn holds_keys(dir: &Path) -> bool {
    let is_draft = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "tmp"))
    };
    std::fs::read_dir(dir).is_ok_and(|mut entries| !entries.all(is_draft))
}

/// The last WAL sequence number that each table holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldSequences {
    pub(super) events: u64,
    pub(super) rejected: u64,
    pub(super) sightings: u64,
    /// The last frame of which `usage_events` holds the superseding rows.
    pub(super) superseding: u64,
}

impl HeldSequences {
    /// The last frame that any table holds rows of.
    pub(super) fn latest(&self) -> u64 {
        self.events.max(self.rejected).max(self.sightings).max(self.superseding)
    }
}

async fn held_sequences(lake: &Lake, application: &str) -> Result<HeldSequences> {
    Ok(HeldSequences {
        events: held_sequence(&lake.events, application).await?,
        rejected: held_sequence(&lake.rejected, application).await?,
        sightings: held_sequence(&lake.sightings, application).await?,
        superseding: held_sequence(&lake.events, &superseding_application(application)).await?,
    })
}

fn stored_view(lake: &Lake, daily: Arc<crate::lake::TableSnapshot>, held: HeldSequences) -> View {
    let events = lake.events.snapshot();
    let newest = events.files.iter().map(|file| file.modified_at_millis).max().unwrap_or(0);
    View {
        events,
        rejected: lake.rejected.snapshot(),
        daily,
        provider_costs: lake.provider_costs.snapshot(),
        sightings: lake.sightings.snapshot(),
        uncovered_files: Vec::new(),
        hot: HotSnapshot::default(),
        cube: None,
        sequence: held.latest(),
        as_of_micros: newest.saturating_mul(1000),
    }
}

/// Reads the whole stored rollup into the cube.
pub(super) async fn load_segments(lake: &Arc<Lake>, cube: &Arc<Cube>) -> Result<Vec<Arc<Segment>>> {
    let (lake, cube) = (Arc::clone(lake), Arc::clone(cube));
    tokio::task::spawn_blocking(move || {
        let mut segments = Vec::new();
        for file in &lake.daily.snapshot().files {
            for batch in lake.daily.read_file(file, None)? {
                segments.push(cube.segment(&batch?)?);
            }
        }
        Ok(if segments.len() > 1 { vec![cube.merge(&segments)] } else { segments })
    })
    .await
    .internal("loading the daily aggregates")?
}

/// Makes the folders of a data directory.
pub(super) fn create_folders(data_dir: &Path) -> Result<()> {
    for folder in ["wal", "dedup", "lake"] {
        let path = data_dir.join(folder);
        std::fs::create_dir_all(&path).context(
            crate::error::ErrorKind::Unavailable,
            format!("cannot create {}", path.display()),
        )?;
    }
    Ok(())
}
