//! The door to everything stored: take events in, take a view, flush, close.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, oneshot, watch};

use super::background::Background;
use super::commit::Committer;
use super::compete::Competition;
use super::corrections::Corrections;
use super::fair_queue::{QueueBounds, QueueStats};
use super::flusher::Flusher;
use super::group::PendingRequest;
use super::hot_shares::over_share;
use super::maintenance::{CompactReport, CompactScope};
use super::old_events::{self, OldEventReader, OldEvents};
use super::plan::FlushLimits;
use super::provider_costs::{ProviderReport, ReplacedReport};
use super::queue::{FairSender, fair_channel, tenant_of};
use super::recover::{Opening, Recovered, create_folders, recover};
use super::report::IngestReport;
use super::state::State;
use super::view::View;
use super::writer::{Log, Waiting, Writer};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::ingest::PreparedRequest;
use crate::lake::Lake;
use crate::wal::{DiskStorage, WalStorage};

/// Everything of one data directory that changes.
#[derive(Debug)]
pub struct Store {
    state: Arc<State>,
    log: Arc<Mutex<Log>>,
    flusher: Arc<Flusher>,
    old_events: Arc<OldEventReader>,
    limits: FlushLimits,
    /// Gone once the store is closed.
    queue: Mutex<Option<FairSender<Waiting>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    background: Mutex<Option<tokio::task::JoinHandle<()>>>,
    stop: watch::Sender<bool>,
    competition: Arc<Competition>,
    /// Held by whoever corrects stored events.
    correcting: Arc<tokio::sync::Mutex<()>>,
}

/// Figures for the health page and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Acknowledged rows that the lake does not hold yet.
    pub hot_rows: usize,
    /// Their memory, bytes.
    pub hot_bytes: usize,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Whether the log failed or the writer ended, so that nothing more is
    /// acknowledged.
    pub log_failed: bool,
    /// Memory of the daily aggregates, bytes; 0 when they are not cached.
    pub cube_bytes: usize,
    /// Memory of the dedup keys, bytes.
    pub dedup_bytes: usize,
    /// What waits for the log.
    pub queue: QueueStats,
}

impl Store {
    /// Opens `config.data_dir`, replays what only the log holds, and starts
    /// the writer and the background work.
    pub async fn open(config: &Config, opening: Opening, clock: Arc<dyn Clock>) -> Result<Self> {
        create_folders(&config.data_dir)?;
        let storage = DiskStorage::open(config.data_dir.join("wal"))
            .context(ErrorKind::Unavailable, "cannot open the write-ahead log's folder")?;
        Self::open_with(config, opening, Arc::new(storage), clock).await
    }

