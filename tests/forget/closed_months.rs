//! A closed month that named a forgotten user is stated anew.

use serde_json::{Value, json};

use super::{OTHER, forget};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};

fn october(id: &str, organization: &str, user: &str) -> Value {
    event_with(
        id,
        json!({"event_time": "2026-10-15T10:00:00Z", "user_id": user, "organization_id": organization}),
    )
}

async fn close(app: &TestApp, organization: Option<&str>) -> Value {
    let body = json!({"month": "2026-10", "organization_id": organization, "reason": "a test"});
    let answer = app.send("POST", "/api/closed-months", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["statement"].clone()
}

async fn check(app: &TestApp) -> Vec<Value> {
    let checked = app.json("/api/closed-months/check").await;
    checked["items"].as_array().expect("months").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_was_clean_is_clean_again_and_the_log_says_so() {
    let mut app = TestApp::new().await;
    let organization = format!("/api/organizations/{ORGANIZATION}");
    app.send("PUT", &organization, json!({"name": "Acme"})).await;
    app.send("PUT", &format!("{organization}/users/ada"), json!({"name": "Ada"})).await;
    app.store(lines(&[
        october("a", ORGANIZATION, "ada"),
        october("b", ORGANIZATION, "bob"),
        october("x", OTHER, "ada"),
    ]))
    .await;
    let theirs = close(&app, Some(OTHER)).await;
    let before = close(&app, None).await;
    forget(&app, "ada").await;
    for _ in 0..2 {
        let months = check(&app).await;
        assert_eq!(months.len(), 2, "{months:?}");
        for month in months {
            assert_eq!(month["unchanged"], true, "{month}");
            let stated = &month["statement"];
            match month["organization_id"].is_null() {
                true => {
                    assert_ne!(stated["export_sha256"], before["export_sha256"]);
                    assert_eq!(stated["total_cost"], before["total_cost"]);
                }
                false => assert_eq!(stated, &theirs, "another organization's stays"),
            }
        }
        app.restart().await;
    }
    let log = app.json("/api/audit-log").await;
    let mut lines = log["items"].as_array().expect("lines").iter();
    let line = lines.find(|line| line["action"] == "user.forget").expect("a line");
    let restated = json!([{"month": "2026-10", "of": null,
                           "export_sha256_before": before["export_sha256"]}]);
    assert_eq!(line["details"]["restated_months"], restated, "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_differed_goes_on_to_differ() {
    let app = TestApp::with(|config| config.usage_events_retention_days = 0).await;
    app.store(lines(&[october("a", ORGANIZATION, "ada")])).await;
    let before = close(&app, None).await;
    let wrong = json!({"total_events": 7, "export_sha256": "of something else"});
    set_statement(&app, &wrong).await;
    assert_ne!(before, wrong);
    forget(&app, "ada").await;
    let months = check(&app).await;
    assert_eq!((&months[0]["unchanged"], &months[0]["statement"]), (&json!(false), &wrong));
}

/// Puts another statement in the place of October's.
async fn set_statement(app: &TestApp, statement: &Value) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", app.data_dir().join("directory.db").display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the database");
    sqlx::query("UPDATE closed_months SET statement = $1")
        .bind(statement.to_string())
        .execute(&mut connection)
        .await
        .expect("changed");
}
