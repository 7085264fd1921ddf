//! Names and moves never change history.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use super::attribution::{OTHER, attributions, of, put_small};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, event_with, lines};

async fn names(app: &TestApp, list: &str) -> Vec<Value> {
    let path = of(ORGANIZATION, &format!("/analytics/{list}?sort=name"));
    let items = app.json(&path).await["items"].clone();
    items.as_array().expect("items").iter().map(|item| item["name"].clone()).collect()
}

#[tokio::test]
async fn moves_deletions_and_renames_leave_the_old_events_as_they_are() {
    let mut app = TestApp::new().await;
    put_small(&app).await;
    let owned = json!({"api_key_id": "owned", "user_id": "ada"});
    app.store(lines(&[event("a"), event_with("b", owned)])).await;
    app.app.flush().await.expect("flushed");
    app.store(lines(&[event("c")])).await;
    let before = attributions(&app).await;
    let summary = of(ORGANIZATION, "/analytics/summary");
    let sums = app.json(&summary).await;

    // Ada moves, the team is renamed and deleted, the key is revoked, she leaves.
    let memberships = of(ORGANIZATION, "/users/ada/memberships");
    let moved = json!({"team_id": "web", "valid_from": "2026-01-01", "primary": true});
    app.put(&memberships, moved).await;
    app.put(&of(ORGANIZATION, "/teams/core"), json!({"name": "Platform", "department": "X"})).await;
    for tail in ["/teams/core", "/api-keys/owned", "/users/ada"] {
        let deleted = app.send("DELETE", &of(ORGANIZATION, tail), Value::Null).await;
        assert_eq!(deleted.status, 200, "{tail}: {}", deleted.text());
    }

    for again in [false, true] {
        assert_eq!(attributions(&app).await, before);
        assert_eq!(app.json(&summary).await, sums);
        assert_eq!(names(&app, "teams").await, ["Platform"]);
        assert_eq!(names(&app, "users").await, ["Ada"]);
        assert_eq!(names(&app, "api-keys").await, ["Owned", "key-prod"]);
        app.assert_verifies().await;
        if !again {
            app.restart().await;
        }
    }
}

#[tokio::test]
async fn a_rename_shows_at_once_and_changes_the_etag() {
    let app = TestApp::new().await;
    put_small(&app).await;
    app.store(lines(&[event("a")])).await;
    let path = of(ORGANIZATION, "/analytics/users");
    let first = app.get(&path).await;
    assert_eq!(first.json()["items"][0]["name"], "Ada");
    let etag = first.headers["etag"].clone();
    app.put(&of(ORGANIZATION, "/users/ada"), json!({"name": "Ada Lovelace"})).await;
    let request = Request::get(&path).header(header::IF_NONE_MATCH, &etag);
    let second = app.request(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.headers["etag"], etag);
    assert_eq!(second.json()["items"][0]["name"], "Ada Lovelace");
    let sql = app.sql("SELECT name FROM users JOIN usage_events ON users.id = user_id").await;
    assert_eq!(sql, [json!({"name": "Ada Lovelace"})]);
    let csv = app.get(&of(ORGANIZATION, "/analytics/export?group_by=user")).await.text();
    assert!(csv.contains("Ada Lovelace"), "{csv}");
}

#[tokio::test]
async fn one_id_in_two_organizations_has_the_name_that_its_organization_gives() {
    let app = TestApp::new().await;
    put_small(&app).await;
    app.put(&of(OTHER, "/users/ada"), json!({"name": "Adam"})).await;
    app.store(lines(&[event("a"), event_with("b", json!({"organization_id": OTHER}))])).await;
    let drill = |by: &str| format!("/api/analytics/drill-down?sort=name&group_by={by}");
    let both = app.json(&drill("organization,user")).await;
    let name = |at: usize| both["items"][at]["name"].as_str().expect("a name").to_owned();
    assert_eq!([name(0), name(1)], ["Acme / Ada", "Other / Adam"]);
    // They differ, so over both it is the id.
    assert_eq!(app.json(&drill("user")).await["items"][0]["name"], "ada");
    let of_one = format!("{}&organization_id={OTHER}", drill("user"));
    assert_eq!(app.json(&of_one).await["items"][0]["name"], "Adam");
    app.put(&of(OTHER, "/users/ada"), json!({"name": "Ada"})).await;
    assert_eq!(app.json(&drill("user")).await["items"][0]["name"], "Ada");
}

#[tokio::test]
async fn a_new_time_zone_dates_the_events_that_come_after_it() {
    let app = TestApp::new().await;
    let late = |id: &str| event_with(id, json!({"event_time": "2026-11-20T23:30:00Z"}));
    app.store(lines(&[late("a")])).await;
    let zone = json!({"name": "Acme", "time_zone": "Europe/Berlin"});
    app.put(&of(ORGANIZATION, ""), zone).await;
    app.store(lines(&[late("b")])).await;
    let dates = app.sql("SELECT event_id, usage_date FROM usage_events ORDER BY 1").await;
    assert_eq!(dates[0]["usage_date"], "2026-11-20");
    assert_eq!(dates[1]["usage_date"], "2026-11-21");
    let answer = app.post(lines(&[late("a")]), None).await.json();
    assert_eq!(answer["duplicate"], 1, "{answer}");
}

#[tokio::test]
async fn names_of_a_directory_json_are_taken_over_once() {
    let file = json!({
        "organizations": [{"id": ORGANIZATION, "name": "Acme", "time_zone": "Europe/Berlin"}],
        "users": [{"id": "ada", "name": "Ada"}, {"id": "bob", "name": "Bob"}],
    });
    let write = |folder: &std::path::Path| {
        std::fs::write(folder.join("directory.json"), file.to_string()).expect("written");
    };
    let mut app = TestApp::with_folder(write, |_| {}).await;
    app.store(lines(&[event("a")])).await;
    assert_eq!(names(&app, "users").await, ["Ada"]);
    app.app.settle_directory().await;
    assert_eq!(app.json(&of(ORGANIZATION, "/users/ada")).await["name"], "Ada");
    app.put(&of(ORGANIZATION, ""), json!({"name": "Acme Inc"})).await;
    app.restart().await;
    assert_eq!(app.json(&of(ORGANIZATION, "")).await["name"], "Acme Inc");
    assert_eq!(names(&app, "users").await, ["Ada"]);
}
