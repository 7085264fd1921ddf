//! Every route behind the layers that all of them share: a request id, a log
//! line, a latency sample, and an answer even to a panic.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::corrections;
use super::health::{self, HealthState};
use super::ingest::{self, IngestDoor};
use super::problem::Problem;
use super::{ApiState, routes as analytics_routes, serve};
use crate::clock::Clock;
use crate::corrections::Corrector;
use crate::error::{ErrorKind, Result};

/// All routes: analytics and SQL over `state`, ingest through `door`, health.
pub fn service(
    state: ApiState,
    door: Arc<IngestDoor>,
    corrector: Arc<Corrector>,
    health: Arc<HealthState>,
    clock: Arc<dyn Clock>,
) -> Result<Router> {
    // A 503 is an answer, not a failure to log; a problem logs itself.
    let request_ids = SetRequestIdLayer::x_request_id(TimedRequestId(clock));
    let router = serve(all_routes(door, corrector, health), state)?;
    Ok(router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn(measure))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(request_ids))
}

fn all_routes(
    door: Arc<IngestDoor>,
    corrector: Arc<Corrector>,
    health: Arc<HealthState>,
) -> OpenApiRouter<ApiState> {
    let ingest = OpenApiRouter::new()
        .routes(routes!(ingest::post_events))
        .routes(routes!(ingest::post_litellm))
        .with_state(door);
    let corrections = OpenApiRouter::new()
        .routes(routes!(corrections::void_events))
        .routes(routes!(corrections::replace_events))
        .with_state(corrector);
    let health = OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics_page))
        .with_state(health);
    analytics_routes().merge(ingest).merge(corrections).merge(health)
}

/// Ids that sort by time.
#[derive(Clone)]
struct TimedRequestId(Arc<dyn Clock>);

impl MakeRequestId for TimedRequestId {
    fn make_request_id<B>(&mut self, _request: &axum::http::Request<B>) -> Option<RequestId> {
        let now = self.0.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let time =
            uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
        let id = uuid::Uuid::new_v7(time).to_string();
        HeaderValue::from_str(&id).ok().map(RequestId::new)
    }
}

fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("");
    // The query is left out: it names users.
    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path())
}

/// Samples the latency of each route. The label is the route's pattern, so
/// that ids in paths do not multiply the series.
async fn measure(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let status = response.status().as_str().to_owned();
    metrics::histogram!("spendlake_request_seconds", "route" => route, "status" => status)
        .record(started.elapsed());
    response
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    tracing::error!(what, "a request panicked");
    let detail = "the request met a defect; the log says more";
    Problem::new(ErrorKind::Internal, detail).into_response()
}
