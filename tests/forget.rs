//! Forgetting people: no file names them afterwards, and every sum stays.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};

const PERSON: &str = "grace.hopper.4711";

/// Files under `folder` that hold `text`, as bytes.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if holds(&path, text) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).expect("a file");
    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
        return true;
    }
    path.extension().is_some_and(|end| end == "parquet") && parquet_holds(path, text)
}

/// Pages are compressed, so every text of the file is read.
fn parquet_holds(path: &Path, text: &str) -> bool {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let file = std::fs::File::open(path).expect("a file");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| row.expect("a row").to_string()).any(|row| row.contains(text))
}

fn events() -> Vec<Value> {
    vec![
        event_with("a", json!({"user_id": PERSON, "tags": {"owner": PERSON, "project": "x"}})),
        event_with("b", json!({"user_id": PERSON, "event_time": "2026-11-21T10:00:00Z"})),
        event_with("c", json!({"user_id": "ada", "tags": {"reviewer": PERSON}})),
        event_with("d", json!({})),
    ]
}

async fn prepare(app: &TestApp) {
    let organization = format!("/api/organizations/{ORGANIZATION}");
    let path = format!("{organization}/users/{PERSON}");
    app.send("PUT", &organization, json!({"name": "Acme"})).await;
    for name in ["Grace Hopper", "Rear Admiral Hopper"] {
        let answer = app.send("PUT", &path, json!({"name": name})).await;
        assert!(answer.status < 300, "{}", answer.text());
    }
    app.store(lines(&events())).await;
    let wrong = event_with("e", json!({"user_id": PERSON, "input_tokens": -1}));
    assert_eq!(app.post(wrong.to_string(), None).await.status, 422);
}

async fn forget(app: &TestApp) -> Value {
    let answer = app.send("POST", &format!("/api/users/{PERSON}/forget"), json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

const SUMMARY: &str = "/api/platform/analytics/summary?range=30d";

#[tokio::test(flavor = "multi_thread")]
async fn no_file_names_a_forgotten_person_and_sums_stay() {
    let mut app = TestApp::new().await;
    prepare(&app).await;
    app.app.flush().await.expect("flushed");
    app.store(lines(&[event_with("f", json!({"user_id": PERSON}))])).await;
    assert!(!files_with(app.data_dir(), PERSON).is_empty(), "the search finds what is there");
    let mut before = app.json(SUMMARY).await;
    let report = forget(&app).await;
    assert_eq!((&report["events"], &report["rejected_events"]), (&json!(5), &json!(1)), "{report}");
    let pseudonym = report["pseudonym"].as_str().expect("a pseudonym").to_owned();
    for text in [PERSON, "Hopper"] {
        let found = files_with(app.data_dir(), text);
        assert!(found.is_empty(), "{text} is in {found:?}");
    }
    for _ in 0..2 {
        let mut after = app.json(SUMMARY).await;
        for answer in [&mut before, &mut after] {
            answer.as_object_mut().expect("an object").remove("as_of");
        }
        assert_eq!(after, before);
        let users = app.json("/api/analytics/drill-down?group_by=user&range=30d").await;
        let text = users.to_string();
        assert!(text.contains(&pseudonym) && !text.contains(PERSON), "{users}");
        app.assert_verifies().await;
        app.restart().await;
    }
    let audit = app.json("/api/audit-log").await.to_string();
    assert!(audit.contains("user.forget") && audit.contains(&pseudonym), "{audit}");
    assert!(!audit.contains(PERSON), "{audit}");
    let tags = app.sql("SELECT event_id, tags FROM usage_events WHERE tags IS NOT NULL").await;
    assert!(!format!("{tags:?}").contains(PERSON), "{tags:?}");
    let again = app.send("POST", &format!("/api/users/{PERSON}/forget"), json!({})).await;
    assert_eq!(again.status, 404, "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn days_past_their_age_go_and_their_sums_stay() {
    let mut app = TestApp::with(|config| {
        config.usage_events_retention_days = 30;
        config.rejected_events_retention_days = 1;
    })
    .await;
    app.store(lines(&[event_with("a", json!({"charged_cost": "2", "actual_api_cost": "1"}))]))
        .await;
    assert_eq!(app.post("{}".to_owned(), None).await.status, 422);
    app.app.flush().await.expect("flushed");
    app.clock.advance(chrono::TimeDelta::days(40));
    let closed = json!({"month": "2026-11", "reason": "a test"});
    assert_eq!(app.send("POST", "/api/closed-months", closed).await.status, 200);
    let fresh = json!({"event_time": "2027-01-02T10:00:00Z"});
    app.store(lines(&[event_with("b", fresh)])).await;
    let expected = [("usage_events", 1), ("rejected_events", 1)];
    for dry_run in [true, true, false] {
        let answer = app.send("POST", "/api/retention", json!({"dry_run": dry_run})).await.json();
        let tables = answer["tables"].as_array().expect("tables").iter();
        let found: Vec<_> = tables
            .map(|one| {
                (one["table"].as_str().expect("a name"), one["rows"].as_i64().expect("rows"))
            })
            .collect();
        assert_eq!(found, expected, "{answer}");
        // Of what is exported, the closed months that lose rows are named.
        assert_eq!(answer["tables"][0]["closed_months"], json!(["2026-11"]), "{answer}");
        assert_eq!(answer["tables"][1]["closed_months"], json!([]), "{answer}");
    }
    for _ in 0..2 {
        let events = app.sql("SELECT event_id FROM usage_events").await;
        assert_eq!(events.len(), 1, "{events:?}");
        let path = "/api/platform/analytics/summary?date_from=2026-11-20&date_to=2026-11-20";
        assert_eq!(app.json(path).await["total_cost"], "2");
        app.assert_verifies().await;
        app.app.compact().await.expect("compacted");
        app.app.rebuild_rollup().await.expect("rebuilt");
        app.restart().await;
    }
    let old = event_with("c", json!({}));
    let answer = app.post(old.to_string(), None).await;
    assert_eq!(answer.status, 422, "a day that is gone takes no event: {}", answer.text());
}