    /// Like [`Store::open`], over another log storage: for fault tests.
    pub async fn open_with(
        config: &Config,
        opening: Opening,
        storage: Arc<dyn WalStorage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        create_folders(&config.data_dir)?;
        let Recovered { lake, state, log } =
            recover(config, &opening, storage, Arc::clone(&clock)).await?;
        let covered_since = {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.dedup.covered_since().timestamp_micros()
        };
        let flusher = Arc::new(Flusher {
            lake,
            state: Arc::clone(&state),
            log: Arc::clone(&log),
            dedup_dir: config.data_dir.join("dedup"),
            application: opening.application,
            clock,
            _directory_lock: Arc::clone(&opening.directory_lock),
            turn: tokio::sync::Mutex::default(),
            keys_covered_since_micros: AtomicI64::new(covered_since),
        });
        let flush_wanted = Arc::new(Notify::new());
        let correcting: Arc<tokio::sync::Mutex<()>> = Arc::default();
        let limits = FlushLimits::from(config);
        let old_events: Arc<OldEventReader> = Arc::default();
        let committer = Arc::new(Committer {
            log: Arc::clone(&log),
            lake: Arc::clone(&flusher.lake),
            old_events: Arc::clone(&old_events),
            state: Arc::clone(&state),
            directory: opening.directory,
            precedence: config.source_precedence.clone(),
            correcting: Arc::clone(&correcting),
        });
        let competition = Arc::new(Competition {
            committer: Arc::clone(&committer),
            flusher: Arc::clone(&flusher),
            runtime: tokio::runtime::Handle::current(),
            waiting: Mutex::default(),
            waiting_max: config.ingest_queue_max.max(1),
        });
        let writer = Writer {
            committer,
            competition: Arc::clone(&competition),
            flush_wanted: Arc::clone(&flush_wanted),
            flush_rows_max: limits.rows_max,
            _directory_lock: opening.directory_lock,
        };
        let (sender, receiver) = fair_channel(QueueBounds::from(config));
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(receiver))
            .context(ErrorKind::Unavailable, "cannot start the writer thread")?;
        let (stop, stopped) = watch::channel(false);
        let background = Background::new(config, &flusher, flush_wanted).run(stopped);
        Ok(Self {
            state,
            log,
            flusher,
            old_events,
            limits,
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            background: Mutex::new(Some(tokio::spawn(background))),
            stop,
            competition,
            correcting,
        })
    }

    /// The current state; a query takes it once.
    pub fn view(&self) -> Arc<View> {
        self.state.view()
    }

    /// The Delta tables.
    pub fn lake(&self) -> &Arc<Lake> {
        &self.flusher.lake
    }

    /// Stores the valid lines of a request. When this returns `Ok`, every line
    /// reported as accepted is durable and in the next view.
    pub async fn ingest(
        &self,
        prepared: PreparedRequest,
        request_id: String,
        received_at: DateTime<Utc>,
    ) -> Result<IngestReport> {
        self.check_hot(&prepared)?;
        let (prepared, old) = self.look_up_old_events(prepared).await?;
        let request = PendingRequest { prepared, old, request_id, received_at };
        let (reply, answer) = oneshot::channel();
        self.enqueue(Waiting { request, reply })?;
        answer.await.map_err(|_| {
            Error::unavailable(
                "the server is stopping; whether this request was stored is open: send it again",
            )
        })?
    }

    /// Refuses a request that finds no room in the hot buffer.
    fn check_hot(&self, prepared: &PreparedRequest) -> Result<()> {
        let FlushLimits { hot_rows_max, rows_max, .. } = self.limits;
        let hot_rows = self.state.view().hot.rows();
        let (tenant, more) = (tenant_of(prepared), prepared.lines.len());
        let (reason, whose) = if hot_rows >= hot_rows_max {
            ("hot_rows", format!("{hot_rows} rows"))
        } else {
            let held = self.state.hot_rows_of(tenant);
            if !over_share(held, more, hot_rows, hot_rows_max, rows_max) {
                return Ok(());
            }
            ("hot_rows_share", format!("{held} rows of organization {tenant:?}, its share,"))
        };
        metrics::counter!("spendlake_ingest_refused_total", "reason" => reason).increment(1);
        let message = format!(
            "{whose} wait to be written to the lake (hot_rows_max {hot_rows_max}); nothing of \
             this request was stored: send it again"
        );
        Err(Error::new(ErrorKind::Busy, message))
    }

    fn enqueue(&self, waiting: Waiting) -> Result<()> {
        let queue = self.queue();
        let Some(sender) = queue.as_ref() else {
            return Err(Error::unavailable(
                "the server is stopping; nothing of this request was stored",
            ));
        };
        let prepared = &waiting.request.prepared;
        let (tenant, rows) = (tenant_of(prepared).to_owned(), prepared.lines.len());
        sender.send(&tenant, rows, waiting)
    }

    /// The stored keys of the days of events older than the memory of keys.
    async fn look_up_old_events(
        &self,
        prepared: PreparedRequest,
    ) -> Result<(PreparedRequest, OldEvents)> {
        let covered_since = self.flusher.keys_covered_since();
        if !old_events::any(&prepared.events, covered_since) {
            return Ok((prepared, OldEvents::none(covered_since)));
        }
        let (reader, lake) = (Arc::clone(&self.old_events), Arc::clone(&self.flusher.lake));
        tokio::task::spawn_blocking(move || {
            let old = reader.read(&prepared, covered_since, &lake.events)?;
            Ok((prepared, old))
        })
        .await
        .internal("looking up old events")?
    }

    /// The right to change stored events, once nobody else has it.
    pub async fn corrections(&self) -> Corrections {
        let alone = Arc::clone(&self.correcting).lock_owned().await;
        Corrections::new(Arc::clone(&self.flusher), alone)
    }

    /// Returns once every frame is written that was booked by an earlier state
    /// of the directory than the current one.
    pub fn await_booked_frames(&self) {
        // Frames are booked and written under this lock.
        drop(self.log.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Commits everything that is hot and covers it by the rollup.
    pub async fn flush(&self) -> Result<()> {
        self.flusher.flush().await
    }

    /// Flushes, then rewrites every day of more than one file.
    pub async fn compact(&self) -> Result<CompactReport> {
        self.flusher.flush().await?;
        let report = self.flusher.compact(CompactScope::All).await?;
        self.flusher.join_cube().await?;
        Ok(report)
    }

    /// Puts `report` in the place of what the same account's reports of the
    /// same kind said of its days: all of it, durably, or nothing.
    pub async fn replace_provider_costs(&self, report: ProviderReport) -> Result<ReplacedReport> {
        self.flusher.replace_provider_costs(report).await
    }

    /// Recomputes the whole rollup from the lake's events.
    pub async fn rebuild_rollup(&self) -> Result<()> {
        self.flusher.rebuild_all().await
    }

    /// Deletes replaced files older than `retention`, and writes checkpoints.
    /// Returns how many were deleted.
    pub async fn clean_up(&self, retention: TimeDelta) -> Result<usize> {
        self.flusher.clean_up(retention).await
    }

    /// What waits for the log. Unlike [`Store::stats`] this waits for nothing.
    pub fn queue_stats(&self) -> QueueStats {
        self.queue().as_ref().map_or(QueueStats::default(), FairSender::stats)
    }

    fn queue(&self) -> MutexGuard<'_, Option<FairSender<Waiting>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Current figures.
    pub fn stats(&self) -> StoreStats {
        let view = self.state.view();
        let queue = self.queue_stats();
        let writer_ended = self.queue().as_ref().is_some_and(FairSender::is_closed);
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        StoreStats {
            hot_rows: view.hot.rows(),
            hot_bytes: view.hot.bytes(),
            wal_bytes: log.wal.bytes(),
            log_failed: log.wal.is_failed() || writer_ended,
            cube_bytes: view.cube.as_ref().map_or(0, |cube| cube.bytes()),
            dedup_bytes: log.dedup.memory_bytes(),
            queue,
        }
    }

    /// Takes no more requests, answers those that wait, flushes, and stops
    /// every thread.
    pub async fn close(&self) -> Result<()> {
        self.queue().take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            tokio::task::spawn_blocking(move || writer.join())
                .await
                .internal("waiting for the writer thread")?
                .map_err(|_| Error::internal("the writer thread panicked"))?;
        }
        self.competition.finish().await;
        let _ = self.stop.send(true);
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(background) = background {
            background.await.internal("waiting for the background work")?;
        }
        if self.stats().log_failed {
            return Err(Error::unavailable(
                "the write-ahead log failed; what is durable will be replayed at the next start",
            ));
        }
        self.flusher.flush().await
    }
}
