//! `/healthz`, `/readyz`, `/metrics`: for the one who runs the server.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusHandle;

use super::unpriced::UnpricedGauges;
use crate::flush::Store;
use crate::query::{Queries, off_workers};

/// What the health routes look at.
pub struct HealthState {
    /// Empty while the log is being replayed.
    store: Arc<OnceLock<Arc<Store>>>,
    /// Counts what has no price.
    queries: Arc<Queries>,
    unpriced: UnpricedGauges,
    /// Renders the metrics.
    metrics: PrometheusHandle,
}

impl HealthState {
    /// What to look at; the store may open later.
    pub fn new(
        store: Arc<OnceLock<Arc<Store>>>,
        queries: Arc<Queries>,
        metrics: PrometheusHandle,
    ) -> Self {
        Self { store, queries, unpriced: UnpricedGauges::default(), metrics }
    }

    /// Counts unpriced events anew, where they may have changed. A failure
    /// leaves the older figures.
    async fn count_unpriced(&self, store: &Store) {
        let (view, queries) = (store.view(), Arc::clone(&self.queries));
        if !self.unpriced.is_due(&view) {
            return;
        }
        match off_workers(async move { queries.unpriced_models(&view).await }).await {
            Ok(models) => self.unpriced.set(&models),
            Err(error) => {
                tracing::warn!(error = error.full_message(), "unpriced events are not counted");
            }
        }
    }
}

impl std::fmt::Debug for HealthState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HealthState").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "Alive")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The server takes requests: the log is replayed and has not failed.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses((status = 200, description = "Ready"), (status = 503, description = "Replaying, or the log failed"))
)]
pub(super) async fn readyz(State(health): State<Arc<HealthState>>) -> (StatusCode, &'static str) {
    match health.store.get() {
        None => (StatusCode::SERVICE_UNAVAILABLE, "replaying the write-ahead log\n"),
        Some(store) if store.stats().log_failed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the write-ahead log failed: events are refused; restart to replay what is durable\n",
        ),
        Some(_) => (StatusCode::OK, "ready\n"),
    }
}

/// Metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Metrics", content_type = "text/plain")))]
pub(super) async fn metrics_page(State(health): State<Arc<HealthState>>) -> impl IntoResponse {
    if let Some(store) = health.store.get() {
        let stats = store.stats();
        let gauge = |name: &'static str, value: usize| {
            // Exact up to 2⁵³, far above any of these.
            #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
            metrics::gauge!(name).set(value as f64);
        };
        gauge("spendlake_rollup_cache_bytes", stats.cube_bytes);
        gauge("spendlake_dedup_bytes", stats.dedup_bytes);
        gauge("spendlake_ingest_queue_requests", stats.queue.requests);
        gauge("spendlake_ingest_queue_rows", stats.queue.rows);
        gauge("spendlake_ingest_queue_lanes", stats.queue.lanes);
        gauge("spendlake_hot_rows", stats.hot_rows);
        gauge("spendlake_hot_bytes", stats.hot_bytes);
        health.count_unpriced(store).await;
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.render())
}
