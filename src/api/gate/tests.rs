//! The layer over routes that answer 200 to whoever reaches them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::{any, get};
use chrono::DateTime;
use tower::ServiceExt;

use super::{Authenticate, Gate, GateParts, OperatorToken, Peer, guard, pass};
use crate::access::{
    Credential, Domain, Grant, Origin, Permissions, Principal, Role, SystemRandomness,
};
use crate::api::problem::complete_problems;
use crate::clock::ManualClock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

const OURS: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Knows some tokens and sessions.
#[derive(Debug)]
struct Known(HashMap<String, Arc<Principal>>);

#[async_trait]
impl Authenticate for Known {
    async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>> {
        let name = match credential {
            Credential::Token(text) => format!("token:{text}"),
            Credential::Session(text) => format!("session:{text}"),
            Credential::Jwt(text) => format!("jwt:{text}"),
        };
        let unknown = || Error::new(ErrorKind::Unauthenticated, "this credential does not hold");
        self.0.get(&name).cloned().ok_or_else(unknown)
    }
}

struct Server {
    router: Router,
    operator: OperatorToken,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Server {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let within = Domain::Organization { organization_id: OURS.to_owned() };
        let principal = |role, origin| {
            let grants = vec![Grant::new(role, within.clone()).expect("a grant")];
            Arc::new(Principal::new("id", "somebody", origin, grants, Permissions::ALL))
        };
        let known = [
            ("token:analyst", principal(Role::Analyst, Origin::Token)),
            ("token:ingest", principal(Role::Ingest, Origin::Token)),
            ("session:admin", principal(Role::OrganizationAdmin, Origin::Session)),
        ];
        let known = known.map(|(name, principal)| (name.to_owned(), principal));
        let operator = OperatorToken::generate(&SystemRandomness).expect("a token");
        let parts = GateParts {
            authenticator: Arc::new(Known(known.into())),
            operator: operator.clone(),
            trail: None,
            clock: Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)),
        };
        let gate = Arc::new(Gate::new(&config, parts).expect("a gate"));
        let ok = || async { "reached" };
        let router =
            ["/healthz", "/metrics", "/api/sql", "/api/events", "/v1/logs", "/api/events/void"]
                .into_iter()
                .fold(Router::new(), |router, path| router.route(path, any(ok)))
                .route("/api/organizations/{id}/teams", get(ok))
                .route("/api/unlisted", get(ok))
                .layer(axum::middleware::from_fn_with_state(gate, pass))
                .layer(axum::middleware::from_fn(complete_problems))
                .layer(axum::middleware::from_fn(guard));
        Self { router, operator }
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)]) -> Answer {
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let mut request = request.body(Body::empty()).expect("a request");
        let peer = "127.0.0.1:50000".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn status(&self, line: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(line, headers).await.status.as_u16()
    }
}

const ANALYST: (&str, &str) = ("authorization", "Bearer analyst");
const INGEST: (&str, &str) = ("authorization", "Bearer ingest");
const COOKIE: (&str, &str) = ("cookie", "spendlake=admin");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

