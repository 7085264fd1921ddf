//! People and machines of an identity provider, through every layer of the
//! server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::App;
use crate::access::test_issuer::{TestIssuer, TestKey, raw_token};
use crate::clock::Clock;

const MAPPINGS: &str = "[[mapping]]\nclaim = \"roles\"\nvalue = \"reader\"\nrole = \"analyst\"\n\
                        over = \"platform\"\n\n[[mapping]]\nclaim = \"groups\"\nvalue = \"finance\"\n\
                        role = \"analyst\"\nover = \"platform\"\n";

struct Server {
    router: Router,
    issuer: TestIssuer,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Server {
    async fn start() -> Self {
        let issuer = TestIssuer::start().await;
        let mut config = issuer.config(MAPPINGS);
        config.flush_interval_seconds = 1_000_000;
        config.maintenance_interval_seconds = 1_000_000;
        let clock: Arc<dyn Clock> = issuer.clock.clone();
        let app = App::open(&config, clock).await.expect("the app opens");
        Self { router: app.service().expect("routes"), issuer }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// Who the server says it is that shows this token.
    async fn me(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask("GET", "/api/me", &[("authorization", &bearer)]).await
    }
}

impl Answer {
    /// Name and value of the cookie that is set under this name.
    fn cookie(&self, name: &str) -> String {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()?.split(';').next());
        let mut found = pairs.filter(|pair| pair.starts_with(&format!("{name}=")));
        found.next().expect("a cookie").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_asks_by_its_token_until_that_expires() {
    let server = Server::start().await;
    let token = TestKey::shared().sign(&server.issuer.machine());
    let known = server.me(&token).await;
    assert_eq!(known.status, 200, "{}", known.body);
    assert_eq!(known.body["id"], format!("{}#reporting-job", server.issuer.url));
    assert_eq!((&known.body["origin"], &known.body["roles"]), (&json!("jwt"), &json!(["analyst"])));
    server.issuer.clock.advance(TimeDelta::seconds(3_660));
    assert_eq!(server.me(&token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_hold_open_no_route() {
    let server = Server::start().await;
    let claims = server.issuer.machine();
    let mut foreign = claims.clone();
    foreign["iss"] = json!("https://id.example.com");
    let mut unmapped = claims.clone();
    unmapped["roles"] = json!([]);
    let key = TestKey::shared();
    let header = json!({ "alg": "none", "kid": key.id });
    for (token, status) in [
        (raw_token(&header, &claims, |_| Vec::new()), 401),
        (TestKey::other().sign(&claims), 401),
        (key.sign(&foreign), 401),
        (key.sign(&unmapped), 403),
    ] {
        let answer = server.me(&token).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_cookie_is_worth_nothing_after_the_logout() {
    let server = Server::start().await;
    let begun = server.ask("GET", "/api/oidc/login", &[]).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let location = begun.headers[header::LOCATION].to_str().expect("text");
    let mut claims = server.issuer.person();
    let (code, state) = server.issuer.approve(location, |nonce| {
        claims["nonce"] = json!(nonce);
        TestKey::shared().sign(&claims)
    });
    let path = format!("/api/oidc/callback?code={code}&state={state}");
    let login = begun.cookie("spendlake-login");
    // A browser says that the provider's page led here.
    let headers = [("cookie", login.as_str()), ("sec-fetch-site", "cross-site")];
    let back = server.ask("GET", &path, &headers).await;
    assert_eq!(back.status, 303, "{}", back.body);
    let session = back.cookie("spendlake");
    let known = server.ask("GET", "/api/me", &[("cookie", &session)]).await;
    assert_eq!((known.status, &known.body["origin"]), (200, &json!("session")), "{}", known.body);
    assert_eq!(known.body["name"], "Ada Lovelace");
    let own = [("cookie", session.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(server.ask("POST", "/api/logout", &own).await.status, 204);
    assert_eq!(server.ask("GET", "/api/me", &[("cookie", &session)]).await.status, 401);
}
