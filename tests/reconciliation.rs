//! Provider reports and reconciliation, through the routes and the command
//! line. The fixtures are the reports of 1 to 3 October 2026.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event_with, lines};
use crate::support::server::{Server, repository_path, run};

const RANGE: &str =
    "/api/reconciliation?provider=anthropic&date_from=2026-10-01&date_to=2026-10-03";

fn fixture_path(name: &str) -> PathBuf {
    repository_path("tests/fixtures/provider_reports").join(name)
}

fn fixture(name: &str) -> String {
    fs::read_to_string(fixture_path(name)).expect("a fixture")
}

async fn import(app: &TestApp, format: &str, body: String) -> Answer {
    let path = format!("/api/integrations/provider-reports/{format}");
    app.request(Request::post(path).body(Body::from(body)).expect("a request")).await
}

async fn imported(app: &TestApp, format: &str, body: String) -> Value {
    let answer = import(app, format, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// A call of Claude Sonnet with a known key and cost.
fn call(id: &str, time: &str, tokens: [u32; 4], cost: &str) -> Value {
    let [input, cache_read, cache_write, output] = tokens;
    event_with(
        id,
        json!({
            "event_time": time, "provider": "anthropic", "model": "claude-sonnet-4-5",
            "api_key_id": "apikey_01ALPHA", "actual_api_cost": cost,
            "input_tokens": input, "cache_read_tokens": cache_read,
            "cache_write_tokens": cache_write, "output_tokens": output,
        }),
    )
}

/// The first day's tokens as reported, at another price; the second day's
/// with 100,000 input tokens too few.
fn our_calls() -> String {
    let first = [1_000_000, 500_000, 100_000, 200_000];
    let second = [300_000, 0, 0, 50_000];
    lines(&[
        call("1", "2026-10-01T10:00:00Z", first, "6.5"),
        call("2", "2026-10-02T23:59:59.999999Z", second, "1.65"),
    ])
}

/// The parts of a difference that are not 0.
fn causes(figures: &Value) -> Vec<(String, String)> {
    let causes = figures["causes"].as_object().expect("causes");
    let parts = causes.iter().filter(|(_, part)| *part != "0");
    parts.map(|(cause, part)| (cause.clone(), part.as_str().expect("text").to_owned())).collect()
}

fn part(cause: &str, part: &str) -> (String, String) {
    (cause.to_owned(), part.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_explained_by_day_model_and_key() {
    let app = TestApp::new().await;
    app.store(our_calls()).await;
    let usage = imported(&app, "anthropic-usage", fixture("anthropic_usage_pages.jsonl")).await;
    assert_eq!(
        (&usage["days"], &usage["rows"], &usage["replaced_rows"]),
        (&json!(3), &json!(5), &json!(0))
    );
    assert_eq!(
        (&usage["date_from"], &usage["date_to"]),
        (&json!("2026-10-01"), &json!("2026-10-03"))
    );
    imported(&app, "anthropic-costs", fixture("anthropic_costs.json")).await;
    let answer = app.json(RANGE).await;
    let items: Vec<_> = answer["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let what = item["item"].as_str().or(item["api_key_id"].as_str()).expect("a name");
            (
                item["date"].as_str().expect("a date"),
                what,
                item["provider_cost"].as_str().expect("text"),
                causes(item),
            )
        })
        .collect();
    let outside = |amount| vec![part("outside_scope", amount)];
    let expected = [
        ("2026-10-01", "web_search", "0.1", outside("0.1")),
        ("2026-10-01", "use without a key is not tracked", "0.45", outside("0.45")),
        ("2026-10-01", "apikey_01ALPHA", "6.525", vec![part("price_difference", "0.025")]),
        ("2026-10-02", "session_usage", "0.041666666667", outside("0.041666666667")),
        ("2026-10-02", "apikey_01ALPHA", "1.95", vec![part("token_difference", "0.3")]),
        ("2026-10-02", "key apikey_01OTHER is not tracked", "0.045", outside("0.045")),
    ];
    assert_eq!(items, expected);
    let total = &answer["total"];
    assert_eq!(total["provider_cost"], "9.111666666667");
    assert_eq!(
        (&total["our_cost"], &total["difference"]),
        (&json!("8.15"), &json!("0.961666666667"))
    );
    let parts = [
        part("outside_scope", "0.636666666667"),
        part("price_difference", "0.025"),
        part("token_difference", "0.3"),
    ];
    assert_eq!(causes(total), parts);
    assert_eq!(
        answer["summary"],
        "anthropic charges 0.961666666667 USD more than we recorded; the biggest cause is charges \
         for what we do not track (outside_scope): +0.636666666667 USD."
    );
    let untold = answer["untold"].to_string();
    assert!(
        untold.contains("counts no requests") && answer["days_without_costs"] == json!([]),
        "{untold}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_days_again_replace_the_earlier_report_for_good() {
    let mut app = TestApp::new().await;
    app.store(our_calls()).await;
    imported(&app, "anthropic-costs", fixture("anthropic_costs.json")).await;
    imported(&app, "anthropic-usage", fixture("anthropic_usage_pages.jsonl")).await;
    let first = app.get(RANGE).await.headers["etag"].clone();
    // The provider moved the second day's input from 1.23 to 1.30 USD.
    let moved = fixture("anthropic_costs.json").replace("\"123\"", "\"130\"");
    let again = imported(&app, "anthropic-costs", moved.clone()).await;
    assert_eq!(
        (&again["rows"], &again["replaced_rows"], &again["notes"]),
        (&json!(9), &json!(9), &json!([]))
    );
    assert_ne!(app.get(RANGE).await.headers["etag"], first);
    let total = "SELECT report_kind, count(*) AS rows, sum(amount) AS amount \
                 FROM provider_costs GROUP BY 1 ORDER BY 1";
    let expected = [
        json!({"report_kind": "cost", "rows": 9, "amount": "9.181666666667"}),
        json!({"report_kind": "usage", "rows": 5, "amount": null}),
    ];
    for _ in 0..2 {
        assert_eq!(app.sql(total).await, expected);
        assert_eq!(app.json(RANGE).await["total"]["difference"], "1.031666666667");
        app.app.compact().await.expect("compacted");
        app.restart().await;
    }
    app.assert_verifies().await;
    // Another account of the same provider stays beside it.
    let path = "/api/integrations/provider-reports/anthropic-costs?account=other";
    let other = app.request(Request::post(path).body(Body::from(moved)).expect("a request")).await;
    assert_eq!(other.json()["replaced_rows"], 0, "{}", other.text());
    assert_eq!(app.sql(total).await[0]["rows"], 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_the_provider_takes_back_is_known_to_cost_nothing() {
    let app = TestApp::new().await;
    imported(&app, "anthropic-costs", fixture("anthropic_costs.json")).await;
    let empty = r#"{"data":[{"starting_at":"2026-10-01T00:00:00Z",
        "ending_at":"2026-10-02T00:00:00Z","results":[]}],"has_more":false}"#;
    let answer = imported(&app, "anthropic-costs", empty.to_owned()).await;
    assert_eq!((&answer["rows"], &answer["replaced_rows"]), (&json!(1), &json!(5)));
    let days = "SELECT usage_date, sum(amount) AS amount FROM provider_costs GROUP BY 1 ORDER BY 1";
    let days: Vec<_> = app.sql(days).await.iter().map(|row| row["amount"].clone()).collect();
    assert_eq!(days, ["0", "2.036666666667", "0"]);
    assert_eq!(app.json(RANGE).await["total"]["provider_cost"], "2.036666666667");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_one_project_in_place_of_all_is_noticed() {
    let app = TestApp::new().await;
    imported(&app, "openai-costs", fixture("openai_costs_pages.json")).await;
    let filtered = fixture("openai_costs_pages.json").replace("proj_web", "proj_app");
    let answer = imported(&app, "openai-costs", filtered).await;
    let notes = answer["notes"].to_string();
    assert!(notes.contains("account default") && notes.contains("proj_web"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openai_bill_is_explained_by_its_line_items() {
    let app = TestApp::new().await;
    // 19 of the 20 calls that the report counts.
    let call = |number: u32| {
        let ours = json!({
            "event_time": "2026-10-01T10:00:00Z", "model": "gpt-4o-2024-08-06",
            "api_key_id": "key_1", "input_tokens": 75_000, "cache_read_tokens": 25_000,
            "output_tokens": 5_000, "actual_api_cost": "0.26875",
        });
        event_with(&number.to_string(), ours)
    };
    app.store(lines(&(1..20).map(call).collect::<Vec<_>>())).await;
    imported(&app, "openai-usage", fixture("openai_usage.json")).await;
    imported(&app, "openai-costs", fixture("openai_costs_pages.json")).await;
    let path = "/api/reconciliation?provider=openai&date_from=2026-10-01&date_to=2026-10-03";
    let answer = app.json(path).await;
    let parts = [part("missing_events", "0.26875"), part("outside_scope", "0.25")];
    assert_eq!(causes(&answer["total"]), parts);
    assert_eq!(answer["days_without_costs"], json!(["2026-10-03"]));
    let stored = app.sql("SELECT * FROM provider_costs").await;
    assert!(!json!(stored).to_string().contains("user-hidden"), "people stay out of the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reconciled_is_refused_with_the_way_out() {
    let app = TestApp::new().await;
    let refused = app.get(RANGE).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    let detail = refused.json()["detail"].to_string();
    assert!(
        detail.contains("no cost report of anthropic covers 2026-10-01 to 2026-10-03"),
        "{detail}"
    );
    assert!(detail.contains("spendlake import --format anthropic-costs"), "{detail}");
    for (query, words) in [
        ("", "provider is missing"),
        ("?provider=x&date_to=2026-10-01", "date_from is missing"),
        ("?provider=x&date_from=2026-10-32&date_to=2026-10-01", "it must be a date"),
        ("?provider=x&date_from=2026-10-02&date_to=2026-10-01", "are 0 days"),
        ("?provider=x&date_from=2020-10-02&date_to=2026-10-01", "a reconciliation has 1 to 366"),
        ("?provider=x&date_from=2026-10-01&date_to=2026-10-01&organization_id=me", "UUID"),
    ] {
        let refused = app.get(&format!("/api/reconciliation{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains(words), "{detail}");
    }
    let euros = fixture("anthropic_costs.json").replacen("USD", "EUR", 1);
    imported(&app, "anthropic-costs", euros).await;
    let refused = app.get(RANGE).await;
    assert_eq!(refused.status, 400);
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("2026-10-01 is in EUR"), "{detail}");
    let kept = app.sql("SELECT currency FROM provider_costs WHERE currency <> 'USD'").await;
    assert_eq!(kept, [json!({"currency": "EUR"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_read_leaves_the_table_as_it_was() {
    let app = TestApp::new().await;
    imported(&app, "anthropic-costs", fixture("anthropic_costs.json")).await;
    let broken = fixture("anthropic_costs.json").replace("\"123\"", "\"12 3\"");
    for (format, body, status, words) in [
        ("anthropic-costs", broken, 400, "page 1, bucket 2, result 1: amount is \\\"12 3\\\""),
        ("anthropic-costs", String::new(), 400, "no bucket of time"),
        (
            "anthropic-usage",
            fixture("anthropic_costs.json"),
            400,
            "uncached_input_tokens is missing",
        ),
        ("bedrock-costs", String::new(), 404, "choose openai-usage, openai-costs"),
        ("anthropic-costs?organization_id=me", String::new(), 400, "organization_id is"),
        ("anthropic-costs?organisation_id=me", String::new(), 400, "did you mean organization_id?"),
    ] {
        let refused = import(&app, format, body).await;
        assert_eq!(refused.status, status, "{format}: {}", refused.text());
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains(words), "{detail}");
    }
    let rows = app.sql("SELECT count(*) AS rows, sum(amount) AS amount FROM provider_costs").await;
    assert_eq!(rows, [json!({"rows": 9, "amount": "9.111666666667"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_one_organization_is_held_against_its_events() {
    let app = TestApp::new().await;
    let mine = "0190a3c2-7b1e-7c00-8000-000000000001";
    let other = "0190a3c2-7b1e-7c00-8000-000000000002";
    app.store(our_calls()).await;
    let theirs = json!({"event_time": "2026-10-01T10:00:00Z", "provider": "anthropic",
        "organization_id": other, "model": "claude-sonnet-4-5", "actual_api_cost": "100"});
    app.store(lines(&[event_with("theirs", theirs)])).await;
    let path = format!("anthropic-costs?organization_id={mine}");
    let answer = imported(&app, &path, fixture("anthropic_costs.json")).await;
    assert_eq!(answer["account"], mine);
    for path in [RANGE.to_owned(), format!("{RANGE}&organization_id={mine}")] {
        assert_eq!(app.json(&path).await["total"]["our_cost"], "8.15", "{path}");
    }
    let refused = app.get(&format!("{RANGE}&organization_id={other}")).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    // No usage report: what a cost report alone cannot tell is named.
    let answer = app.json(RANGE).await;
    let parts = [part("outside_scope", "0.141666666667"), part("undetermined", "0.82")];
    assert_eq!(causes(&answer["total"]), parts);
    assert!(answer["untold"].to_string().contains("No usage report covers"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_leaves_the_old_report_or_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let moved = fixture("anthropic_costs.json").replace("\"123\"", "\"130\"");
    let post = |server: &Server, body: String| {
        let url =
            format!("{}/api/integrations/provider-reports/anthropic-costs", server.client.url);
        server.client.http.post(url).body(body).send()
    };
    let first = Server::start(folder.path(), &[]).await;
    let stored = post(&first, fixture("anthropic_costs.json")).await.expect("an answer");
    assert!(stored.status().is_success());
    assert!(first.stop().await);
    for (point, amount) in
        [("before_provider_costs", "9.111666666667"), ("after_provider_costs", "9.181666666667")]
    {
        let crash = [("SPENDLAKE_TEST_CRASH_AT", point)];
        let mut server = Server::start(folder.path(), &crash).await;
        assert!(post(&server, moved.clone()).await.is_err(), "{point}");
        server.ended().await;
        let server = Server::start(folder.path(), &[]).await;
        let query = "SELECT count(*) AS rows, sum(amount) AS amount FROM provider_costs";
        assert_eq!(
            server.client.sql(query).await,
            [json!({"rows": 9, "amount": amount})],
            "{point}"
        );
        assert!(server.stop().await);
    }
}

#[test]
fn the_command_line_imports_reports_and_explains_the_bill() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let events = folder.path().join("calls.ndjson");
    fs::write(&events, our_calls()).expect("written");
    let usage = fixture("anthropic_usage_pages.jsonl");
    let pages: Vec<PathBuf> = usage
        .lines()
        .enumerate()
        .map(|(number, page)| {
            let path = folder.path().join(format!("page{number}.json"));
            fs::write(&path, page).expect("written");
            path
        })
        .collect();
    let costs = fixture_path("anthropic_costs.json");
    let ask = |arguments: &[&str]| {
        let output = run(&data_dir, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), errors)
    };
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    ask(&["import", &text(&events)]);
    let (said, _) =
        ask(&["import", "--format", "anthropic-usage", &text(&pages[0]), &text(&pages[1])]);
    assert!(said.contains("3 days from 2026-10-01 to 2026-10-03: 5 rows, in place of 0"), "{said}");
    ask(&["import", "--format", "anthropic-costs", &text(&costs)]);
    let range =
        ["reconcile", "--provider", "anthropic", "--from", "2026-10-01", "--to", "2026-10-03"];
    let with = |format| [&range[..], &["--format", format]].concat();
    let (table, notes) = ask(&range);
    let last: Vec<&str> = table.lines().rev().take(3).collect();
    assert!(last[0].contains("the biggest cause is charges for what we do not track"), "{table}");
    assert!(last[2].contains("total") && last[2].contains("9.111666666667"), "{table}");
    assert!(notes.contains("note: The usage report counts no requests"), "{notes}");
    let (rows, _) = ask(&with("csv"));
    let mut rows = csv::Reader::from_reader(rows.as_bytes());
    let header = rows.headers().expect("a header").clone();
    let rows: Vec<_> = rows.records().map(|row| row.expect("a row")).collect();
    let column = |name| header.iter().position(|one| one == name).expect("a column");
    let total = rows.last().expect("a total");
    assert_eq!(
        (rows.len(), &total[0], &total[column("difference")]),
        (7, "total", "0.961666666667")
    );
    let (answer, _) = ask(&with("json"));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["total"]["causes"]["price_difference"], "0.025");
    let refused = run(&data_dir, &["import", "--format", "openai-costs", &text(&costs)]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && errors.contains("nothing was imported"), "{errors}");
    let refused = run(&data_dir, &["import", "--account", "a", &text(&events)]);
    assert!(!refused.status.success());
    // An organization is found however its UUID is spelt.
    let account = ["--account", "theirs", "--organization", ORGANIZATION];
    ask(&[&["import", "--format", "anthropic-costs"], &account[..], &[&text(&costs)]].concat());
    let of = |id: &str| {
        let asked = [&with("json")[..], &["--organization", id]].concat();
        let (answer, _) = ask(&asked);
        serde_json::from_str::<Value>(&answer).expect("JSON")
    };
    let (lower, upper) = (of(ORGANIZATION), of(&ORGANIZATION.to_uppercase()));
    assert_eq!((&upper, &upper["organization_id"]), (&lower, &ORGANIZATION.into()));
    assert_ne!(upper["total"]["our_requests"], 0, "{upper}");
}
