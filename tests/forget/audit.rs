//! The audit log forgets this user of this organization, and nobody else.

use serde_json::{Value, json};

use super::{OTHER, forget};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};
use crate::support::postgres::Postgres;

fn over(organization: &str, user: &str) -> Value {
    json!({"role": "member", "over": "user", "organization_id": organization, "user_id": user})
}

async fn make_token(app: &TestApp, name: &str, grants: Value) {
    let answer = app.send("POST", "/api/tokens", json!({"name": name, "grants": grants})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The log's lines, but for those about forgetting.
async fn log(app: &TestApp) -> Vec<Value> {
    let log = app.json("/api/audit-log?limit=200").await;
    let lines = log["items"].as_array().expect("lines").clone();
    let by_us = ["user.forget", "token.revoke"];
    lines.into_iter().filter(|line| by_us.iter().all(|one| line["action"] != *one)).collect()
}

fn line<'a>(log: &'a [Value], action: &str, word: &str) -> &'a Value {
    let is_it = |one: &&Value| one["action"] == action && one.to_string().contains(word);
    log.iter().find(is_it).unwrap_or_else(|| panic!("no {action} with {word}: {log:?}"))
}

async fn with_users(app: &TestApp, users: &[&str]) {
    for organization in [ORGANIZATION, OTHER] {
        let path = format!("/api/organizations/{organization}");
        app.send("PUT", &path, json!({"name": "Acme"})).await;
        for (number, user) in users.iter().enumerate() {
            let changes = json!({"user_id": user, "organization_id": organization});
            app.store(lines(&[event_with(&format!("e{number}"), changes)])).await;
        }
    }
    app.app.settle_directory().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_called_like_a_word_of_the_log_changes_nothing_else() {
    let app = TestApp::new().await;
    let users = ["reason", "organization_id", "a", "user", "member", "sql"];
    with_users(&app, &users).await;
    let team = format!("/api/organizations/{ORGANIZATION}/teams/a");
    app.send("PUT", &team, json!({"name": "a team"})).await;
    make_token(&app, "of ada", json!([over(ORGANIZATION, "ada")])).await;
    app.send("POST", "/api/retention", json!({"dry_run": true})).await;
    app.sql("SELECT 'organizations' AS organization_ids, 'bad' AS canada").await;
    let before = log(&app).await;
    for user in users {
        forget(&app, user).await;
    }
    assert_eq!(log(&app).await, before);
}

async fn forgets_only_this_one(app: TestApp) {
    with_users(&app, &["ada"]).await;
    make_token(&app, "ours", json!([over(ORGANIZATION, "ada")])).await;
    make_token(&app, "theirs", json!([over(OTHER, "ada")])).await;
    let grants = json!([over(ORGANIZATION, "ada"), over(OTHER, "ada")]);
    let both = json!({"email": "both@example.com", "name": "B", "grants": grants, "password": "a few words will do"});
    assert_eq!(app.send("POST", "/api/accounts", both).await.status, 201);
    app.sql("SELECT 'ada' AS wanted").await;
    app.sql("SELECT 'canada' AS other").await;
    let path = format!("/api/organizations/{OTHER}/analytics/export?range=30d&user_id=ada");
    assert_eq!(app.get(&path).await.status, 200);
    let path = format!("/api/organizations/{ORGANIZATION}/analytics/export?range=30d&user_id=ada");
    assert_eq!(app.get(&path).await.status, 200);
    let before = log(&app).await;
    let pseudonym = forget(&app, "ada").await["pseudonym"].clone();
    let after = log(&app).await;
    assert_eq!(line(&after, "token.create", "theirs"), line(&before, "token.create", "theirs"));
    assert_eq!(line(&after, "usage.export", OTHER), line(&before, "usage.export", OTHER));
    assert_eq!(line(&after, "sql.run", "canada"), line(&before, "sql.run", "canada"));
    let ours = line(&after, "token.create", "\"ours\"");
    assert_eq!(ours["details"]["grants"][0]["user_id"], pseudonym, "{ours}");
    let both = line(&after, "account.create", "both@example.com");
    let users = |at: usize| both["details"]["grants"][at]["user_id"].clone();
    let mut users = [users(0), users(1)];
    users.sort_by_key(Value::to_string);
    assert_eq!(users, [json!("ada"), pseudonym.clone()], "{both}");
    let export = line(&after, "usage.export", ORGANIZATION);
    assert_eq!(export["details"]["user_id"], json!([pseudonym]), "{export}");
    let gone = line(&after, "sql.run", "(forgotten)");
    assert_eq!(gone["details"]["cut"], true, "{gone}");
    assert!(!after.iter().any(|line| line.to_string().contains("wanted")), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_other_tenants_stay_in_sqlite() {
    forgets_only_this_one(TestApp::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_other_tenants_stay_in_postgres() {
    let server = Postgres::start();
    let app = TestApp::with(|config| config.directory_url = server.url()).await;
    forgets_only_this_one(app).await;
}
