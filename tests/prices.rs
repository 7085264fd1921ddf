//! Price lists: brought in and activated while the server runs, and what they
//! would make of stored events.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event, event_with, lines};
use crate::support::server::{Server, run};

const OURS: &str = "organization_id,provider,model,input_usd_per_mtok,output_usd_per_mtok,\
discount_percent,markup_percent\n\
,openai,gpt-4o,2,10,,\n\
,openai,new-model,1,1,,\n\
0190a3c2-7b1e-7c00-8000-000000000001,*,*,,,10,50\n";

async fn put(app: &TestApp, version: &str, text: &'static str) -> Answer {
    let request = Request::put(format!("/api/prices/{version}")).body(Body::from(text));
    app.request(request.expect("a request")).await
}

async fn post_json(app: &TestApp, path: &str, body: Value) -> Answer {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    app.request(request.body(Body::from(body.to_string())).expect("a request")).await
}

/// What is stored of each event, by its id.
async fn costs(app: &TestApp) -> Vec<Value> {
    let rows = app
        .sql(
            "SELECT event_id, actual_api_cost AS actual, charged_cost AS charged, cost_source, \
             price_version FROM usage_events WHERE entry = 'usage' ORDER BY event_id",
        )
        .await;
    rows.into_iter()
        .map(|row| {
            json!([
                row["event_id"],
                row["actual"],
                row["charged"],
                row["cost_source"],
                row["price_version"]
            ])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_brought_in_and_activated_without_a_restart() {
    let app = TestApp::new().await;
    app.store(lines(&[event("a"), event_with("b", json!({"model": "new-model"}))])).await;
    let answer = put(&app, "ours", OURS).await;
    assert_eq!((answer.status, answer.json()["stored"].clone()), (201, json!(true)));
    assert_eq!(put(&app, "ours", OURS).await.status, 200);
    let answer = post_json(&app, "/api/prices/ours/activate", Value::Null).await;
    assert_eq!(answer.json(), json!({"price_version": "ours", "changed": true}));
    app.store(lines(&[
        event("c"),
        event_with("d", json!({"model": "new-model-2026-08-06"})),
        event_with("e", json!({"actual_api_cost": "1"})),
        event_with("f", json!({"actual_api_cost": "1", "total_cost": "1"})),
    ]))
    .await;
    // a: 1,000 × 2.5 + 100 × 10 millionths. c: (1,000 × 2 + 100 × 10) × 0.9, × 1.5.
    assert_eq!(
        costs(&app).await,
        [
            json!(["a", "0.0035", "0.0035", "computed", "2026-11-23"]),
            json!(["b", null, null, "unpriced", null]),
            json!(["c", "0.0027", "0.00405", "computed", "ours"]),
            json!(["d", null, null, "unpriced", null]),
            json!(["e", "1", "1.5", "reported", "ours"]),
            json!(["f", "1", "1", "reported", null]),
        ]
    );
    let tables = app
        .sql("SELECT price_version, active, count(*) AS n FROM model_prices GROUP BY 1, 2 ORDER BY 1")
        .await;
    assert_eq!(tables[0], json!({"price_version": "2026-11-23", "active": false, "n": 1190}));
    assert_eq!(tables[1], json!({"price_version": "ours", "active": true, "n": 3}));
    let versions = app.json("/api/prices").await;
    assert_eq!(versions["versions"][1]["activated_at"], json!(["2026-11-24T12:00:00.000000Z"]));
    assert_eq!(app.get("/api/prices/ours").await.text(), OURS);
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_list_or_a_request_is_named() {
    let app = TestApp::new().await;
    put(&app, "ours", OURS).await;
    let answer = put(&app, "ours", "provider,model,input_usd_per_mtok\nopenai,gpt-4o,3\n").await;
    let problem = answer.json();
    assert_eq!(
        (answer.status, problem["type"].clone()),
        (409, json!("urn:spendlake:problem:conflict"))
    );
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("input_usd_per_mtok 2 → 3"), "{detail}");
    let answer = put(&app, "bad", "provider,model,input_usd_per_mtok\nopenai,gpt-4o,x\n").await;
    let detail = answer.json()["detail"].as_str().expect("text").to_owned();
    assert_eq!(answer.status, 400);
    assert!(
        detail.starts_with("line 2 of the price list: input_usd_per_mtok is \"x\""),
        "{detail}"
    );
    assert_eq!(put(&app, ".x", OURS).await.status, 400);
    assert_eq!(app.get("/api/prices/none").await.status, 404);
    let unknown = post_json(&app, "/api/prices/none/activate", Value::Null).await;
    assert_eq!(unknown.status, 404);
    let days = json!({"date_from": "2026-11-01", "date_to": "2026-11-30"});
    for (field, value) in
        [("only", "priced"), ("reported", "yes"), ("date_to", "2026-10-01"), ("filter", "x")]
    {
        let mut body = days.clone();
        body[field] = json!(value);
        let answer = post_json(&app, "/api/prices/reprice", body).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_differences_that_add_up_and_writes_nothing() {
    let app = TestApp::new().await;
    let other = "bbbbbbbb-0000-4000-8000-000000000002";
    app.store(lines(&[
        event_with("a", json!({"team_id": "core"})),
        event_with("b", json!({"model": "new-model"})),
        event_with("c", json!({"actual_api_cost": "1"})),
        event_with("d", json!({"organization_id": other})),
        event_with("e", json!({"model": "unheard-of"})),
        event_with("f", json!({"event_time": "2026-10-31T23:59:59Z"})),
    ]))
    .await;
    app.app.flush().await.expect("flushed");
    app.store(lines(&[event_with(
        "g",
        json!({"model": "claude-sonnet-4-5", "provider": "anthropic"}),
    )]))
    .await;
    app.store(event_with("v", json!({"input_tokens": 900_000_000})).to_string()).await;
    let void =
        json!({"reason": "a test", "events": [{"organization_id": ORGANIZATION, "event_id": "v"}]});
    assert_eq!(post_json(&app, "/api/events/void", void).await.json()["voided"], 1);
    put(&app, "ours", OURS).await;
    let before = costs(&app).await;
    let body = json!({
        "date_from": "2026-11-01", "date_to": "2026-11-30", "price_version": "ours", "dry_run": true
    });
    let answer = post_json(&app, "/api/prices/reprice", body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    let total = &report["total"];
    // a and d are priced anew, b newly; e stays unpriced, g keeps its cost; c
    // was reported, f is of another month, v is void.
    for (field, expected) in [
        ("events", json!(5)),
        ("changed_events", json!(3)),
        ("newly_priced_events", json!(1)),
        ("still_unpriced_events", json!(1)),
        ("kept_events", json!(1)),
        // a and d 0.0035 each, g 1,000 × 3 + 100 × 15 millionths.
        ("old_actual_api_cost", json!("0.0115")),
        // a 0.0027, b 0.00099, d 0.003, g 0.0045.
        ("new_actual_api_cost", json!("0.01119")),
        ("actual_api_cost_difference", json!("-0.00031")),
        ("old_total_cost", json!("0.0115")),
        // a 0.00405, b 0.001485, d 0.003, g 0.0045.
        ("new_total_cost", json!("0.013035")),
        ("total_cost_difference", json!("0.001535")),
    ] {
        assert_eq!(total[field], expected, "{field} of {total}");
    }
    let groups = report["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 5);
    let core = groups.iter().find(|group| group["team_id"] == "core").expect("a team");
    assert_eq!(
        (&core["organization_id"], &core["model"]),
        (&json!(ORGANIZATION), &json!("gpt-4o"))
    );
    assert_eq!(core["actual_api_cost_difference"], "-0.0008");
    assert_eq!(costs(&app).await, before);

    let mut only = body.clone();
    only["only"] = json!("unpriced");
    only["organization_id"] = json!([ORGANIZATION]);
    only["model"] = json!(["new-model"]);
    let report = post_json(&app, "/api/prices/reprice", only).await.json();
    assert_eq!(report["total"]["events"], 1);
    assert_eq!(report["total"]["old_actual_api_cost"], Value::Null);
    assert_eq!(report["total"]["new_actual_api_cost"], "0.00099");
}

#[tokio::test(flavor = "multi_thread")]
async fn unpriced_models_are_a_gauge_that_follows_the_events() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let unknown = |id| event_with(id, json!({"model": "mystery-9"}));
    server.client.send(lines(&[event("a"), unknown("b"), unknown("c")])).await.expect("answer");
    let request = server.client.http.get(format!("{}/metrics", server.client.url)).send();
    let metrics = request.await.expect("an answer").text().await.expect("text");
    let gauge = "spendlake_unpriced_events{provider=\"openai\",model=\"mystery-9\"} 2";
    assert!(metrics.contains(gauge), "{metrics}");
    assert!(!metrics.contains("model=\"gpt-4o\""), "{metrics}");
    assert!(server.stop().await, "a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_the_same_with_and_without_a_server() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("ours-in.csv");
    std::fs::write(&file, OURS).expect("a file");
    let file = file.display().to_string();
    let text = |output: std::process::Output, code: i32| {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), told)
    };
    let data = folder.path().join("data");
    let import = ["prices", "import", &file, "--version", "ours"];
    text(run(&data, &import), 0);
    assert_eq!(text(run(&data, &["prices", "export", "--version", "ours"]), 0).0, OURS);
    let server = Server::start(&data, &[]).await;
    // Without a server it is written down, too.
    let log = server.client.get("/api/audit-log").await;
    let listed = log["items"].as_array().expect("items");
    let line = listed.iter().find(|line| line["subject"] == "prices/ours").expect("a line");
    assert_eq!(
        (&line["actor"], &line["action"]),
        (&json!("operator"), &json!("prices.put")),
        "{log}"
    );
    let unknown = event_with("b", json!({"model": "new-model"}));
    server.client.send(lines(&[event("a"), unknown])).await.expect("an answer");
    let (_, told) = text(run(&data, &import), 0);
    assert!(told.contains("was there already"), "{told}");
    text(run(&data, &["prices", "activate", "ours"]), 0);
    let (list, _) = text(run(&data, &["prices", "list", "--json"]), 0);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["versions"][1]["active"], true);
    let (_, told) = text(run(&data, &["prices", "diff", "2026-11-23", "ours"]), 1);
    assert!(told.contains("2 rows added"), "{told}");
    let (unpriced, _) = text(run(&data, &["prices", "unpriced"]), 0);
    assert!(unpriced.contains("openai,new-model,1,1,2026-11-20,2026-11-20"), "{unpriced}");
    let dry = ["reprice", "--from", "2026-11-01", "--to", "2026-11-30", "--json", "--dry-run"];
    let (with_server, _) = text(run(&data, &dry), 0);
    assert!(server.stop().await, "a clean stop");
    let (without, _) = text(run(&data, &dry), 0);
    assert_eq!(with_server, without);
    let report: Value = serde_json::from_str(&without).expect("JSON");
    assert_eq!(report["total"]["changed_events"], 2);
    text(run(&data, &["prices", "activate", "none"]), 1);
}

/// The day of an event is the one of its arrival; what corrects it is found by
/// the event, whatever the day would be called today.
#[tokio::test(flavor = "multi_thread")]
async fn pricing_anew_again_changes_nothing_after_the_time_zone_changed() {
    for voided in [false, true] {
        let app = TestApp::new().await;
        let late = |id: &str, time: &str| event_with(id, json!({"event_time": time}));
        app.store(lines(&[
            late("evening", "2026-10-05T23:30:00Z"),
            late("last", "2026-10-31T23:30:00Z"),
            late("before", "2026-09-30T23:30:00Z"),
        ]))
        .await;
        let close = json!({"month": "2026-10", "reason": "a test"});
        assert_eq!(post_json(&app, "/api/closed-months", close).await.status, 200);
        put(&app, "ours", OURS).await;
        let body = json!({
            "date_from": "2026-10-01", "date_to": "2026-10-31", "price_version": "ours"
        });
        if voided {
            let events = ["evening", "last"]
                .map(|id| json!({"organization_id": ORGANIZATION, "event_id": id}));
            let void = json!({"events": events, "reason": "a test"});
            assert_eq!(post_json(&app, "/api/events/void", void).await.json()["voided"], 2);
        } else {
            let first = post_json(&app, "/api/prices/reprice", body.clone()).await.json();
            assert_eq!(first["total"]["changed_events"], 2, "{first}");
        }
        let zone = json!({"name": "Acme", "time_zone": "Europe/Berlin"});
        let path = format!("/api/organizations/{ORGANIZATION}");
        assert!(app.send("PUT", &path, zone).await.status < 300);
        let all = "/api/platform/analytics/summary?date_from=2026-09-01&date_to=2026-11-30";
        let before = app.json(all).await;
        for run in 0..2 {
            let again = post_json(&app, "/api/prices/reprice", body.clone()).await.json();
            let expected = if voided { 0 } else { 2 };
            assert_eq!(again["total"]["events"], expected, "voided {voided}, run {run}: {again}");
            assert_eq!(again["total"]["changed_events"], 0, "voided {voided}, run {run}: {again}");
            assert_eq!(app.json(all).await, before, "voided {voided}, run {run}");
        }
        app.assert_verifies().await;
    }
}

/// An event that came after its month was closed stands in no day of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_came_late_is_priced_anew_once() {
    let app = TestApp::new().await;
    let close = json!({"month": "2026-10", "reason": "a test"});
    assert_eq!(post_json(&app, "/api/closed-months", close).await.status, 200);
    let time = json!({"event_time": "2026-10-05T23:30:00Z"});
    app.store(event_with("late", time).to_string()).await;
    put(&app, "ours", OURS).await;
    let body = json!({"date_from": "2026-10-05", "date_to": "2026-10-05", "price_version": "ours"});
    for changed in [1, 0, 0] {
        let report = post_json(&app, "/api/prices/reprice", body.clone()).await.json();
        assert_eq!(report["total"]["changed_events"], changed, "{report}");
    }
    app.assert_verifies().await;
}
