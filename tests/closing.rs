//! Month close: what comes late is booked later, and what was exported stays.

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event_with, lines};

/// An event of October, told apart by its user.
fn october(id: &str, user: &str, cost: &str) -> Value {
    event_with(
        id,
        json!({"event_time": "2026-10-15T10:00:00Z", "user_id": user, "charged_cost": cost,
               "actual_api_cost": cost, "conversation_id": user}),
    )
}

async fn close(app: &TestApp, month: &str) -> Answer {
    app.send("POST", "/api/closed-months", json!({"month": month, "reason": "a test"})).await
}

/// The export of October: bytes, as a reader gets them.
async fn export(app: &TestApp, rest: &str) -> String {
    let path = format!(
        "/api/organizations/{ORGANIZATION}/analytics/export?date_from=2026-10-01\
         &date_to=2026-10-31{rest}"
    );
    let answer = app.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

async fn cost(app: &TestApp, from: &str, to: &str) -> Value {
    let path = format!("/api/platform/analytics/summary?date_from={from}&date_to={to}");
    app.json(&path).await["total_cost"].clone()
}

async fn put_user(app: &TestApp, name: &str) {
    let organization = json!({"name": "Acme"});
    app.send("PUT", &format!("/api/organizations/{ORGANIZATION}"), organization).await;
    let path = format!("/api/organizations/{ORGANIZATION}/users/ada");
    let answer = app.send("PUT", &path, json!({"name": name})).await;
    assert!(answer.status < 300, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_exports_the_same_bytes_for_ever() {
    let mut app = TestApp::new().await;
    put_user(&app, "Ada").await;
    app.store(lines(&[october("a", "ada", "1.5"), october("b", "bob", "0.5")])).await;
    let answer = close(&app, "2026-10").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let statement = answer.json()["statement"].clone();
    assert_eq!(statement["total_cost"], "2");
    let kinds = ["", "&group_by=user", "&rows=events", "&format=json"];
    let mut before = Vec::new();
    for kind in kinds {
        before.push(export(&app, kind).await);
    }
    assert!(before[1].contains("Ada"), "{}", before[1]);

    // What comes late, corrects, renames, or rearranges files.
    app.clock.advance(chrono::TimeDelta::seconds(1));
    app.store(lines(&[october("late", "eve", "7")])).await;
    let named = json!({"organization_id": ORGANIZATION, "event_id": "a"});
    let body = json!({"events": [named], "reason": "wrong"});
    let voided = app.send("POST", "/api/events/void", body).await.json();
    assert_eq!(voided["voided"], 1, "{voided}");
    put_user(&app, "Countess Lovelace").await;
    for _ in 0..2 {
        for (kind, before) in kinds.iter().zip(&before) {
            assert_eq!(&export(&app, kind).await, before, "{kind}");
        }
        app.app.compact().await.expect("compacted");
        app.app.rebuild_rollup().await.expect("rebuilt");
        app.restart().await;
    }
    assert_eq!(cost(&app, "2026-10-01", "2026-10-31").await, "2");
    // 7 came late, 1.5 was taken back: both today.
    assert_eq!(cost(&app, "2026-11-24", "2026-11-24").await, "5.5");
    app.assert_verifies().await;
    let late = app
        .sql(
            "SELECT event_id, entry, CAST(usage_date AS VARCHAR) AS day, correction_of_period, \
             CAST(event_time AS VARCHAR) AS at FROM usage_events \
             WHERE correction_of_period IS NOT NULL ORDER BY event_id",
        )
        .await;
    let late: Vec<_> = late
        .iter()
        .map(|row| (row["event_id"].clone(), row["entry"].clone(), row["day"].clone()))
        .collect();
    let day = json!("2026-11-24");
    let expected =
        [(json!("a"), json!("reversal"), day.clone()), (json!("late"), json!("usage"), day)];
    assert_eq!(late, expected);

    let check = app.json("/api/closed-months/check").await;
    assert_eq!(check["items"][0]["unchanged"], true, "{check}");
    let again = close(&app, "2026-10").await.json();
    assert_eq!(again["statement"], statement, "closing again changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_late_events_are_duplicates_even_after_the_dedup_window() {
    let app = TestApp::new().await;
    app.store(lines(&[october("a", "ada", "1")])).await;
    assert_eq!(close(&app, "2026-10").await.status, 200);
    app.store(lines(&[october("late", "eve", "7")])).await;
    app.app.flush().await.expect("flushed");
    app.clock.advance(chrono::TimeDelta::days(60));
    // The memory of keys forgets meanwhile.
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(1500) {
        let copies = lines(&[october("a", "ada", "1"), october("late", "eve", "7")]);
        let answer = app.post(copies, None).await.json();
        assert_eq!(answer["duplicate"], 2, "{:?}: {answer}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_not_over_cannot_be_closed() {
    let app = TestApp::new().await;
    for (month, rule) in [("2026-11", "not over"), ("2026-13", "not a month"), ("x", "not a month")]
    {
        let answer = close(&app, month).await;
        assert_eq!(answer.status, 400, "{month}");
        assert!(answer.text().contains(rule), "{}", answer.text());
    }
    assert_eq!(app.json("/api/closed-months").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_organization_closes_without_the_others() {
    let app = TestApp::new().await;
    let other = "0190a3c2-7b1e-7c00-8000-0000000000ff";
    let body = json!({"month": "2026-10", "organization_id": other, "reason": "a test"});
    assert_eq!(app.send("POST", "/api/closed-months", body).await.status, 200);
    let mut theirs = october("a", "ada", "1");
    theirs["organization_id"] = other.into();
    app.store(lines(&[theirs, october("a", "ada", "1")])).await;
    let rows = app
        .sql(
            "SELECT organization_id, correction_of_period AS period FROM usage_events \
             ORDER BY organization_id",
        )
        .await;
    let periods: Vec<_> = rows.iter().map(|row| row["period"].clone()).collect();
    assert_eq!(periods, [Value::Null, json!("2026-10")]);
}
