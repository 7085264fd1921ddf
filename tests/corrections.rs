//! Voids and replacements, by the routes that administrators use.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event, event_with, lines};

const SUMMARY: &str = "/api/platform/analytics/summary?date_from=2026-11-01&date_to=2026-11-30";

async fn send(app: &TestApp, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    app.request(request).await
}

async fn void(app: &TestApp, ids: &[&str]) -> Value {
    let events: Vec<Value> =
        ids.iter().map(|id| json!({"organization_id": ORGANIZATION, "event_id": id})).collect();
    let answer =
        send(app, "/api/events/void", &json!({"events": events, "reason": "a test"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn replace(app: &TestApp, events: &[Value]) -> Value {
    let body = json!({"events": events, "reason": "a test"});
    let answer = send(app, "/api/events/replace", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn statuses(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().expect("results").iter();
    results.map(|result| result["status"].as_str().expect("a status")).collect()
}

/// What a summary says of events, conversations, users and cost.
async fn totals(app: &TestApp) -> (i64, i64, i64, Value) {
    let summary = app.json(SUMMARY).await;
    let count = |name: &str| summary[name].as_i64().expect("a count");
    let cost = summary["total_cost"].clone();
    (count("total_events"), count("total_conversations"), count("total_users"), cost)
}

/// Two events of one conversation, one of another user's other one.
async fn three_events(app: &TestApp) {
    let other = json!({"conversation_id": "c2", "user_id": "bob", "charged_cost": "0.5",
                       "actual_api_cost": "0.4"});
    let events = [
        event_with("a", json!({"charged_cost": "1.5", "actual_api_cost": "1"})),
        event_with("b", json!({"charged_cost": "0.25", "actual_api_cost": "0.2"})),
        event_with("c", other),
    ];
    app.store(lines(&events)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_event_leaves_every_sum_and_stays_readable() {
    for flushed in [false, true] {
        let mut app = TestApp::new().await;
        three_events(&app).await;
        if flushed {
            app.app.flush().await.expect("flushed");
        }
        assert_eq!(totals(&app).await, (3, 2, 2, json!("2.25")));
        let answer = void(&app, &["c", "a", "unknown"]).await;
        assert_eq!(statuses(&answer), ["voided", "voided", "not_found"]);
        for _ in 0..2 {
            assert_eq!(totals(&app).await, (1, 1, 1, json!("0.25")));
            let users =
                app.json("/api/analytics/drill-down?group_by=user&range=30d").await["items"]
                    .clone();
            assert_eq!(users.as_array().expect("items").len(), 1, "{users}");
            app.assert_verifies().await;
            app.app.flush().await.expect("flushed");
            app.app.compact().await.expect("compacted");
            app.restart().await;
        }
        let kept = app.sql("SELECT event_id, entry FROM usage_events ORDER BY 1, 2").await;
        assert_eq!(kept.len(), 5, "{kept:?}");
        app.app.rebuild_rollup().await.expect("rebuilt");
        assert_eq!(totals(&app).await, (1, 1, 1, json!("0.25")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn voiding_again_and_resending_change_nothing() {
    let app = TestApp::new().await;
    three_events(&app).await;
    let first = void(&app, &["a"]).await;
    assert!(first["correction_id"].is_string());
    let again = void(&app, &["a", "a"]).await;
    assert_eq!(statuses(&again), ["already_void", "already_void"]);
    assert_eq!(again["correction_id"], Value::Null);
    let resent = event_with("a", json!({"charged_cost": "1.5", "actual_api_cost": "1"}));
    let answer = app.post(resent.to_string(), None).await.json();
    assert_eq!(answer["duplicate"], 1, "{answer}");
    assert_eq!(totals(&app).await, (2, 2, 2, json!("0.75")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_event_left_gives_a_conversation_its_status_and_times() {
    let app = TestApp::new().await;
    let late = json!({"event_time": "2026-11-20T11:00:00Z", "status": "failed", "topic": "crash"});
    app.store(lines(&[event("a"), event_with("b", late)])).await;
    let path =
        format!("/api/users/ada/analytics/conversations?organization_id={ORGANIZATION}&range=30d");
    let item = app.json(&path).await["items"][0].clone();
    assert_eq!((&item["status"], &item["topic"]), (&json!("failed"), &json!("crash")));
    void(&app, &["b"]).await;
    let item = app.json(&path).await["items"][0].clone();
    assert_eq!((&item["status"], &item["topic"]), (&json!("completed"), &Value::Null), "{item}");
    assert_eq!(item["last_event_time"], "2026-11-20T10:00:00.000000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_counts_in_the_place_of_what_it_replaces() {
    let mut app = TestApp::new().await;
    three_events(&app).await;
    let right = [
        event_with("a", json!({"charged_cost": "9", "actual_api_cost": "1", "user_id": "eve"})),
        event_with(
            "c",
            json!({"charged_cost": "0.5", "actual_api_cost": "0.4", "user_id": "bob",
                               "conversation_id": "c2"}),
        ),
        event("unknown"),
        json!({"event_id": "broken"}),
    ];
    let answer = replace(&app, &right).await;
    assert_eq!(statuses(&answer), ["replaced", "unchanged", "not_found", "rejected"]);
    assert_eq!(totals(&app).await, (3, 2, 3, json!("9.75")));
    let again = replace(&app, &right[..1]).await;
    assert_eq!(statuses(&again), ["unchanged"]);
    app.restart().await;
    assert_eq!(totals(&app).await, (3, 2, 3, json!("9.75")));
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_event_counts_again_once_it_is_replaced() {
    let app = TestApp::new().await;
    three_events(&app).await;
    void(&app, &["a"]).await;
    let answer =
        replace(&app, &[event_with("a", json!({"charged_cost": "2", "actual_api_cost": "2"}))])
            .await;
    assert_eq!(statuses(&answer), ["restored"]);
    assert_eq!(totals(&app).await, (3, 2, 2, json!("2.75")));
    assert_eq!(statuses(&void(&app, &["a"]).await), ["voided"]);
    assert_eq!(totals(&app).await, (2, 2, 2, json!("0.75")));
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_correction_lacks_is_named() {
    let app = TestApp::new().await;
    let named = json!({"organization_id": ORGANIZATION, "event_id": "a"});
    for (body, named) in [
        (json!({"events": [named], "reason": " "}), "reason"),
        (json!({"events": [named]}), "reason"),
        (json!({"events": [{"organization_id": "acme", "event_id": "a"}], "reason": "r"}), "UUID"),
        (json!({"events": [{"id": "a"}], "reason": "r"}), "id"),
    ] {
        let answer = send(&app, "/api/events/void", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(named), "{body}: {}", answer.text());
    }
    let many: Vec<Value> = (0..10_001).map(|_| named.clone()).collect();
    let answer = send(&app, "/api/events/void", &json!({"events": many, "reason": "r"})).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
}
