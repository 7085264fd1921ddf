//! What the routes answer, shown once in full.

use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use chrono::TimeDelta;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event, event_with, lines};

const DATES: &str = "date_from=2026-11-18&date_to=2026-11-22";

fn organization(leaf: &str) -> String {
    format!("/api/organizations/{ORGANIZATION}/analytics/{leaf}")
}

/// Two users, two days, one event of unknown cost.
async fn small_app() -> TestApp {
    let app = TestApp::new().await;
    app.store(lines(&[
        event_with("1", json!({"actual_api_cost": "0.5", "charged_cost": "0.75"})),
        event_with(
            "2",
            json!({"user_id": "bob", "conversation_id": "c2", "actual_api_cost": 0.25,
                   "event_time": "2026-11-21T08:00:00Z", "status": "failed", "duration_ms": 12}),
        ),
        event_with(
            "3",
            json!({"user_id": "bob", "conversation_id": "c3", "model": "house-model",
                   "event_time": "2026-11-21T09:00:00Z", "cache_read_tokens": 7}),
        ),
    ]))
    .await;
    app
}

fn problem(answer: &Answer, status: u16) -> Value {
    let json = answer.json();
    assert_eq!(answer.status, status, "{json}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_flat_and_holds_the_range_before() {
    let app = small_app().await;
    let summary = app.json(&organization(&format!("summary?{DATES}"))).await;
    let nothing = json!({
        "total_cost": "0", "actual_api_cost": "0", "profit_amount": "0", "total_events": 0,
        "total_conversations": 0, "total_users": 0, "total_tokens": 0, "input_tokens": 0,
        "cache_read_tokens": 0, "cache_write_tokens": 0, "cache_write_1h_tokens": 0,
        "output_tokens": 0, "reasoning_tokens": 0, "unpriced_events": 0, "failed_events": 0,
        "duration_ms": null, "date_from": "2026-11-13", "date_to": "2026-11-17"
    });
    let expected = json!({
        "total_cost": "1", "actual_api_cost": "0.75", "profit_amount": "0.25", "total_events": 3,
        "total_conversations": 3, "total_users": 2, "total_tokens": 3307, "input_tokens": 3000,
        "cache_read_tokens": 7, "cache_write_tokens": 0, "cache_write_1h_tokens": 0,
        "output_tokens": 300, "reasoning_tokens": 0, "unpriced_events": 1, "failed_events": 1,
        "duration_ms": 12, "previous": nothing, "as_of": "2026-11-24T12:00:00.000000Z",
        "date_from": "2026-11-18", "date_to": "2026-11-22"
    });
    assert_eq!(summary, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn trends_leave_no_day_out_and_tell_nothing_from_unknown() {
    let app = small_app().await;
    let path = organization(&format!("trends?{DATES}"));
    let trends = app.json(&path).await;
    let steps: Vec<(&str, &str)> = trends["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|step| {
            (step["date"].as_str().expect("date"), step["total_cost"].as_str().expect("cost"))
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("2026-11-18", "0"),
            ("2026-11-19", "0"),
            ("2026-11-20", "0.75"),
            ("2026-11-21", "0.25"),
            ("2026-11-22", "0"),
        ]
    );
    assert_eq!(trends["total"]["total_cost"], "1");
    let unpriced = app.json(&format!("{path}&model=house-model")).await;
    assert_eq!(unpriced["items"][3]["total_cost"], Value::Null);
    assert_eq!(unpriced["items"][2]["total_cost"], "0");
    assert_eq!(unpriced["unpriced_events"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_continue_where_the_last_one_ended() {
    let app = small_app().await;
    let path = organization(&format!("users?{DATES}&limit=1"));
    let first = app.json(&path).await;
    assert_eq!(first["items"][0]["user_id"], "ada");
    assert_eq!(first["items"][0]["share"], "0.750000");
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = app.json(&format!("{path}&cursor={cursor}")).await;
    assert_eq!(second["items"][0]["user_id"], "bob");
    assert_eq!(second["items"][0]["share"], "0.250000");
    assert_eq!(second["next_cursor"], Value::Null);
    let other = organization(&format!("users?{DATES}&limit=1&sort=name&cursor={cursor}"));
    let refused = problem(&app.get(&other).await, 400);
    assert_eq!(refused["parameter"], "cursor");
}

async fn get_unless(app: &TestApp, path: &str, etag: &str) -> Answer {
    let request = Request::get(path).header(header::IF_NONE_MATCH, etag);
    app.request(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_answer_costs_a_304_and_a_new_event_ends_that() {
    let app = small_app().await;
    let path = organization(&format!("summary?{DATES}"));
    let etag = app.get(&path).await.headers["etag"].to_str().expect("an etag").to_owned();
    let unchanged = get_unless(&app, &path, &etag).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.headers["etag"], etag.as_str());
    let other = get_unless(&app, &organization("summary?range=7d"), &etag).await;
    assert_eq!(other.status, 200);
    app.clock.advance(TimeDelta::seconds(1));
    app.store(lines(&[event("4")])).await;
    let changed = get_unless(&app, &path, &etag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], etag.as_str());
    assert_eq!(changed.json()["total_events"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_name_the_parameter_the_value_and_the_way_out() {
    let app = small_app().await;
    let unknown = problem(&app.get(&organization("summary?team=t1")).await, 400);
    assert_eq!((&unknown["parameter"], &unknown["value"]), (&json!("team"), &json!("t1")));
    let detail = unknown["detail"].as_str().expect("a detail");
    assert!(detail.contains("did you mean team_id?"), "{detail}");
    for (query, parameter) in [
        ("range=14d", "range"),
        ("date_from=2026-11-31", "date_from"),
        ("date_from=2026-11-02&date_to=2026-11-01", "date_from"),
        ("status=done", "status"),
    ] {
        let refused = problem(&app.get(&organization(&format!("summary?{query}"))).await, 400);
        assert_eq!(refused["parameter"], parameter, "{query}");
    }
    let refused = app.get(&organization("trends?date_from=2000-01-01&date_to=2026-11-24")).await;
    let detail = problem(&refused, 400)["detail"].to_string();
    assert!(detail.contains("at most 5000"), "{detail}");
    let elsewhere = "/api/organizations/0190a3c2-7b1e-7c00-8000-0000000000ff/analytics/summary";
    let missing = problem(&app.get(elsewhere).await, 404);
    let detail = missing["detail"].as_str().expect("a detail");
    assert!(detail.contains("0190a3c2-7b1e-7c00-8000-0000000000ff"), "{detail}");
    problem(&app.get("/api/users/nobody/analytics/summary").await, 404);
    problem(&app.get("/api/conversations/none").await, 404);
    problem(&app.get("/api/nowhere").await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_ranked_among_the_active_users() {
    let app = small_app().await;
    let cheap =
        event_with("5", json!({"user_id": "eve", "charged_cost": "0.25", "model": "house-model"}));
    app.store(lines(&[cheap])).await;
    for (user, rank, percentile) in
        [("ada", 1, "1.000000"), ("bob", 2, "0.666667"), ("eve", 2, "0.666667")]
    {
        let path = format!("/api/users/{user}/analytics/compare-org?{DATES}");
        let compared = app.json(&path).await;
        assert_eq!(compared["rank"], rank, "{user}");
        assert_eq!(compared["percentile"], percentile, "{user}");
        assert_eq!(compared["active_users"], 3);
        assert_eq!(compared["organization_average"]["total_cost"], "0.416666666667");
        assert_eq!(compared["organization_average"]["total_events"], "1.333333");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_export_runs_as_no_formula_in_a_spreadsheet() {
    let app = small_app().await;
    app.store(lines(&[event_with("6", json!({"user_id": "=HYPERLINK(\"x\")"}))])).await;
    let path = organization(&format!("export?{DATES}&group_by=user"));
    let answer = app.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let text = answer.text();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().expect("a header").clone();
    let column = |name| header.iter().position(|one| one == name).expect("a column");
    let (user, cost) = (column("user_id"), column("total_cost"));
    let rows: Vec<_> = rows.records().map(|row| row.expect("a row")).collect();
    let found: Vec<_> = rows.iter().map(|row| (&row[user], &row[cost])).collect();
    assert_eq!(found, [("'=HYPERLINK(\"x\")", "0.0035"), ("ada", "0.75"), ("bob", "0.25")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_of_an_export_holds_the_same_rows() {
    let app = small_app().await;
    app.app.flush().await.expect("flushed");
    app.store(lines(&[event("hot")])).await;
    let export = |rest: &str| organization(&format!("export?{DATES}&{rest}"));
    let ndjson = app.get(&export("format=ndjson&rows=events")).await.text();
    let by_line: Vec<Value> =
        ndjson.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let stored = app.sql("SELECT event_id, user_id FROM usage_events ORDER BY event_id").await;
    let mut exported: Vec<_> = by_line.iter().map(|row| row["event_id"].clone()).collect();
    exported.sort_by_key(Value::to_string);
    let stored: Vec<_> = stored.iter().map(|row| row["event_id"].clone()).collect();
    assert_eq!(exported, stored);
    let array = app.json(&export("format=json&rows=events")).await;
    assert_eq!(array, Value::from(by_line));
    let file = app.get(&export("format=parquet&rows=events")).await;
    assert_eq!(file.headers["content-type"], "application/vnd.apache.parquet");
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file.body));
    let batches: Vec<_> = reader
        .expect("a file")
        .build()
        .expect("a reader")
        .map(|batch| batch.expect("rows"))
        .collect();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), stored.len());
    let cost = batches[0].schema().field_with_name("total_cost").expect("a column").clone();
    assert_eq!(cost.data_type(), &arrow::datatypes::DataType::Decimal128(18, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_analytics_route_answers() {
    let app = small_app().await;
    let document = app.json("/api/openapi.json").await;
    let mut asked = 0;
    for (template, methods) in document["paths"].as_object().expect("paths") {
        let analytics = template.contains("analytics") || template.contains("conversations");
        if !analytics || methods.get("get").is_none() {
            continue;
        }
        let id = if template.contains("/organizations/") {
            ORGANIZATION
        } else if template.contains("/users/") {
            "bob"
        } else {
            "c1"
        };
        let query = if template.ends_with("drill-down") { "?group_by=team,user" } else { "" };
        let path = format!("{}{query}", template.replace("{id}", id));
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(!answer.body.is_empty(), "{path}");
        assert!(answer.headers.contains_key("etag"), "{path}");
        asked += 1;
    }
    assert_eq!(asked, 19);
}
