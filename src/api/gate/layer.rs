//! The layer itself.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::RequestExt as _;
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use tracing::Instrument as _;

use super::address::{ClientAddress, is_forwarded, peer_of};
use super::credentials::{is_basic, shown};
use super::failures::FailedAttempts;
use super::judge::{Asked, judge};
use super::operator::OperatorToken;
use super::rules::{Found, Need, Rule, find};
use super::site::{Site, check_loopback_host};
use crate::access::{
    Authenticator, Credential, Domain, Grant, Origin, Permissions, Principal, Role,
};
use crate::api::CookiePolicy;
use crate::api::caller::Caller;
use crate::api::otlp;
use crate::api::problem::Problem;
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::AuditTrail;
use crate::error::{Error, Result};

/// Finds out whose credential it is.
#[async_trait]
pub trait Authenticate: Debug + Send + Sync {
    /// `Unauthenticated` where it does not hold.
    async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>>;
}

#[async_trait]
impl Authenticate for Authenticator {
    async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>> {
        Self::authenticate(self, credential).await
    }
}

/// What a [`Gate`] asks.
#[derive(Debug)]
pub struct GateParts {
    /// Knows tokens, sessions and signed tokens.
    pub authenticator: Arc<dyn Authenticate>,
    /// Opens everything.
    pub operator: OperatorToken,
    /// Writes down what the routes do not write down themselves; within
    /// tests, nothing.
    pub trail: Option<AuditTrail>,
    /// Paces what is written of refused credentials.
    pub clock: Arc<dyn Clock>,
}

/// Decides who passes.
#[derive(Debug)]
pub struct Gate {
    parts: GateParts,
    cookies: CookiePolicy,
    site: Site,
    behind_proxy: bool,
    metrics_open: bool,
    /// Whoever shows no credential, where that is allowed.
    anonymous: Option<Arc<Principal>>,
    failures: Arc<FailedAttempts>,
}

impl Gate {
    /// A gate by the settings.
    pub fn new(config: &Config, parts: GateParts) -> Result<Self> {
        let failures = FailedAttempts::new(parts.trail.clone(), Arc::clone(&parts.clock));
        Ok(Self {
            cookies: cookies_of(config),
            site: Site::new(&config.public_url)?,
            behind_proxy: config.behind_proxy,
            metrics_open: config.metrics_open,
            anonymous: config.insecure_anonymous.then(anonymous).transpose()?.map(Arc::new),
            failures: Arc::new(failures),
            parts,
        })
    }

    /// How the session's cookie is named and guarded.
    pub fn cookies(&self) -> CookiePolicy {
        self.cookies
    }

    /// Whoever shows no credential, where that is allowed.
    pub fn anonymous(&self) -> Option<&Arc<Principal>> {
        self.anonymous.as_ref()
    }

    /// Writes down refused credentials.
    pub fn failures(&self) -> &Arc<FailedAttempts> {
        &self.failures
    }

    /// Whether this machine asks for metrics that are open to it.
    fn opens_metrics(&self, rule: Rule, address: ClientAddress, headers: &HeaderMap) -> bool {
        let is_here = address.0.is_some_and(|address| address.is_loopback());
        rule.need == Need::Metrics && self.metrics_open && is_here && !is_forwarded(headers)
    }

    /// Who asks, by the credential that was shown.
    async fn principal(&self, shown: Option<&Credential>) -> Result<Arc<Principal>, Problem> {
        match (shown, &self.anonymous) {
            (Some(Credential::Token(token)), _) if self.parts.operator.is(token) => {
                Ok(Arc::new(Principal::operator()))
            }
            (Some(credential), _) => Ok(self.parts.authenticator.authenticate(credential).await?),
            (None, Some(anonymous)) => Ok(Arc::clone(anonymous)),
            (None, None) => Err(Problem::unauthenticated()),
        }
    }

    /// Refuses what another site made a browser ask.
    fn check_site(&self, shown: Option<&Credential>, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        match shown {
            Some(Credential::Session(_)) if !is_safe => self.site.check_session(headers),
            // A browser that was asked for a Basic credential once sends it by
            // itself from then on, as it does a cookie.
            Some(_) if !is_safe && is_basic(headers) => self.site.check_browser(headers),
            Some(_) => Ok(()),
            None => {
                if self.anonymous.is_some() {
                    check_loopback_host(headers)?;
                }
                if is_safe { Ok(()) } else { self.site.check_browser(headers) }
            }
        }
    }

    /// Lets a request to a route with a rule pass, with its caller.
    async fn admit(&self, rule: Rule, request: &mut Request) -> Result<(), Problem> {
        let peer = peer_of(request.extensions());
        let ip = peer.map(|peer| peer.ip());
        let address = ClientAddress::of(ip, request.headers(), self.behind_proxy);
        request.extensions_mut().insert(address);
        if let (Some(client), Some(peer)) = (address.0, peer) {
            // Handlers that count by address see the client, not the proxy.
            let client = SocketAddr::new(client, peer.port());
            request.extensions_mut().insert(ConnectInfo(client));
        }
        if self.opens_metrics(rule, address, request.headers()) {
            return Ok(());
        }
        if rule.need == Need::Open {
            // Logging in needs no session, and must not be done by another site.
            return self.check_site(None, request);
        }
        let shown = shown(request.headers(), self.cookies)
            .inspect_err(|_| self.failures.note(address, "credential.malformed", rule.path))?;
        let principal = self.principal(shown.as_ref()).await.inspect_err(|problem| {
            if let (401, Some(shown)) = (problem.status().as_u16(), &shown) {
                self.failures.note(address, refused_action(shown), rule.path);
            }
        })?;
        self.check_site(shown.as_ref(), request)?;
        let path_id = path_id(request).await;
        let asked = Asked { path_id: path_id.as_deref(), query: request.uri().query() };
        judge(rule.need, &principal, &asked)?;
        request.extensions_mut().insert(Caller(principal));
        Ok(())
    }
}

