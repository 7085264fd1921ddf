//! The HTTP API: routes, wire types, status codes, OpenAPI. A handler
//! extracts, calls a question, and shapes the answer; it does no arithmetic.

mod access;
mod admission;
mod answer;
mod audit_log;
mod caller;
mod closed_months;
mod cloud_events;
mod compare;
mod conversations;
mod cookie;
mod corrections;
mod cursor;
mod directory;
mod document;
mod export;
mod filters;
mod gate;
mod health;
mod ingest;
mod items;
mod json_body;
mod list_params;
mod lists;
mod oidc;
mod otlp;
mod params;
mod prices;
mod privacy;
pub mod problem;
mod provider_reports;
mod reading;
mod reconciliation;
mod reprice;
mod scope;
mod service;
mod sightings;
mod sql;
mod stream;
mod summary;
mod trends;
mod unpriced;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Permission, Principal};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::flush::View;
use crate::query::{Queries, off_workers};
use crate::rollup::Dimension;

use answer::{AnswerCache, AnswerName};
use problem::{Problem, complete_problems};
use reading::Reading;

pub use access::{
    AccessDoor, AccountAnswer, AccountBody, AccountChangeBody, AccountList, GrantBody,
    MadeTokenAnswer, RotateBody, TokenAnswer, TokenBody, TokenList,
};
pub(crate) use gate::ClientAddress;
pub use gate::{
    Authenticate, FailedAttempts, Gate, GateParts, Need, OperatorToken, Peer, Rule, Verb,
    cookies_of, rules,
};

pub use admission::AdmittedBody;
pub use closed_months::{CloseBody, ClosedMonth, ClosedMonthList};
pub use cookie::CookiePolicy;
pub use directory::DirectoryDoor;
pub use health::HealthState;
pub use ingest::{Incoming, IngestDoor, not_ready};
pub use oidc::OidcDoor;
pub use prices::{ActivationAnswer, PriceVersion, PriceVersions, PutAnswer};
pub use privacy::{ExpiredTable, ForgetAnswer, ForgetBody, RetentionAnswer, RetentionBody};
pub use provider_reports::{ImportedReport, ReportOptions};
pub use reconciliation::{Reconciliation, ReconciliationFigures, ReconciliationItem};
pub use reprice::{RepriceAnswer, RepriceBody, RepriceGroup, RepriceMeasures};
pub use service::{Doors, service};

/// Takes the current view; fails while the server cannot answer yet.
pub type TakeView = dyn Fn() -> Result<Arc<View>> + Send + Sync;

/// Questions that run or wait at once; more are told to come back.
const QUESTIONS_MAX: usize = 256;
/// Users and conversations whose organizations are remembered.
const ORGANIZATIONS_CACHED_MAX: u64 = 10_000;

/// What the routes need. Cloning shares everything.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    queries: Arc<Queries>,
    engine: Arc<Engine>,
    view: Box<TakeView>,
    clock: Arc<dyn Clock>,
    answers: AnswerCache,
    organizations: Cache<AnswerName, Arc<[String]>>,
}

impl ApiState {
    /// `view` is called once a request, so that a request sees one state.
    pub fn new(
        queries: Arc<Queries>,
        engine: Arc<Engine>,
        view: Box<TakeView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let answers = AnswerCache::new(QUESTIONS_MAX);
        let organizations = Cache::new(ORGANIZATIONS_CACHED_MAX);
        Self(Arc::new(Shared { queries, engine, view, clock, answers, organizations }))
    }

    fn queries(&self) -> &Arc<Queries> {
        &self.0.queries
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What a request of `caller` reads: the state of now, and the rows of it
    /// that its roles let it read.
    fn reading(&self, caller: &Principal) -> Result<Reading> {
        // Before the view is taken: see `AsOf`.
        let now = self.now();
        Ok(Reading::new(self.view()?, caller.reach(Permission::ReadUsage), now))
    }

    fn view(&self) -> Result<Arc<View>> {
        (self.0.view)()
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    fn answers(&self) -> &AnswerCache {
        &self.0.answers
    }

    /// Names the answer of `route` to `request`, over what is read and the names
    /// that things have now. Names are read after this, so an answer under an
    /// old name is never shown with a new one's.
    fn answer_name(&self, reading: &Reading, route: &str, request: &impl fmt::Debug) -> AnswerName {
        AnswerName::new(reading, self.queries().directory().shown_revision(), route, request)
    }

    /// The organizations that ever saw `id`, a value of `dimension`, in a row
    /// that may be read.
    async fn organizations_of(
        &self,
        reading: &Reading,
        dimension: Dimension,
        id: &str,
    ) -> Result<Arc<[String]>> {
        let name = self.answer_name(reading, "organizations", &(dimension, id));
        if let Some(known) = self.0.organizations.get(&name) {
            return Ok(known);
        }
        let (queries, Reading { view, reach, .. }) = (Arc::clone(self.queries()), reading.clone());
        let id = id.to_owned();
        let found =
            off_workers(
                async move { queries.organizations_of(&view, &reach, dimension, &id).await },
            );
        let found: Arc<[String]> = found.await?.into();
        self.0.organizations.insert(name, Arc::clone(&found));
        Ok(found)
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// What the OpenAPI document says beside the routes.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(info(
    title = "Spendlake",
    description = "Usage and cost analytics of AI spending. Amounts are decimal strings in US dollars; errors are RFC 9457 problem details."
))]
struct Document;

/// The analytics and SQL routes. Others are merged in before [`serve`].
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(summary::organization_summary))
        .routes(routes!(trends::organization_trends))
        .routes(routes!(lists::organization_users))
        .routes(routes!(lists::organization_teams))
        .routes(routes!(lists::organization_departments))
        .routes(routes!(lists::organization_api_keys))
        .routes(routes!(lists::organization_models))
        .routes(routes!(export::organization_export))
        .routes(routes!(summary::user_summary))
        .routes(routes!(trends::user_trends))
        .routes(routes!(lists::user_models))
        .routes(routes!(lists::user_conversations))
        .routes(routes!(compare::user_compare_org))
        .routes(routes!(conversations::conversation))
        .routes(routes!(summary::platform_summary))
        .routes(routes!(trends::platform_trends))
        .routes(routes!(lists::platform_organizations))
        .routes(routes!(lists::platform_models))
        .routes(routes!(lists::drill_down))
        .routes(routes!(reconciliation::reconciliation))
        .routes(routes!(sightings::sightings))
        .routes(routes!(sql::sql))
        .routes(routes!(sql::statements::statements))
        .routes(routes!(sql::statements::statement, sql::statements::cancel_statement))
}

/// The OpenAPI document of [`routes()`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// Completes `routes` (these and others) into what listens: adds
/// `/api/openapi.json` of all of them, and problems for unknown routes and
/// wrong methods. Requests pass `gate` before a handler.
pub fn serve(routes: OpenApiRouter<ApiState>, state: ApiState, gate: Arc<Gate>) -> Result<Router> {
    let (router, mut document) = routes.split_for_parts();
    gate::describe(&mut document, gate.cookies())?;
    document::describe_errors(&mut document);
    let document = Bytes::from(document.to_json().internal("writing the OpenAPI document")?);
    let send = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Ok(router
        .route("/api/openapi.json", get(send))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(axum::middleware::from_fn_with_state(gate, gate::pass))
        .layer(axum::middleware::from_fn(complete_problems))
        .layer(axum::middleware::from_fn(gate::guard)))
}

async fn no_route(uri: Uri) -> impl IntoResponse {
    Problem::no_route(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> impl IntoResponse {
    Problem::wrong_method(method.as_str(), uri.path())
}
