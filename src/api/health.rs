//! `/healthz`, `/readyz`, `/metrics`: for the one who runs the server.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::flush::Store;

/// What the health routes look at.
pub struct HealthState {
    /// Empty while the log is being replayed.
    pub store: Arc<OnceLock<Arc<Store>>>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
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
        gauge("spendlake_hot_rows", stats.hot_rows);
        gauge("spendlake_hot_bytes", stats.hot_bytes);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.render())
}