#[tokio::test]
async fn who_is_not_known_is_told_how_to_say_it() {
    let server = Server::new(|_| {});
    for headers in [vec![], vec![("authorization", "Bearer forged")], vec![("authorization", "x")]]
    {
        let answer = server.ask("POST /api/sql", &headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        let schemes: Vec<_> = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(schemes.len(), 2, "{schemes:?}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    }
    let answer = server.ask("POST /api/sql", &[OWN]).await;
    let schemes: Vec<_> = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
    assert_eq!(schemes, ["Bearer realm=\"spendlake\""], "a browser asks for no password");
    assert_eq!(server.status("GET /healthz", &[]).await, 200);
}

#[tokio::test]
async fn a_role_opens_its_routes_and_no_others() {
    let server = Server::new(|_| {});
    assert_eq!(server.status("POST /api/sql", &[ANALYST]).await, 200);
    assert_eq!(server.status("POST /api/events", &[ANALYST]).await, 403);
    assert_eq!(server.status("POST /api/events", &[INGEST]).await, 200);
    assert_eq!(server.status("POST /api/sql", &[INGEST]).await, 403);
    let teams = |id: &str| format!("GET /api/organizations/{id}/teams");
    assert_eq!(server.status(&teams(OURS), &[ANALYST]).await, 200);
    let other = "bbbbbbbb-0000-4000-8000-000000000002";
    assert_eq!(server.status(&teams(other), &[ANALYST]).await, 404);
    // The handler would get the decoded id: so does the rule.
    assert_eq!(server.status(&teams(&OURS.replace('a', "%61")), &[ANALYST]).await, 200);
    let bearer = format!("Bearer {}", server.operator.secret());
    assert_eq!(server.status(&teams(other), &[("authorization", &bearer)]).await, 200);
}

#[tokio::test]
async fn of_two_credentials_the_header_counts_and_two_headers_are_none() {
    let server = Server::new(|_| {});
    let with_cookie = [INGEST, COOKIE, OWN];
    assert_eq!(server.status("POST /api/sql", &with_cookie).await, 403, "the token's role");
    assert_eq!(server.status("POST /api/sql", &[COOKIE, OWN]).await, 200);
    let forged = ("authorization", "Bearer forged");
    assert_eq!(server.status("POST /api/sql", &[forged, COOKIE, OWN]).await, 401);
    assert_eq!(server.status("POST /api/sql", &[ANALYST, INGEST]).await, 401);
}

#[tokio::test]
async fn another_sites_request_with_our_cookie_is_refused() {
    let server = Server::new(|_| {});
    let line = "POST /api/events/void";
    let form = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        vec![COOKIE, ("sec-fetch-site", "cross-site"), form],
        vec![COOKIE, ("sec-fetch-site", "same-site")],
        vec![COOKIE, OWN, form],
        vec![COOKIE, ("host", "spend.example"), ("origin", "https://evil.example")],
        vec![COOKIE, ("host", "spend.example"), ("referer", "https://evil.example/spend.example")],
        vec![COOKIE],
    ] {
        assert_eq!(server.status(line, &headers).await, 403, "{headers:?}");
    }
    assert_eq!(server.status(line, &[COOKIE, OWN]).await, 200);
    let own_origin = ("origin", "http://spend.example");
    assert_eq!(server.status(line, &[COOKIE, ("host", "spend.example"), own_origin]).await, 200);
    // Reading changes nothing, and no other site can read the answer.
    let teams = format!("GET /api/organizations/{OURS}/teams");
    assert_eq!(server.status(&teams, &[COOKIE, ("sec-fetch-site", "cross-site")]).await, 200);
    // A Bearer token is in no browser's keeping; a Basic one may be.
    let cross = ("sec-fetch-site", "cross-site");
    assert_eq!(server.status("POST /api/events", &[INGEST, cross, form]).await, 200);
    let basic = ("authorization", "Basic OmluZ2VzdA==");
    assert_eq!(server.status("POST /api/events", &[basic, cross]).await, 403);
    let evil = [basic, ("host", "spend.example"), ("origin", "https://evil.example")];
    assert_eq!(server.status("POST /api/events", &evil).await, 403);
    assert_eq!(server.status("POST /api/events", &[basic]).await, 200, "a program");
}

#[tokio::test]
async fn behind_https_only_the_guarded_cookie_counts() {
    let server = Server::new(|config| config.behind_proxy = true);
    assert_eq!(server.status("POST /api/sql", &[COOKIE, OWN]).await, 401);
    let guarded = ("cookie", "__Host-spendlake=admin");
    assert_eq!(server.status("POST /api/sql", &[guarded, OWN]).await, 200);
}

#[tokio::test]
async fn a_route_without_a_rule_answers_nobody() {
    let server = Server::new(|_| {});
    let bearer = format!("Bearer {}", server.operator.secret());
    let operator = [("authorization", bearer.as_str())];
    assert_eq!(server.status("GET /api/unlisted", &operator).await, 500);
    let answer = server.ask("PATCH /api/sql", &operator).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers[header::ALLOW]),
        (405, &"POST".parse().expect("a value"))
    );
    assert_eq!(server.status("GET /api/sql", &operator).await, 405);
    assert_eq!(server.status("GET /nowhere", &[]).await, 404);
}

#[tokio::test]
async fn metrics_are_the_platforms_unless_they_are_open_to_this_machine() {
    let closed = Server::new(|_| {});
    assert_eq!(closed.status("GET /metrics", &[]).await, 401);
    assert_eq!(closed.status("GET /metrics", &[ANALYST]).await, 403);
    let open = Server::new(|config| config.metrics_open = true);
    assert_eq!(open.status("GET /metrics", &[]).await, 200);
    assert_eq!(open.status("GET /metrics", &[("x-forwarded-for", "192.0.2.1")]).await, 401);
}

#[tokio::test]
async fn nobody_may_do_everything_only_from_this_machine_itself() {
    let server = Server::new(|config| config.insecure_anonymous = true);
    let here = ("host", "127.0.0.1:8787");
    assert_eq!(server.status("POST /api/sql", &[here]).await, 200);
    assert_eq!(server.status("POST /api/sql", &[]).await, 200);
    assert_eq!(server.status("POST /api/sql", &[("host", "evil.example")]).await, 403);
    let cross = ("sec-fetch-site", "cross-site");
    assert_eq!(server.status("POST /api/sql", &[here, cross]).await, 403);
    let forged = ("authorization", "Bearer forged");
    assert_eq!(server.status("POST /api/sql", &[here, forged]).await, 401);
    assert_eq!(server.status("POST /api/events", &[here, ANALYST]).await, 403, "a token narrows");
}

#[tokio::test]
async fn an_exporter_is_refused_in_its_own_words() {
    let server = Server::new(|_| {});
    let protobuf = ("content-type", "application/x-protobuf");
    let answer = server.ask("POST /v1/logs", &[protobuf]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(answer.body[..2], [8, 16], "code UNAUTHENTICATED");
    let answer = server.ask("POST /v1/logs", &[ANALYST, protobuf]).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..2]), (403, &[8, 7][..]));
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let server = Server::new(|_| {});
    for line in ["GET /healthz", "POST /api/sql", "GET /nowhere"] {
        let answer = server.ask(line, &[]).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{line}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{line}");
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("frame-ancestors 'none'"), "{line}: {policy}");
    }
}
