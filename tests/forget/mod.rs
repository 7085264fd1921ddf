//! Forgetting people: no file names them afterwards, and every sum stays.

mod audit;
mod closed_months;
mod credentials;
mod known;
mod rejected;

use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event_with, lines};
use crate::support::files::files_with;

const PERSON: &str = "grace.hopper.4711";

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

/// Another tenant.
const OTHER: &str = "0190a3c2-7b1e-7c00-8000-0000000000ff";

/// Asks to forget `user` of the tests' organization.
async fn ask_to_forget(app: &TestApp, user: &str) -> Answer {
    let user: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let path = format!("/api/users/{}/forget", user.replace('+', "%20"));
    app.send("POST", &path, json!({"organization_id": ORGANIZATION})).await
}

async fn forget(app: &TestApp, user: &str) -> Value {
    let answer = ask_to_forget(app, user).await;
    assert_eq!(answer.status, 200, "{user}: {}", answer.text());
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
    let report = forget(&app, PERSON).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_prompts_history_and_an_old_directory_file_forget_too() {
    let old = json!({"users": [{"id": PERSON, "name": "Grace"}, {"id": "bob", "name": "Bob"}]});
    let history = format!("#V2\nSELECT 1;\nSELECT 1 WHERE '{PERSON}'\\n= 'x';\n");
    let prepare_files = |folder: &std::path::Path| {
        std::fs::write(folder.join("directory.json"), old.to_string()).expect("written");
        std::fs::write(folder.join("sql_history"), &history).expect("written");
    };
    let app = TestApp::with_folder(prepare_files, |_| {}).await;
    prepare(&app).await;
    forget(&app, PERSON).await;
    let found = files_with(app.data_dir(), PERSON);
    assert!(found.is_empty(), "{found:?}");
    let kept = std::fs::read_to_string(app.data_dir().join("sql_history")).expect("the history");
    assert_eq!(kept, "#V2\nSELECT 1;\n");
    let kept = std::fs::read_to_string(app.data_dir().join("directory.json")).expect("the file");
    assert!(kept.contains("bob"), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_organization_stays_while_another_one_has_the_user() {
    let old = json!({"users": [{"id": PERSON, "name": "Grace"}]});
    let file = |folder: &std::path::Path| {
        std::fs::write(folder.join("directory.json"), old.to_string()).expect("written");
    };
    let app = TestApp::with_folder(file, |_| {}).await;
    let theirs = event_with("x", json!({"user_id": PERSON, "organization_id": OTHER}));
    app.store(lines(&[event_with("a", json!({"user_id": PERSON})), theirs])).await;
    app.app.settle_directory().await;
    forget(&app, PERSON).await;
    let path = format!("/api/organizations/{OTHER}/analytics/users?range=30d");
    assert_eq!(app.json(&path).await["items"][0]["name"], "Grace");
    let kept = std::fs::read_to_string(app.data_dir().join("directory.json")).expect("the file");
    assert!(kept.contains(PERSON), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_erasure_says_neither_who_nor_whose_user() {
    use sqlx::{Connection as _, Row as _};
    let mut app = TestApp::new().await;
    prepare(&app).await;
    let pseudonym = forget(&app, PERSON).await["pseudonym"].clone();
    app.restart().await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", app.data_dir().join("directory.db").display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the database");
    let rows = sqlx::query("SELECT pseudonym, organization_id, user_id FROM erasures")
        .fetch_all(&mut connection)
        .await
        .expect("rows");
    let text = |column: &str| rows[0].get::<String, _>(column);
    assert_eq!(rows.len(), 1);
    assert_eq!(json!(text("pseudonym")), pseudonym);
    assert_eq!((text("organization_id"), text("user_id")), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_at_once_give_one_pseudonym() {
    let app = TestApp::new().await;
    prepare(&app).await;
    app.app.settle_directory().await;
    let answers = tokio::join!(ask_to_forget(&app, PERSON), ask_to_forget(&app, PERSON));
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404], "{} {}", answers.0.text(), answers.1.text());
    let users =
        app.sql("SELECT DISTINCT user_id FROM usage_events WHERE user_id LIKE 'forgotten-%'").await;
    assert_eq!(users.len(), 1, "{users:?}");
    let log = app.json("/api/audit-log").await;
    let lines = log["items"].as_array().expect("lines").iter();
    assert_eq!(lines.filter(|line| line["action"] == "user.forget").count(), 1, "{log}");
}
