//! The metrics recorder of this process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::error::{Context, Result};

/// Bounds of latency buckets, seconds.
const LATENCY_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// How often the recorder folds its samples into buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder, once per process, and describes each metric.
pub(super) fn install() -> Result<PrometheusHandle> {
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = installed.as_ref() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)
        .internal("setting metric buckets")?
        .install_recorder()
        .internal("installing the metrics recorder")?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    Ok(installed.insert(handle).clone())
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("spendlake_events_total", "Events received, by verdict");
    describe_counter!(
        "spendlake_ingest_refused_total",
        "Requests to ingest that were sent away to come back: by a full queue, memory or hot \
         buffer, by a sender's share of them, or by a sender's rate"
    );
    describe_counter!("spendlake_flushed_rows_total", "Rows committed to the lake");
    describe_counter!("spendlake_compacted_files_total", "Files replaced by compaction");
    describe_counter!("spendlake_rollup_rebuilt_days_total", "Days whose rollup was rebuilt");
    describe_counter!("spendlake_background_errors_total", "Failed background steps");
    describe_counter!(
        "spendlake_answers_total",
        "Dashboard answers: unchanged (304), from the cache, or by asking"
    );
    describe_counter!(
        "spendlake_sql_refused_total",
        "SQL statements sent away to come back: by a full queue, by a caller's share of it, or \
         after a long wait"
    );
    describe_counter!(
        "spendlake_sql_cancelled_total",
        "SQL statements that somebody stopped, or whose caller went away"
    );
    describe_gauge!("spendlake_sql_running", "SQL statements that have a place");
    describe_gauge!("spendlake_sql_waiting", "SQL statements that wait for one");
    describe_counter!("spendlake_directory_registered_total", "Ids registered on sight");
    describe_counter!(
        "spendlake_directory_postponed_total",
        "Ids not registered on sight for want of room; they will be seen again"
    );
    describe_gauge!(
        "spendlake_unpriced_events",
        "Stored events of unknown cost, by provider and model; the models beyond the first \
         twenty together"
    );
    describe_gauge!("spendlake_ingest_queue_requests", "Requests that wait for the log");
    describe_gauge!("spendlake_ingest_queue_rows", "Events of those requests");
    describe_gauge!("spendlake_ingest_queue_lanes", "Organizations that those requests are of");
    describe_gauge!("spendlake_hot_rows", "Acknowledged rows not yet in the lake");
    describe_gauge!("spendlake_hot_bytes", "Memory of those rows, bytes");
    describe_gauge!("spendlake_wal_bytes", "Size of the write-ahead log, bytes");
    describe_gauge!("spendlake_rollup_cache_bytes", "Memory of the daily aggregates, bytes");
    describe_gauge!("spendlake_dedup_bytes", "Memory of the dedup keys, bytes");
    describe_histogram!("spendlake_wal_sync_seconds", "One fsync of the write-ahead log");
    describe_histogram!(
        "spendlake_group_commit_seconds",
        "One group: judge, append, fsync, publish"
    );
    describe_histogram!("spendlake_flush_seconds", "One flush to the lake");
    describe_histogram!(
        "spendlake_sql_seconds",
        "One SQL statement from its arrival to its end, by outcome: done, failed or cancelled"
    );
    describe_histogram!("spendlake_request_seconds", "One HTTP request, by route and status");
}