/// What the path has in the place of `{id}`: the same text that handlers get.
async fn path_id(request: &mut Request) -> Option<String> {
    let params: RawPathParams = request.extract_parts().await.ok()?;
    params.iter().find(|(name, _)| *name == "id").map(|(_, text)| text.to_owned())
}

/// What the audit log calls a credential that does not hold.
fn refused_action(shown: &Credential) -> &'static str {
    match shown {
        Credential::Token(_) => "token.refused",
        Credential::Session(_) => "session.refused",
        Credential::Jwt(_) => "jwt.refused",
    }
}

/// The cookie of a server with these settings.
pub fn cookies_of(config: &Config) -> CookiePolicy {
    if config.serves_https() { CookiePolicy::Secure } else { CookiePolicy::Loopback }
}

/// Everybody, where nobody is asked.
fn anonymous() -> Result<Principal> {
    let grants = vec![Grant::new(Role::SuperAdmin, Domain::Platform)?];
    Ok(Principal::new("anonymous", "anonymous", Origin::Anonymous, grants, Permissions::ALL))
}

/// Middleware: lets a request pass to its handler, or answers it.
pub(in crate::api) async fn pass(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
        // No route: the fallback says so.
        return next.run(request).await;
    };
    let rule = match find(request.method(), route.as_str()) {
        Found::Rule(rule) => rule,
        Found::OtherMethods(names) => return other_methods(&names, &request),
        Found::Nothing => {
            let path = route.as_str();
            return Problem::from(Error::internal(format!("{path} has no rule of access")))
                .into_response();
        }
    };
    if let Err(problem) = gate.admit(rule, &mut request).await {
        return refusal(problem, request.headers(), rule.path);
    }
    if rule.need == Need::Open && *request.method() == Method::POST {
        return gate.let_in(rule, request, next).await;
    }
    let Some(action) = rule.audited_as else { return next.run(request).await };
    let is_read = *request.method() == Method::GET;
    let act = async move { gate.carry_out(action, request, next).await };
    if is_read {
        return act.await;
    }
    // What was changed is written down even where the client hangs up meanwhile.
    let ended = tokio::spawn(act.in_current_span()).await;
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => {
            let stopped = Error::internal("the act was stopped in the middle").caused_by(error);
            Problem::from(stopped).into_response()
        }
    })
}

impl Gate {
    /// Runs what is written down where it succeeds.
    async fn carry_out(&self, action: &str, request: Request, next: Next) -> Response {
        let caller = request.extensions().get::<Caller>().cloned();
        let uri = request.uri().clone();
        let response = next.run(request).await;
        if !response.status().is_success() {
            return response;
        }
        match self.write_down(caller, action, uri.path(), uri.query()).await {
            Ok(()) => response,
            Err(error) => Problem::from(error).into_response(),
        }
    }

    /// Runs a way in. A wrong password is written down with its account; a
    /// wrong code, and whoever tried too often, here.
    async fn let_in(&self, rule: Rule, request: Request, next: Next) -> Response {
        let address = request.extensions().get::<ClientAddress>().copied().unwrap_or_default();
        let response = next.run(request).await;
        if matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            self.failures.note_login(address, rule.path, None);
        }
        response
    }

    /// The line of a request that succeeded, before anybody reads its answer.
    async fn write_down(
        &self,
        caller: Option<Caller>,
        action: &str,
        path: &str,
        query: Option<&str>,
    ) -> Result<()> {
        let (Some(trail), Some(Caller(principal))) = (&self.parts.trail, caller) else {
            return Ok(());
        };
        let details = details_of(path, query);
        let subject = path.strip_prefix("/api/").unwrap_or(path);
        trail.append(&principal.audit(action, subject, details)).await
    }
}

/// The parameters of a request: a list of values for each name, and the
/// organization of the path.
fn details_of(path: &str, query: Option<&str>) -> Value {
    let mut details = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let values = details.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    let named = path.strip_prefix("/api/organizations/").and_then(|rest| rest.split('/').next());
    let first = details.get("organization_id").and_then(|values| values[0].as_str());
    if let Some(id) = named.or(first).and_then(crate::api::filters::organization_id) {
        details.insert("organization_id".to_owned(), id.into());
    }
    Value::Object(details)
}

/// A refusal in the form that the route's clients read.
fn refusal(problem: Problem, headers: &HeaderMap, path: &str) -> Response {
    if path.starts_with("/v1/") { otlp::refuse(headers, problem) } else { problem.into_response() }
}

fn other_methods(names: &str, request: &Request) -> Response {
    let problem = Problem::wrong_method(request.method().as_str(), request.uri().path());
    let mut response = problem.into_response();
    if let Ok(names) = HeaderValue::from_str(names) {
        response.headers_mut().insert(header::ALLOW, names);
    }
    response
}
