//! The whole program in this process, asked through its routes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;
use spendlake::access::{Principal, TokenRequest};
use spendlake::app::App;
use spendlake::clock::ManualClock;
use spendlake::config::Config;
use spendlake::error::ErrorKind;
use tower::ServiceExt;

/// A data directory of its own, a clock that stands still, and the routes.
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    config: Config,
    router: Router,
    folder: tempfile::TempDir,
    /// Tokens of super admins, by name.
    tokens: tokio::sync::Mutex<BTreeMap<String, String>>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }
}

/// When the tests' clock stands.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

/// Settings under which nothing flushes or compacts by itself.
pub(crate) fn quiet_config(data_dir: &Path) -> Config {
    Config {
        data_dir: data_dir.to_owned(),
        flush_interval_seconds: 1_000_000,
        maintenance_interval_seconds: 1_000_000,
        ..Config::default()
    }
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With some settings changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_folder(|_| {}, change).await
    }

    /// With files put into the data directory first.
    pub(crate) async fn with_folder(
        prepare: impl FnOnce(&Path),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        prepare(folder.path());
        let mut config = quiet_config(folder.path());
        change(&mut config);
        let clock = Arc::new(ManualClock::new(noon()));
        let app = App::open(&config, clock.clone()).await.expect("the app opens");
        let router = app.service().expect("routes");
        Self { app, clock, config, router, folder, tokens: Default::default() }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Closes and opens again.
    pub(crate) async fn restart(&mut self) {
        self.app.close().await.expect("closed");
        self.reopen().await;
    }

    /// Opens again what was closed or failed.
    pub(crate) async fn reopen(&mut self) {
        // The lock is held until the last handle is gone: the routes', too.
        let (config, clock) = (self.config.clone(), Arc::clone(&self.clock));
        let idle = Router::new();
        self.router = idle;
        let placeholder = tempfile::tempdir().expect("folder");
        let other = App::start(&quiet_config(placeholder.path()), clock.clone()).expect("app");
        drop(std::mem::replace(&mut self.app, other));
        // Background work that was under way keeps the lock until it ends.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        self.app = loop {
            match App::open(&config, clock.clone()).await {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    assert!(std::time::Instant::now() < deadline, "{error}");
                    tokio::task::yield_now().await;
                }
                opened => break opened.expect("the app opens again"),
            }
        };
        self.router = self.app.service().expect("routes");
    }

    /// An answer whose body is still to be read, as this machine's operator
    /// unless the request shows who it is from.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response {
        self.open_as_it_is(self.signed(request)).await
    }

    async fn open_as_it_is(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("an answer")
    }

    /// As this machine's operator, unless the request shows who it is from.
    pub(crate) async fn request(&self, request: Request<Body>) -> Answer {
        self.request_as_it_is(self.signed(request)).await
    }

    fn signed(&self, mut request: Request<Body>) -> Request<Body> {
        let shows = [header::AUTHORIZATION, header::COOKIE];
        if !shows.iter().any(|name| request.headers().contains_key(name)) {
            let bearer = format!("Bearer {}", self.app.operator_token().secret());
            let bearer = bearer.parse().expect("a header");
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        request
    }

    /// A token of a super admin of this name, the same each time.
    pub(crate) async fn token(&self, name: &str) -> String {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(name) {
            return token.clone();
        }
        let operator = Principal::operator();
        let request = TokenRequest {
            name: name.to_owned(),
            grants: operator.grants().to_vec(),
            scopes: None,
            expires_at: None,
            owned: None,
        };
        let made = self.app.authenticator().create_token(&operator, request).await;
        let token = made.expect("a token").secret;
        tokens.insert(name.to_owned(), token.clone());
        token
    }

    /// With no credential but what the request shows.
    pub(crate) async fn request_as_it_is(&self, request: Request<Body>) -> Answer {
        let answer = self.open_as_it_is(request).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        Answer { status, headers, body: body.to_vec() }
    }

    pub(crate) async fn post(&self, body: impl Into<Body>, encoding: Option<&str>) -> Answer {
        let mut request = Request::post("/api/events");
        if let Some(encoding) = encoding {
            request = request.header(header::CONTENT_ENCODING, encoding);
        }
        self.request(request.body(body.into()).expect("a request")).await
    }

    /// Sends a JSON body to a route.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
        self.request(request.expect("a request")).await
    }

    /// Puts a price list.
    pub(crate) async fn put_list(&self, version: &str, csv_text: &str) {
        let request = Request::put(format!("/api/prices/{version}"))
            .header(header::CONTENT_TYPE, "text/csv")
            .body(Body::from(csv_text.to_owned()));
        let answer = self.request(request.expect("a request")).await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    /// Stores events that are all new.
    pub(crate) async fn store(&self, body: impl Into<Body>) {
        let answer = self.post(body, None).await;
        let json = answer.json();
        assert_eq!(answer.status, 200, "{json}");
        let refused = json["results"].as_array().expect("results").iter();
        let refused: Vec<_> = refused.filter(|one| one["status"] != "accepted").collect();
        assert!(refused.is_empty(), "{refused:?}");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// The JSON of a route that must answer 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The rows of a SQL statement.
    pub(crate) async fn sql(&self, query: &str) -> Vec<Value> {
        let body = serde_json::json!({"query": query, "format": "json"}).to_string();
        let request = Request::post("/api/sql")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .expect("a request");
        let answer = self.request(request).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("rows")
    }

    /// Fails with the first difference that `verify` finds.
    pub(crate) async fn assert_verifies(&self) {
        let report = self.app.verify().await.expect("a report");
        assert!(report.is_clean(), "{report:?}");
    }
}
