//! The routes of tokens, accounts and sessions.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use spendlake::access::Credential;

use crate::support::app::{Answer, TestApp};

const ACME: &str = "0190a000-0000-7000-8000-000000000001";
const PASSWORD: &str = "a few words will do";

fn analyst() -> Value {
    json!({"role": "analyst", "over": "organization", "organization_id": ACME})
}

fn super_admin() -> Value {
    json!({"role": "super_admin", "over": "platform"})
}

/// An answer that must have this status.
#[track_caller]
fn json_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

async fn make_account(app: &TestApp, email: &str, grant: Value) -> Value {
    let body = json!({"email": email, "name": "Ada", "grants": [grant], "password": PASSWORD});
    json_of(&app.send("POST", "/api/accounts", body).await, 201)
}

/// The cookie that an answer sets, as a browser sends it back.
fn cookie_of(answer: &Answer) -> String {
    let set = answer.headers[header::SET_COOKIE].to_str().expect("text");
    let (pair, rest) = set.split_once(';').expect("attributes");
    assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax"), "{set}");
    pair.to_owned()
}

async fn send_with_cookie(app: &TestApp, method: &str, path: &str, cookie: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::COOKIE, cookie);
    app.request(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_shown_once_listed_rotated_and_revoked() {
    let app = TestApp::new().await;
    let body = json!({
        "name": "report", "grants": [analyst()], "scopes": ["sql:read"],
        "expires_at": "2027-01-01T00:00:00Z"
    });
    let answer = app.send("POST", "/api/tokens", body).await;
    let made = json_of(&answer, 201);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let secret = made["secret"].as_str().expect("a token").to_owned();
    let id = made["token"]["id"].as_str().expect("an id").to_owned();
    assert!(secret.starts_with(&format!("slk_{id}_")), "{secret}");
    assert_eq!(made["token"]["grants"], json!([analyst()]));
    assert_eq!(made["token"]["scopes"], json!(["sql:read"]));
    let shown = app.get(&format!("/api/tokens/{id}")).await.text();
    let listed = app.get("/api/tokens").await.text();
    let part = secret.split('_').nth(2).expect("a secret");
    assert!(!shown.contains(part) && !listed.contains(part));
    let credential = Credential::Token(secret.clone());
    let admitted = app.app.authenticator().authenticate(&credential).await.expect("admitted");
    assert_eq!(admitted.id(), id);
    let rotated = app.send("POST", &format!("/api/tokens/{id}/rotate"), Value::Null).await;
    let next = json_of(&rotated, 201)["token"]["id"].as_str().expect("an id").to_owned();
    let old = app.json(&format!("/api/tokens/{id}")).await;
    assert_eq!((&old["replaced_by"], &old["state"]), (&json!(next), &json!("active")));
    assert_eq!(old["overlap_until"], "2026-11-25T12:00:00Z");
    for _ in 0..2 {
        let revoked = app.send("DELETE", &format!("/api/tokens/{id}"), Value::Null).await;
        assert_eq!(json_of(&revoked, 200)["state"], "revoked");
    }
    assert!(app.app.authenticator().authenticate(&credential).await.is_err());
    assert_eq!(app.get("/api/tokens/unknown").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_is_refused_with_the_rule() {
    let app = TestApp::new().await;
    for (path, body, said) in [
        ("/api/tokens", json!({"name": "x"}), "missing field `grants`"),
        ("/api/tokens", json!({"name": "x", "grants": [], "more": 1}), "unknown field `more`"),
        ("/api/tokens", json!({"name": "x", "grants": []}), "grants is empty"),
        ("/api/tokens", json!({"name": "", "grants": [analyst()]}), "name has 0 characters"),
        (
            "/api/tokens",
            json!({"name": "x", "grants": [analyst()], "scopes": ["usage:write"]}),
            "there is no scope \\\"usage:write\\\"",
        ),
        (
            "/api/tokens",
            json!({"name": "x", "grants": [analyst()], "expires_at": "2026-11-24T12:00:00Z"}),
            "must lie ahead",
        ),
        (
            "/api/tokens",
            json!({"name": "x", "grants": [{"role": "team_lead", "over": "platform"}]}),
            "team_lead is held over",
        ),
        (
            "/api/accounts",
            json!({"email": "ada@example.com", "name": "Ada", "grants": [analyst()], "password": "short"}),
            "12 or more",
        ),
        (
            "/api/accounts",
            json!({"email": "ada@example.com", "name": "Ada", "grants": [analyst()], "issuer": "i"}),
            "issuer and subject belong together",
        ),
        ("/api/login", json!({"email": "ada@example.com"}), "missing field `password`"),
    ] {
        let answer = app.send("POST", path, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(said), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_out() {
    let app = TestApp::new().await;
    let account = make_account(&app, "ada@example.com", analyst()).await;
    let body = json!({"email": "Ada@example.com", "password": PASSWORD});
    let answer = app.send("POST", "/api/login", body).await;
    let who = json_of(&answer, 200);
    assert_eq!((&who["id"], &who["origin"]), (&account["id"], &json!("session")));
    assert_eq!(who["roles"], json!(["analyst"]));
    assert_eq!(who["organizations"], json!([ACME]));
    assert_eq!(who["scopes"], json!(["usage:read", "sql:read"]));
    let cookie = cookie_of(&answer);
    let (name, secret) = cookie.split_once('=').expect("a pair");
    assert_eq!(name, "spendlake");
    let credential = Credential::Session(secret.to_owned());
    app.app.authenticator().authenticate(&credential).await.expect("admitted");
    let listed = send_with_cookie(&app, "GET", "/api/sessions", &cookie).await.json();
    assert_eq!((&listed["items"][0]["current"], &listed["items"][1]), (&json!(true), &Value::Null));
    let out = send_with_cookie(&app, "POST", "/api/logout", &cookie).await;
    assert_eq!(out.status, 204);
    assert!(out.headers[header::SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    assert!(app.app.authenticator().authenticate(&credential).await.is_err());
    assert_eq!(app.send("POST", "/api/logout", Value::Null).await.status, 204);
    let actions = app.json("/api/audit-log?limit=10").await;
    let actions: Vec<_> = actions["items"].as_array().expect("lines").iter().collect();
    let actions: Vec<_> = actions.iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["logout", "login", "account.create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_logins_are_answered_429_with_a_time() {
    let app = TestApp::new().await;
    let body = json!({"email": "ada@example.com", "password": "not the password"});
    for _ in 0..10 {
        assert_eq!(app.send("POST", "/api/login", body.clone()).await.status, 401);
    }
    let answer = app.send("POST", "/api/login", body).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.headers[header::RETRY_AFTER], "30");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_listed_changed_and_deleted() {
    let app = TestApp::new().await;
    let id = make_account(&app, "ada@example.com", analyst()).await["id"].clone();
    let path = format!("/api/accounts/{}", id.as_str().expect("an id"));
    let change = json!({"name": "Ada L.", "grants": [super_admin()], "disabled": true});
    let changed = json_of(&app.send("PUT", &path, change).await, 200);
    assert_eq!((&changed["name"], &changed["grants"]), (&json!("Ada L."), &json!([super_admin()])));
    assert_eq!(changed["disabled_at"], "2026-11-24T12:00:00Z");
    assert_eq!(changed["has_password"], true);
    assert_eq!(app.json("/api/accounts").await["items"], json!([changed]));
    assert_eq!(app.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(app.get(&path).await.status, 404);
    let last = make_account(&app, "eve@example.com", super_admin()).await["id"].clone();
    let path = format!("/api/accounts/{}", last.as_str().expect("an id"));
    assert_eq!(app.send("DELETE", &path, Value::Null).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_set_up_by_the_code() {
    let app = TestApp::new().await;
    let code = app.app.authenticator().take_setup_code().expect("a code");
    let body = |code: &str| json!({"code": code, "email": "ada@example.com", "name": "Ada", "password": PASSWORD});
    assert_eq!(app.send("POST", "/api/setup", body("wrong")).await.status, 403);
    let answer = app.send("POST", "/api/setup", body(&code)).await;
    assert_eq!(json_of(&answer, 201)["roles"], json!(["super_admin"]));
    cookie_of(&answer);
    assert_eq!(app.send("POST", "/api/setup", body(&code)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_load_nothing_from_elsewhere() {
    let app = TestApp::new().await;
    for path in ["/login", "/setup", "/setup?code=x"] {
        let page = app.get(path).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(page.text().contains("<form action=\"/api/"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_answered() {
    let app = TestApp::new().await;
    let me = app.json("/api/me").await;
    assert_eq!((&me["id"], &me["organizations"]), (&json!("operator"), &Value::Null));
}
