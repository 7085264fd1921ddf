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

use super::access::{self, AccessDoor};
use super::corrections;
use super::directory::{self, DirectoryDoor};
use super::gate::Gate;
use super::health::{self, HealthState};
use super::ingest::{self, IngestDoor};
use super::oidc::{self, OidcDoor};
use super::otlp;
use super::problem::Problem;
use super::{ApiState, audit_log, closed_months, privacy};
use super::{prices, provider_reports, reprice, routes as analytics_routes, serve};
use crate::clock::Clock;
use crate::corrections::Corrector;
use crate::error::{ErrorKind, Result};
use crate::prices::Prices;

/// What the routes beside analytics and SQL go through.
#[derive(Debug)]
pub struct Doors {
    /// Takes events.
    pub ingest: Arc<IngestDoor>,
    /// Voids and replaces.
    pub corrector: Arc<Corrector>,
    /// Changes the directory.
    pub directory: DirectoryDoor,
    /// Tokens, accounts and sessions.
    pub access: AccessDoor,
    /// Price lists and repricing.
    pub prices: Arc<Prices>,
    /// The login of people by an identity provider.
    pub oidc: OidcDoor,
    /// Health and metrics.
    pub health: Arc<HealthState>,
}

/// All routes: analytics and SQL over `state`, the others through `doors`.
pub fn service(state: ApiState, doors: Doors, gate: Gate, clock: Arc<dyn Clock>) -> Result<Router> {
    // A 503 is an answer, not a failure to log; a problem logs itself.
    let request_ids = SetRequestIdLayer::x_request_id(TimedRequestId(clock));
    let router = serve(all_routes(doors), state, Arc::new(gate))?;
    Ok(router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn(measure))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(request_ids))
}

fn all_routes(doors: Doors) -> OpenApiRouter<ApiState> {
    let ingest = OpenApiRouter::new()
        .routes(routes!(ingest::post_events))
        .routes(routes!(ingest::post_litellm))
        .routes(routes!(provider_reports::post_provider_report))
        .routes(routes!(otlp::post_logs))
        .routes(routes!(otlp::post_traces))
        .routes(routes!(otlp::post_metrics))
        .with_state(doors.ingest);
    let reprice = OpenApiRouter::new()
        .routes(routes!(reprice::reprice))
        .with_state((Arc::clone(&doors.prices), Arc::clone(&doors.corrector)));
    let corrections = OpenApiRouter::new()
        .routes(routes!(corrections::void_events))
        .routes(routes!(corrections::replace_events))
        .routes(routes!(closed_months::closed_months, closed_months::close_month))
        .routes(routes!(closed_months::check_closed_months))
        .routes(routes!(privacy::forget_user))
        .routes(routes!(privacy::retention))
        .with_state(doors.corrector);
    let prices = OpenApiRouter::new()
        .routes(routes!(prices::price_versions))
        .routes(routes!(prices::price_list, prices::put_price_list))
        .routes(routes!(prices::activate_price_list))
        .with_state(doors.prices);
    let audit_log = OpenApiRouter::new()
        .routes(routes!(audit_log::audit_log))
        .with_state(DirectoryDoor::clone(&doors.directory));
    let health = OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics_page))
        .with_state(doors.health);
    analytics_routes()
        .merge(access::routes(doors.access))
        .merge(directory::routes(doors.directory))
        .merge(ingest)
        .merge(corrections)
        .merge(prices)
        .merge(audit_log)
        .merge(oidc::routes(doors.oidc))
        .merge(reprice)
        .merge(health)
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
