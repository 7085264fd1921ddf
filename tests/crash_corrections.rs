//! `kill -9` within a repricing, a close or a forgetting leaves all or nothing
//! of a day, and the same command finishes what was begun.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::events::{event_with, lines};
use crate::support::files::files_with;
use crate::support::server::{Client, Server, assert_verifies};

const DAYS: [&str; 3] = ["2026-11-20", "2026-11-21", "2026-11-22"];

/// Two users on each of three days, priced by the list that is built in.
async fn store_events(client: &Client) {
    let mut events = Vec::new();
    for day in DAYS {
        for number in 0..20 {
            let user = ["ada", "grace"][number % 2];
            let changes = json!({"event_time": format!("{day}T10:00:00Z"), "user_id": user});
            events.push(event_with(&format!("{day}-{number}"), changes));
        }
    }
    let (status, answer) = client.send(lines(&events)).await.expect("an answer");
    assert_eq!((status, &answer["accepted"]), (200, &json!(60)), "{answer}");
}

/// Sends a request, whose answer a crash may swallow.
async fn send(client: &Client, path: &str, body: &Value) -> Option<Value> {
    let request = client.http.post(format!("{}{path}", client.url)).json(body);
    request.send().await.ok()?.json().await.ok()
}

/// What each day costs and how many events it has, by SQL over the events.
async fn days(client: &Client, what: &str) -> Vec<Value> {
    let query = format!(
        "SELECT CAST(CAST(event_time AS DATE) AS VARCHAR) AS day, {what} AS value, \
         sum(quantity) AS events FROM usage_events GROUP BY 1 ORDER BY 1"
    );
    client.sql(&query).await
}

/// Starts over the data directory, lets `path` run into `point`, starts again.
async fn crash_in(folder: &Path, point: &str, path: &str, body: &Value) -> Server {
    let mut server = Server::start(folder, &[("SPENDLAKE_TEST_CRASH_AT", point)]).await;
    let answer = send(&server.client, path, body).await;
    assert!(answer.is_none(), "{point} was not reached: {answer:?}");
    server.ended().await;
    Server::start(folder, &[]).await
}

async fn with_events(folder: &Path) {
    let server = Server::start(folder, &[]).await;
    store_events(&server.client).await;
    let list = "provider,model,input_usd_per_mtok,output_usd_per_mtok\nopenai,gpt-4o,1000,1000\n";
    let put = server.client.http.put(format!("{}/api/prices/ours", server.client.url));
    let answer = put.header("content-type", "text/csv").body(list).send().await.expect("answer");
    assert!(answer.status().is_success(), "{answer:?}");
    assert!(server.stop().await, "a clean stop");
}

/// Every day costs what it did, or what the new list says.
async fn check_repriced(client: &Client, all: bool) {
    for day in days(client, "sum(actual_api_cost)").await {
        assert_eq!(day["events"], 20, "{day}");
        let cost = day["value"].as_str().expect("an amount");
        let known = if all { cost == "22" } else { ["22", "0.07"].contains(&cost) };
        assert!(known, "{day}");
    }
    let path = "/api/platform/analytics/summary?date_from=2026-11-20&date_to=2026-11-22";
    assert_eq!(client.get(path).await["total_events"], 60);
}

async fn reprice_through(point: &str) {
    let folder = tempfile::tempdir().expect("folder");
    with_events(folder.path()).await;
    let body = json!({"date_from": "2026-11-20", "date_to": "2026-11-22", "price_version": "ours"});
    let server = crash_in(folder.path(), point, "/api/prices/reprice", &body).await;
    check_repriced(&server.client, false).await;
    let answer = send(&server.client, "/api/prices/reprice", &body).await.expect("an answer");
    assert_eq!(answer["total"]["new_actual_api_cost"], "66", "{answer}");
    check_repriced(&server.client, true).await;
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder.path());
}

async fn forget_through(point: &str) {
    let folder = tempfile::tempdir().expect("folder");
    with_events(folder.path()).await;
    let path = "/api/users/grace/forget";
    let server = crash_in(folder.path(), point, path, &json!({})).await;
    // The start finishes it; each day is all of the one or all of the other.
    // The question must not name the user, since statements are written down.
    let named = "sum(CASE WHEN user_id = 'ada' OR user_id LIKE 'forgotten-%' THEN 0 ELSE 1 END)";
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let days = days(&server.client, named).await;
        for day in &days {
            assert!(day["value"] == 0 || day["value"] == 10, "{day}");
            assert_eq!(day["events"], 20, "{day}");
        }
        if days.iter().all(|day| day["value"] == 0) {
            break;
        }
        assert!(Instant::now() < deadline, "the forgetting was not finished: {days:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let users = server.client.sql("SELECT DISTINCT user_id FROM usage_events ORDER BY 1").await;
    assert_eq!(users.len(), 2, "one pseudonym for all days: {users:?}");
    let log = server.client.get("/api/audit-log").await;
    let lines = log["items"].as_array().expect("lines").iter();
    assert_eq!(lines.filter(|line| line["action"] == "user.forget").count(), 1, "{log}");
    // While the server runs: a stop would clear the directory's log. Files go
    // after the rows do.
    loop {
        let found = files_with(folder.path(), "grace");
        if found.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "the user is in {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder.path());
}

async fn close_through(point: &str) {
    let folder = tempfile::tempdir().expect("folder");
    with_events(folder.path()).await;
    let body = json!({"month": "2026-10", "reason": "a test"});
    let server = crash_in(folder.path(), point, "/api/closed-months", &body).await;
    let late = event_with("late", json!({"event_time": "2026-10-05T10:00:00Z"}));
    let (_, answer) = server.client.send(lines(&[late])).await.expect("an answer");
    assert_eq!(answer["accepted"], 1, "{answer}");
    let closed = server.client.get("/api/closed-months").await["items"].clone();
    let is_closed = closed.as_array().is_some_and(|months| !months.is_empty());
    let rows = server
        .client
        .sql("SELECT correction_of_period AS period FROM usage_events WHERE event_id = 'late'")
        .await;
    let period = if is_closed { json!("2026-10") } else { Value::Null };
    assert_eq!(rows[0]["period"], period);
    let answer = send(&server.client, "/api/closed-months", &body).await.expect("an answer");
    let events = if is_closed { 0 } else { 1 };
    assert_eq!(answer["statement"]["total_events"], events, "{answer}");
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder.path());
}

/// One test a place, named after it.
macro_rules! crash_points {
    ($($name:ident: $through:ident($point:literal),)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $through($point).await;
        })+
    };
}

crash_points! {
    crash_before_the_second_day_is_repriced: reprice_through("before_correction:2"),
    crash_between_the_rows_of_a_repriced_day_and_its_sums: reprice_through("after_correction:2"),
    crash_between_the_sums_of_a_repriced_day_and_its_publication:
        reprice_through("after_correction_rollup:1"),
    crash_before_the_second_day_is_rewritten: forget_through("before_rewrite:2"),
    crash_after_the_second_day_is_rewritten: forget_through("after_rewrite:2"),
    crash_between_the_tables_of_a_forgetting: forget_through("between_forgotten_tables"),
    crash_before_the_replaced_files_of_a_forgetting_go:
        forget_through("before_forgotten_files_go"),
    crash_before_a_forgetting_ends: forget_through("before_erasure_ends"),
    crash_after_a_forgetting_ended: forget_through("after_erasure_ended"),
    crash_before_a_month_is_closed: close_through("before_closing"),
    crash_after_a_month_is_closed_before_its_statement: close_through("after_closing"),
}
