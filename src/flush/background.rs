//! The background work: flushes when they are due, and maintenance between
//! them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, watch};

use super::flusher::Flusher;
use super::maintenance::CompactScope;
use super::plan::{FlushLimits, flush_due};
use super::writer::approximate;
use crate::config::Config;
use crate::error::Result;

/// Flushes and maintains until told to stop.
pub(super) struct Background {
    flusher: Arc<Flusher>,
    flush_wanted: Arc<Notify>,
    limits: FlushLimits,
    files_max: usize,
    maintenance_interval: TimeDelta,
    vacuum_retention: TimeDelta,
}

/// How often the loop looks whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// The wait after a failed flush, so that a full disk is not hammered.
const RETRY_WAIT: Duration = Duration::from_secs(5);
/// How often files past their retention are deleted, and sums compared.
const CLEAN_UP_INTERVAL: TimeDelta = TimeDelta::hours(1);

impl Background {
    pub(super) fn new(config: &Config, flusher: &Arc<Flusher>, flush_wanted: Arc<Notify>) -> Self {
        Self {
            flusher: Arc::clone(flusher),
            flush_wanted,
            limits: FlushLimits::from(config),
            files_max: config.compact_files_max,
            maintenance_interval: TimeDelta::seconds(i64::from(
                config.maintenance_interval_seconds,
            )),
            vacuum_retention: TimeDelta::hours(i64::from(config.vacuum_retention_hours)),
        }
    }

    /// Two loops, so that a long compaction holds up no flush for longer than
    /// one of its steps.
    pub(super) async fn run(self, stopped: watch::Receiver<bool>) {
        tokio::join!(self.flush_loop(stopped.clone()), self.maintenance_loop(stopped));
    }

    async fn flush_loop(&self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            tokio::select! {
                () = self.flush_wanted.notified() => {}
                () = tokio::time::sleep(TICK) => {}
                _ = stopped.changed() => return,
            }
            let stats = self.flusher.state.hot_stats();
            metrics::gauge!("spendlake_hot_rows").set(approximate(stats.rows as u64));
            metrics::gauge!("spendlake_hot_bytes").set(approximate(stats.bytes as u64));
            let now_micros = self.flusher.clock.now().timestamp_micros();
            if flush_due(stats, now_micros, &self.limits)
                && !logged("flush", self.flusher.flush().await)
            {
                tokio::time::sleep(RETRY_WAIT).await;
            }
        }
    }

    async fn maintenance_loop(&self, mut stopped: watch::Receiver<bool>) {
        let clock = &self.flusher.clock;
        let (mut maintained, mut cleaned) = (clock.now(), clock.now());
        while !*stopped.borrow() {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = stopped.changed() => return,
            }
            let now = clock.now();
            if now - maintained >= self.maintenance_interval {
                maintained = now;
                logged("compaction", self.compact_due(now).await);
                logged("joining the cube", self.flusher.join_cube().await);
                logged("dedup maintenance", self.flusher.maintain_keys().await);
            }
            if now - cleaned >= CLEAN_UP_INTERVAL {
                cleaned = now;
                logged("clean-up", self.flusher.clean_up(self.vacuum_retention).await.map(drop));
                logged("rollup check", self.flusher.check_rollup().await.map(drop));
            }
        }
    }

    async fn compact_due(&self, now: DateTime<Utc>) -> Result<()> {
        // A day that no flush has touched for ten flush intervals is quiet.
        let quiet = now.timestamp_millis() - self.limits.age_micros_max / 100;
        let scope = CompactScope::Due { files_max: self.files_max, quiet_since_millis: quiet };
        self.flusher.compact(scope).await.map(drop)
    }
}

fn logged(what: &str, outcome: Result<()>) -> bool {
    if let Err(error) = &outcome {
        metrics::counter!("spendlake_background_errors_total").increment(1);
        tracing::error!(error = error.full_message(), "{what} failed; it is tried again");
    }
    outcome.is_ok()
}
