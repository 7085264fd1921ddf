//! A forgotten person gets in no more.

use serde_json::{Value, json};
use spendlake::access::{Credential, Login, Visitor};

use super::{OTHER, forget};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, lines};
use crate::support::files::files_with;

const USER: &str = "grace.hopper.4711";
const PASSWORD: &str = "a few words will do";

fn over(organization: &str, user: &str) -> Value {
    json!({"role": "member", "over": "user", "organization_id": organization, "user_id": user})
}

async fn make(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.send("POST", path, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn make_token(app: &TestApp, grants: Value) -> (String, Credential) {
    let made = make(app, "/api/tokens", json!({"name": "t", "grants": grants})).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    (made["token"]["id"].as_str().expect("an id").to_owned(), Credential::Token(secret))
}

async fn make_account(app: &TestApp, email: &str, grants: Value) -> (Value, Credential) {
    let body = json!({"email": email, "name": "G", "grants": grants, "password": PASSWORD});
    let made = make(app, "/api/accounts", body).await;
    let session = log_in(app, email).await.expect("a session");
    (made["id"].clone(), Credential::Session(session))
}

async fn log_in(app: &TestApp, email: &str) -> Option<String> {
    let login = Login { email: email.to_owned(), password: PASSWORD.to_owned() };
    let session = app.app.authenticator().log_in(&login, &Visitor::default()).await;
    session.ok().map(|session| session.secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_nothing_but_the_user_ends() {
    let mut app = TestApp::new().await;
    let mut event = event("a");
    event["user_id"] = USER.into();
    app.store(lines(&[event])).await;
    let (own, theirs) = (over(ORGANIZATION, USER), over(OTHER, "bob"));
    let (token, ends) = make_token(&app, json!([own])).await;
    let (wider, stays) = make_token(&app, json!([own, over(ORGANIZATION, "bob")])).await;
    let (account, session_ends) = make_account(&app, "g@example.com", json!([own])).await;
    let (_, session_stays) = make_account(&app, "h@example.com", json!([own, theirs])).await;
    for credential in [&ends, &stays, &session_ends, &session_stays] {
        assert!(app.app.authenticator().authenticate(credential).await.is_ok());
    }
    let pseudonym = forget(&app, USER).await["pseudonym"].clone();
    let found = files_with(app.data_dir(), USER);
    assert!(found.is_empty(), "{found:?}");
    for _ in 0..2 {
        let door = app.app.authenticator();
        for (credential, gets_in) in
            [(&ends, false), (&stays, true), (&session_ends, false), (&session_stays, true)]
        {
            assert_eq!(door.authenticate(credential).await.is_ok(), gets_in);
        }
        assert!(log_in(&app, "g@example.com").await.is_none());
        let shown = app.json(&format!("/api/tokens/{token}")).await;
        assert_eq!(
            (&shown["state"], &shown["grants"][0]["user_id"]),
            (&json!("revoked"), &pseudonym)
        );
        let shown = app.json(&format!("/api/tokens/{wider}")).await;
        assert!(shown["grants"].to_string().contains("bob"), "{shown}");
        let path = format!("/api/accounts/{}", account.as_str().expect("an id"));
        assert!(!app.json(&path).await["disabled_at"].is_null());
        app.restart().await;
    }
    let log = app.json("/api/audit-log").await.to_string();
    assert!(log.contains("token.revoke") && log.contains("account.change"), "{log}");
}
