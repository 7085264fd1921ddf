//! Ways to get in that must not work.

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::{Value, json};
use spendlake::access::{Principal, TokenRequest};

use super::roles::Who;
use crate::support::app::{Answer, TestApp, noon};
use crate::support::events::{ORGANIZATION, event};

async fn ask(app: &TestApp, line: &str, headers: &[(&str, &str)]) -> Answer {
    let (method, path) = line.split_once(' ').expect("METHOD PATH");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.request_as_it_is(request.body(Body::empty()).expect("a request")).await
}

async fn reads(app: &TestApp, authorization: &str) -> u16 {
    ask(app, "GET /api/organizations", &[("authorization", authorization)]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_as_bearer_and_as_basic_and_a_forged_one_does_not() {
    let app = TestApp::new().await;
    let token = Who::Analyst.token(&app).await.expect("a token");
    assert_eq!(reads(&app, &format!("Bearer {token}")).await, 200);
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(reads(&app, &basic(format!("anybody:{token}"))).await, 200);
    assert_eq!(reads(&app, &basic(format!("{token}:"))).await, 200);
    let mut forged = token.clone();
    let last = forged.pop().expect("a character");
    forged.push(if last == 'a' { 'b' } else { 'a' });
    for wrong in [
        format!("Bearer {forged}"),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {}", token.to_uppercase()),
        "Bearer slk_".to_owned(),
        format!("Bearer {}", "x".repeat(20_000)),
        basic("anybody:nothing".to_owned()),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".to_owned(),
    ] {
        assert_eq!(reads(&app, &wrong).await, 401, "{}", &wrong[..wrong.len().min(40)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_or_was_replaced_or_revoked_opens_nothing() {
    let app = TestApp::new().await;
    let authenticator = app.app.authenticator();
    let operator = Principal::operator();
    let request = |name: &str, expires_at| TokenRequest {
        name: name.to_owned(),
        grants: operator.grants().to_vec(),
        scopes: None,
        expires_at,
        owned: None,
    };
    let bearer = |secret: &str| format!("Bearer {secret}");
    // The last super admin cannot be revoked.
    authenticator.create_token(&operator, request("spare", None)).await.expect("made");
    let end = Some(noon() + TimeDelta::minutes(1));
    let short = authenticator.create_token(&operator, request("short", end)).await.expect("made");
    assert_eq!(reads(&app, &bearer(&short.secret)).await, 200);
    app.clock.advance(TimeDelta::minutes(2));
    assert_eq!(reads(&app, &bearer(&short.secret)).await, 401);

    let old = authenticator.create_token(&operator, request("old", None)).await.expect("made");
    let new = authenticator.rotate_token(&operator, &old.token.id, 60).await.expect("rotated");
    assert_eq!(reads(&app, &bearer(&old.secret)).await, 200, "within the overlap");
    assert_eq!(reads(&app, &bearer(&new.secret)).await, 200);
    app.clock.advance(TimeDelta::minutes(2));
    assert_eq!(reads(&app, &bearer(&old.secret)).await, 401, "after the overlap");
    authenticator.revoke_token(&operator, &new.token.id).await.expect("revoked");
    assert_eq!(reads(&app, &bearer(&new.secret)).await, 401);
}

/// A session of a super admin, by its cookie.
async fn log_in(app: &TestApp) -> String {
    let (email, password) = ("root@example.com", "correct horse battery staple");
    let account = json!({
        "email": email, "name": "Root", "password": password,
        "grants": [{"role": "super_admin", "over": "platform"}],
    });
    let made = app.send("POST", "/api/accounts", account).await;
    assert!(made.status < 300, "{}", made.text());
    let answer =
        app.send("POST", "/api/login", json!({"email": email, "password": password})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = answer.headers[header::SET_COOKIE].to_str().expect("text");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_opens_nothing_after_logout() {
    let app = TestApp::new().await;
    let cookie = log_in(&app).await;
    let cookie = ("cookie", cookie.as_str());
    let own = ("sec-fetch-site", "same-origin");
    assert_eq!(ask(&app, "GET /api/me", &[cookie]).await.status, 200);
    assert_eq!(ask(&app, "POST /api/logout", &[cookie, own]).await.status, 204);
    assert_eq!(ask(&app, "GET /api/me", &[cookie]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_form_does_nothing_with_our_cookie() {
    let app = TestApp::new().await;
    app.store(event("1").to_string()).await;
    let cookie = log_in(&app).await;
    let void = |site: Option<&'static str>, kind: &'static str| {
        let body = json!({"reason": "forged", "events": [
            {"organization_id": ORGANIZATION, "source": "api", "event_id": "1"}]});
        let mut request = Request::post("/api/events/void")
            .header(header::COOKIE, cookie.as_str())
            .header(header::HOST, "spend.example")
            .header(header::ORIGIN, "https://evil.example")
            .header(header::CONTENT_TYPE, kind);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        app.request_as_it_is(request.body(Body::from(body.to_string())).expect("a request"))
    };
    for (site, kind) in [
        (Some("cross-site"), "application/json"),
        (Some("same-site"), "application/json"),
        (None, "application/json"),
        (Some("same-origin"), "text/plain"),
        (Some("same-origin"), "application/x-www-form-urlencoded"),
    ] {
        let answer = void(site, kind).await;
        assert_eq!(answer.status, 403, "{site:?} {kind}: {}", answer.text());
    }
    let login = json!({"email": "root@example.com", "password": "correct horse battery staple"});
    let request = Request::post("/api/login")
        .header(header::CONTENT_TYPE, "application/json")
        .header("sec-fetch-site", "cross-site");
    let request = request.body(Body::from(login.to_string())).expect("a request");
    assert_eq!(app.request_as_it_is(request).await.status, 403, "nobody is logged in by another");
    assert_eq!(app.sql("SELECT count(*) AS n FROM usage_events").await[0]["n"], 1);
    assert_eq!(void(Some("same-origin"), "application/json").await.json()["voided"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_credentials_one_counts() {
    let app = TestApp::new().await;
    let cookie = log_in(&app).await;
    let ingest = Who::Ingest.token(&app).await.expect("a token");
    let ingest = format!("Bearer {ingest}");
    let both = [("authorization", ingest.as_str()), ("cookie", cookie.as_str())];
    assert_eq!(ask(&app, "GET /api/prices", &both).await.status, 403, "the token's role");
    assert_eq!(ask(&app, "GET /api/prices", &both[1..]).await.status, 200);
    let twice = [both[0], both[0]];
    assert_eq!(ask(&app, "GET /api/organizations", &twice).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_nothing_of_what_it_refused() {
    let app = TestApp::new().await;
    let shown = "Bearer a-secret-that-must-not-show";
    let answer = ask(&app, "GET /api/organizations", &[("authorization", shown)]).await;
    let problem: Value = answer.json();
    assert_eq!((answer.status, problem["status"].as_u64()), (401, Some(401)));
    assert!(!answer.text().contains("must-not-show"), "{}", answer.text());
    assert_eq!(answer.headers["cache-control"], "no-store");
}
