//! Who did what, and who may read it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, header};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::roles::{OTHER, Who, app};
use crate::support::app::{Answer, TestApp};
use crate::support::events::ORGANIZATION;

/// A price list.
const PRICES: &str = "organization_id,provider,model,input_usd_per_mtok,output_usd_per_mtok,\
                      discount_percent,markup_percent\n,openai,gpt-4o,2,10,,\n";

async fn by(app: &TestApp, token: &str, line: &str, body: Value) -> Answer {
    let (method, path) = line.split_once(' ').expect("METHOD PATH");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
    app.request_as_it_is(request.expect("a request")).await
}

/// The lines of some actions, the latest first.
async fn log(app: &TestApp, token: Option<&str>, action: &str) -> Vec<Value> {
    let line = "GET /api/audit-log?limit=1000";
    let answer = match token {
        Some(token) => by(app, token, line, Value::Null).await,
        None => app.get("/api/audit-log?limit=1000").await,
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = answer.json()["items"].as_array().expect("items").clone();
    lines
        .into_iter()
        .filter(|line| line["action"].as_str().is_some_and(|one| one.starts_with(action)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_names_its_caller() {
    let app = app().await;
    let admin = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let void = json!({"reason": "a test", "events": [
        {"organization_id": ORGANIZATION, "source": "api", "event_id": "1"}]});
    assert_eq!(by(&app, &admin, "POST /api/events/void", void).await.json()["voided"], 1);
    let team = format!("PUT /api/organizations/{ORGANIZATION}/teams/core");
    assert_eq!(by(&app, &admin, &team, json!({"name": "Core"})).await.status, 201);
    let export =
        format!("GET /api/organizations/{ORGANIZATION}/analytics/export?range=30d&user_id=ada");
    assert_eq!(by(&app, &admin, &export, Value::Null).await.status, 200);
    for action in ["events.void", "team.put", "usage.export"] {
        let lines = log(&app, Some(&admin), action).await;
        assert_eq!(lines.len(), 1, "{action}: {lines:?}");
        let actor = lines[0]["actor"].as_str().expect("an actor");
        assert!(actor.starts_with("OrganizationAdmin ("), "{action}: {actor}");
    }
    let exported = &log(&app, None, "usage.export").await[0]["details"];
    assert_eq!(exported["user_id"], json!(["ada"]));
    assert_eq!(exported["organization_id"], ORGANIZATION);
    app.send("PUT", "/api/prices/nothing", Value::Null).await;
    assert!(log(&app, None, "prices.").await.is_empty(), "what failed changed nothing");
    app.send("POST", "/api/retention", json!({"dry_run": true})).await;
    let void = json!({"reason": "a test", "events": [
        {"organization_id": ORGANIZATION, "source": "api", "event_id": "2"}]});
    app.send("POST", "/api/events/void", void).await;
    assert_eq!(log(&app, None, "events.void").await[0]["actor"], "operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_kept_without_their_end_and_shown_to_their_organization() {
    let app = app().await;
    let analyst = Who::Analyst.token(&app).await.expect("a token");
    let long = format!("SELECT 1 AS n -- {}", "x".repeat(3_000));
    for query in ["SELECT 1 AS n", &long, "SELECT nonsense"] {
        by(&app, &analyst, "POST /api/sql", json!({"query": query})).await;
    }
    let admin = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let lines = log(&app, Some(&admin), "sql.run").await;
    let texts: Vec<_> =
        lines.iter().map(|line| line["details"]["statement"].as_str().expect("text")).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!((texts[0], texts[2]), ("SELECT nonsense", "SELECT 1 AS n"));
    assert_eq!(texts[1].len(), 2_000);
    assert_eq!(lines[1]["details"]["cut"], true);
    let foreign = Who::ForeignAdmin.token(&app).await.expect("a token");
    assert!(
        log(&app, Some(&foreign), "sql.run").await.is_empty(),
        "nothing of another organization"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_reads_its_own_organizations_lines_page_by_page() {
    let app = app().await;
    for number in 0..5 {
        for id in [ORGANIZATION, OTHER] {
            let path = format!("/api/organizations/{id}/teams/t{number}");
            assert_eq!(app.send("PUT", &path, json!({"name": "T"})).await.status, 201);
        }
    }
    let admin = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let (mut cursor, mut subjects) = (String::new(), Vec::new());
    loop {
        let line = format!("GET /api/audit-log?limit=2{cursor}");
        let page = by(&app, &admin, &line, Value::Null).await.json();
        let items = page["items"].as_array().expect("items").clone();
        subjects
            .extend(items.iter().map(|item| item["subject"].as_str().expect("text").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let teams = subjects.iter().filter(|subject| subject.contains("/team/")).count();
    assert_eq!(teams, 5, "{subjects:?}");
    assert!(subjects.iter().all(|subject| !subject.contains(OTHER)), "{subjects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_fill_no_log() {
    let app = TestApp::new().await;
    let guess = || by(&app, "slk_guess", "GET /api/organizations", Value::Null);
    for _ in 0..50 {
        assert_eq!(guess().await.status, 401);
    }
    app.clock.advance(TimeDelta::seconds(2));
    assert_eq!(guess().await.status, 401);
    // The lines are written beside the answers.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let lines = loop {
        let lines = log(&app, None, "token.refused").await;
        if lines.len() >= 2 || std::time::Instant::now() > deadline {
            break lines;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(lines.len(), 2, "{lines:?}");
    // Each is written beside its answer, so either may come first.
    let mut left_out: Vec<_> =
        lines.iter().filter_map(|line| line["details"]["left_out_before"].as_u64()).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, [0, 49], "{lines:?}");
    assert!(!format!("{lines:?}").contains("slk_guess"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_chosen_by_act_actor_and_day() {
    let app = app().await;
    let admin = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let team = format!("PUT /api/organizations/{ORGANIZATION}/teams/core");
    assert_eq!(by(&app, &admin, &team, json!({"name": "Core"})).await.status, 201);
    let foreign = format!("/api/organizations/{OTHER}/teams/core");
    assert_eq!(app.send("PUT", &foreign, json!({"name": "Core"})).await.status, 201);
    let found = async |token: &str, filter: &str| {
        let line = format!("GET /api/audit-log?{filter}");
        let answer = by(&app, token, &line, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"].as_array().expect("items").len()
    };
    let operator = Who::SuperAdmin.token(&app).await.expect("a token");
    assert_eq!(found(&operator, "action=team.put").await, 2);
    assert_eq!(found(&operator, "action=team.put&actor=operator").await, 1);
    assert_eq!(found(&admin, "action=team.put").await, 1, "of its own organization");
    assert_eq!(found(&admin, "action=team.put&actor=operator").await, 0);
    assert_eq!(
        found(&operator, "action=team.put&date_from=2026-11-24&date_to=2026-11-24").await,
        2
    );
    assert_eq!(found(&operator, "action=team.put&date_to=2026-11-23").await, 0);
    assert_eq!(found(&operator, "action=team").await, 0, "whole names");
    let wrong = by(&app, &operator, "GET /api/audit-log?date_from=today", Value::Null).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_written_down_though_nobody_waits_for_the_answer() {
    let app = std::sync::Arc::new(app().await);
    let version = |number: usize| format!("list-{number}");
    for number in 0..40 {
        let asking = std::sync::Arc::clone(&app);
        let asked = tokio::spawn(async move { asking.put_list(&version(number), PRICES).await });
        // From nothing done to all of it.
        for _ in 0..number * number {
            tokio::task::yield_now().await;
        }
        asked.abort();
        let _ = asked.await;
    }
    // What was begun ends by itself.
    app.put_list("last", PRICES).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let lists = app.json("/api/prices").await;
        let stored: BTreeSet<_> = lists["versions"]
            .as_array()
            .expect("versions")
            .iter()
            .filter_map(|list| list["price_version"].as_str())
            .filter(|version| version.starts_with("list-"))
            .collect();
        let lines = log(&app, None, "prices.put").await;
        let told: BTreeSet<_> =
            lines.iter().filter_map(|line| line["subject"].as_str()?.rsplit('/').next()).collect();
        assert!(!stored.is_empty(), "none had been begun");
        assert!(told.contains("last"), "{lines:?}");
        if stored.is_subset(&told) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{stored:?}: {lines:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setup_code_is_written_down() {
    let app = TestApp::new().await;
    let body = json!({"code": "guess", "email": "eve@example.com", "name": "Eve",
                      "password": "a password of some words"});
    assert_eq!(by(&app, "", "POST /api/setup", body).await.status, 403);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let lines = log(&app, None, "login.refuse").await;
        if let [line] = lines.as_slice() {
            assert_eq!(line["subject"], "/api/setup");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{lines:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
