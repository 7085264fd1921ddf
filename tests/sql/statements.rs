//! Statements that run: listing them, stopping them, waiting for their place.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use super::{ENDLESS, ENDLESS_ROWS, ask, request};
use crate::support::app::TestApp;

async fn open(app: &TestApp) -> Vec<Value> {
    app.json("/api/sql/statements").await["items"].as_array().expect("items").clone()
}

/// Waits until as many statements are open.
async fn until_open(app: &TestApp, count: usize) -> Vec<Value> {
    for _ in 0..1000 {
        let items = open(app).await;
        if items.len() == count {
            return items;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} open statements did not come");
}

async fn cancel(app: &TestApp, id: &str) -> u16 {
    app.send("DELETE", &format!("/api/sql/statements/{id}"), Value::Null).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_is_listed_and_can_be_cancelled() {
    let app = Arc::new(TestApp::new().await);
    let asking = Arc::clone(&app);
    let query = json!({"query": ENDLESS});
    let running = tokio::spawn(async move { ask(&asking, &query).await });
    let items = until_open(&app, 1).await;
    let item = &items[0];
    assert_eq!((&item["text"], &item["rows"]), (&json!(ENDLESS), &json!(0)), "{item}");
    assert_eq!(item["since"], "2026-11-24T12:00:00Z");
    assert_eq!(item["principal_id"], "operator");
    let id = item["id"].as_str().expect("an id").to_owned();
    assert_eq!(cancel(&app, &id).await, 204);
    let answer = running.await.expect("no panic");
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.json()["type"], "urn:spendlake:problem:cancelled");
    until_open(&app, 0).await;
    let ended = app.json(&format!("/api/sql/statements/{id}")).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert_eq!(cancel(&app, &id).await, 404, "it ended already");
    assert_eq!(cancel(&app, "nonsense").await, 404);
    assert_eq!(app.get("/api/sql/statements/nonsense").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_place() {
    let app = TestApp::with(|config| {
        config.query_concurrency_max = 1;
        config.query_wait_seconds_max = 20;
    })
    .await;
    for query in [ENDLESS_ROWS, "SELECT value, lpad('x', 100, 'y') FROM range(1, 900000000000)"] {
        let answer = app.open(request(&json!({"query": query, "format": "csv"}), None)).await;
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body().into_data_stream();
        body.next().await.expect("a piece").expect("bytes");
        assert_eq!(open(&app).await.len(), 1);
        drop(body);
        until_open(&app, 0).await;
        assert_eq!(app.sql("SELECT 1 AS one").await, [json!({"one": 1})]);
    }
    // One that waits for its first row is let go of just so.
    let waiting = app.open(request(&json!({"query": ENDLESS}), None));
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    until_open(&app, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_holds_no_more_than_its_time() {
    let app = TestApp::with(|config| {
        config.query_concurrency_max = 1;
        config.query_seconds_max = 1;
        config.query_wait_seconds_max = 20;
    })
    .await;
    let answer = app.open(request(&json!({"query": ENDLESS_ROWS}), None)).await;
    let mut body = answer.into_body().into_data_stream();
    body.next().await.expect("a piece").expect("bytes");
    // Nobody reads on, and the next statement still gets the place.
    assert_eq!(app.sql("SELECT 1 AS one").await, [json!({"one": 1})]);
    let mut last = None;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(bytes) => last = Some(bytes),
            Err(_) => break,
        }
    }
    let last = String::from_utf8(last.expect("pieces").to_vec()).expect("text");
    assert!(last.contains("query_seconds_max"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_busy_and_says_when_to_come_back() {
    let app = Arc::new(
        TestApp::with(|config| {
            config.query_concurrency_max = 1;
            config.query_queue_max = 1;
        })
        .await,
    );
    let query = json!({"query": ENDLESS});
    let mut tasks = Vec::new();
    for count in 1..=2 {
        let (asking, query) = (Arc::clone(&app), query.clone());
        tasks.push(tokio::spawn(async move { ask(&asking, &query).await }));
        until_open(&app, count).await;
    }
    let open_now = open(&app).await;
    let mut states: Vec<_> = open_now.iter().map(|one| one["state"].as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, [Some("running"), Some("waiting")]);
    let answer = ask(&app, &json!({"query": "SELECT 1"})).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.headers["retry-after"], "5");
    assert!(answer.json()["detail"].to_string().contains("query_queue_max"), "{}", answer.text());
    let metrics = app.get("/metrics").await.text();
    for name in [
        "spendlake_sql_running",
        "spendlake_sql_waiting",
        "spendlake_sql_refused_total{reason=\"queue\"}",
    ] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
    for item in open(&app).await {
        assert_eq!(cancel(&app, item["id"].as_str().expect("an id")).await, 204);
    }
    for task in tasks {
        assert_eq!(task.await.expect("no panic").status, 409);
    }
    app.sql("SELECT 1").await;
    let metrics = app.get("/metrics").await.text();
    for name in ["spendlake_sql_cancelled_total", "spendlake_sql_seconds_bucket{outcome=\"done\""] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_answer_while_statements_fill_every_place() {
    let app = Arc::new(
        TestApp::with(|config| {
            config.query_concurrency_max = 4;
            config.query_concurrency_per_principal_max = 4;
        })
        .await,
    );
    let query = json!({"query": ENDLESS});
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (asking, query) = (Arc::clone(&app), query.clone());
        tasks.push(tokio::spawn(async move { ask(&asking, &query).await }));
    }
    until_open(&app, 4).await;
    let path = "/api/platform/analytics/summary?range=30d";
    let answered = tokio::time::timeout(Duration::from_secs(20), app.json(path)).await;
    assert_eq!(answered.expect("in time")["total_events"], 0);
    for task in &tasks {
        task.abort();
    }
    until_open(&app, 0).await;
}
