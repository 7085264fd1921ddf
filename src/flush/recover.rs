//! Opens a data directory: what the tables hold, then what only the log holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};

use super::flusher::held_sequence;
use super::group::UNKNOWN_FINGERPRINT;
use super::old_events::{IDENTITY_COLUMNS, for_each_key};
use super::record::FrameContent;
use super::rollup_refresh::refresh;
use super::state::State;
use super::view::View;
use super::writer::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::dedup::{Dedup, write_run};
use crate::directory::SharedDirectory;
use crate::error::{Context, Error, Result};
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::{Lake, LakeOptions};
use crate::model::{rejected_events_schema, usage_events_schema};
use crate::rollup::{Cube, Segment, daily_rows};
use crate::wal::{Frame, Wal, WalOptions, WalStorage};

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
    let mut replay = Replay { state: Arc::clone(&state), cube, held, frames: 0 };
    let (wal_options, epoch) =
        (WalOptions { segment_bytes_max: config.wal_segment_bytes_max }, opening.epoch);
    let lake_for_keys = Arc::clone(&lake);
    let (dedup_dir, window_days) = (config.data_dir.join("dedup"), config.dedup_window_days);
    let log = tokio::task::spawn_blocking(move || {
        let mut dedup = open_keys(&lake_for_keys, &dedup_dir, window_days, now)?;
        let flushed = held.events.max(held.rejected);
        let wal = Wal::open(storage, wal_options, epoch, flushed, &mut |frame| {
            replay.frame(&frame, &mut dedup)
        })?;
        tracing::info!(
            frames = replay.frames,
            last_sequence = wal.last_sequence(),
            "replayed the write-ahead log"
        );
        Ok(Log { wal, dedup })
    })
    .await
    .internal("replaying the write-ahead log")?;
    Ok(Recovered { lake, state, log: Arc::new(Mutex::new(log?)) })
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
    for file in &lake.events.snapshot().files {
        for batch in lake.events.read_file(file, Some(&IDENTITY_COLUMNS))? {
            for_each_key(&batch?, |key| dedup.insert(key, UNKNOWN_FINGERPRINT))?;
        }
        save(&mut dedup)?;
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
struct HeldSequences {
    events: u64,
    rejected: u64,
}

async fn held_sequences(lake: &Lake, application: &str) -> Result<HeldSequences> {
    Ok(HeldSequences {
        events: held_sequence(&lake.events, application).await?,
        rejected: held_sequence(&lake.rejected, application).await?,
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
        uncovered_files: Vec::new(),
        hot: HotSnapshot::default(),
        cube: None,
        sequence: held.events.max(held.rejected),
        as_of_micros: newest.saturating_mul(1000),
    }
}

/// Puts replayed frames where the acknowledgement had put them.
struct Replay {
    state: Arc<State>,
    cube: Arc<Cube>,
    held: HeldSequences,
    frames: u64,
}

impl Replay {
    fn frame(&mut self, frame: &Frame, dedup: &mut Dedup) -> Result<()> {
        let flushed = self.held.events.max(self.held.rejected);
        if self.frames == 0 && frame.sequence > flushed + 1 {
            return Err(Error::unavailable(format!(
                "the write-ahead log starts with frame {}, but the lake holds frames up to \
                 {flushed}: a log file is missing; restore it from a backup (nothing was changed)",
                frame.sequence
            )));
        }
        self.frames += 1;
        let mut content = FrameContent::decode(&frame.records)?;
        for key in &content.keys {
            dedup.insert(key.key, key.fingerprint);
        }
        if frame.sequence <= self.held.events {
            content.events = arrow::array::RecordBatch::new_empty(usage_events_schema());
        }
        if frame.sequence <= self.held.rejected {
            content.rejected = arrow::array::RecordBatch::new_empty(rejected_events_schema());
        }
        if content.is_empty() {
            return Ok(());
        }
        let segment = match content.events.num_rows() {
            0 => None,
            _ => Some(self.cube.segment(&daily_rows(std::slice::from_ref(&content.events))?)?),
        };
        let recorded_at_micros = recorded_at(&content);
        let FrameContent { events, rejected, .. } = content;
        let sequence = frame.sequence;
        self.state
            .acknowledge(HotBatch { sequence, events, rejected, recorded_at_micros }, segment);
        Ok(())
    }
}

fn recorded_at(content: &FrameContent) -> i64 {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    let first = |batch: &arrow::array::RecordBatch, name: &str| {
        let column = batch.column_by_name(name)?.as_primitive::<TimestampMicrosecondType>();
        (!column.is_empty()).then(|| column.value(0))
    };
    first(&content.events, "recorded_at")
        .or_else(|| first(&content.rejected, "received_at"))
        .unwrap_or(0)
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
