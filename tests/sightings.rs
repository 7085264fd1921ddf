//! One request that several sources saw counts once.

mod arrivals;
mod crash;
mod random;
mod same_source;
mod world;

use axum::body::Body;
use axum::http::{Request, header};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event_with, lines};
use world::{Seen, World};

async fn send(app: &TestApp, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    app.request(request).await
}

/// A log record of Claude Code about the call `request_id`.
fn claude_code_log(request_id: &str) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "1795510800000000000", "attributes": [
            text("event.name", "claude_code.api_request"), text("request_id", request_id),
            text("model", "claude-sonnet-4-5"), text("input_tokens", "12"),
            text("output_tokens", "34"), text("session.id", "session-1"),
            text("cost_usd", "0.5"),
        ]},
    ]}]}]})
}

async fn send_log(app: &TestApp, log: &Value) {
    let request = Request::post("/v1/logs")
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-spendlake-organization", ORGANIZATION)
        .body(Body::from(log.to_string()))
        .expect("a request");
    let answer = app.request(request).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
}

/// What LiteLLM says of a call whose answer had `llm_provider-request-id`.
fn litellm_event(request_id: &str) -> Value {
    event_with(
        "chatcmpl-1",
        json!({
            "source": "litellm", "request_id": request_id, "provider": "anthropic",
            "model": "claude-sonnet-4-5", "event_time": "2026-11-24T09:00:01Z",
            "actual_api_cost": "0.25", "charged_cost": "0.75", "conversation_id": null,
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_seen_by_gateway_and_tool_counts_by_the_gateway_in_either_order() {
    for gateway_first in [true, false] {
        for flushed in [true, false] {
            let app = TestApp::new().await;
            for gateway in [gateway_first, !gateway_first] {
                match gateway {
                    true => app.store(litellm_event("req_x").to_string()).await,
                    false => send_log(&app, &claude_code_log("req_x")).await,
                }
                if flushed {
                    app.app.flush().await.expect("flushed");
                }
            }
            let path = "/api/platform/analytics/summary?range=7d";
            let summary = app.json(path).await;
            assert_eq!(summary["total_events"], 1, "{summary}");
            assert_eq!(summary["total_cost"], "0.75", "{summary}");
            assert_eq!(summary["total_conversations"], 0, "{summary}");
            let page = app.json("/api/sightings").await;
            let item = &page["items"][0];
            assert_eq!(page["items"].as_array().expect("items").len(), 1, "{page}");
            assert_eq!(
                (&item["source"], &item["request_id"], &item["actual_api_cost"]),
                (&json!("claude-code"), &json!("req_x"), &json!("0.5"))
            );
            assert_eq!(
                (&item["winner_source"], &item["winner_event_id"]),
                (&json!("litellm"), &json!("chatcmpl-1"))
            );
            app.assert_verifies().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_sighting_says_what_counts_instead() {
    let app = TestApp::new().await;
    let gateway = event_with("g", json!({"source": "litellm", "request_id": "r"}));
    let tool = event_with("t", json!({"source": "codex", "request_id": "r"}));
    app.store(gateway.to_string()).await;
    let answer = app.post(tool.to_string(), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!((&answer["sighting"], &answer["accepted"]), (&json!(1), &json!(0)));
    let line = &answer["results"][0];
    assert_eq!(line["status"], "sighting");
    let message = line["message"].as_str().expect("a message");
    assert!(message.contains("\"g\"") && message.contains("\"litellm\""), "{message}");
    let again = app.post(tool.to_string(), None).await.json();
    assert_eq!(again["duplicate"], 1, "{again}");
    let other = event_with("t", json!({"source": "codex", "request_id": "r", "input_tokens": 7}));
    let other = app.post(other.to_string(), None).await;
    assert_eq!((other.status, &other.json()["conflict"]), (422, &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_other_organizations_and_events_without_one_never_compete() {
    let app = TestApp::new().await;
    let other = "0190a3c2-7b1e-7c00-8000-000000000002";
    app.store(lines(&[
        event_with("a", json!({"request_id": "r"})),
        event_with("b", json!({"request_id": "r", "organization_id": other})),
        event_with("c", json!({})),
        event_with("d", json!({})),
    ]))
    .await;
    assert_eq!(app.sql("SELECT * FROM sightings").await.len(), 0);
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_decides_who_counts() {
    let app = TestApp::with(|config| {
        config.source_precedence = "codex,*,litellm".parse().expect("a precedence");
    })
    .await;
    let of = |source: &str| event_with(source, json!({"source": source, "request_id": "r"}));
    app.store(lines(&[of("litellm")])).await;
    app.store(lines(&[of("somebody")])).await;
    let answer = app.post(of("somebody else").to_string(), None).await.json();
    assert_eq!(answer["sighting"], 1, "{answer}");
    app.store(lines(&[of("codex")])).await;
    let counted = app.sql("SELECT source FROM usage_events").await;
    assert_eq!(counted, [json!({"source": "codex"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sightings_are_listed_page_by_page_and_by_organization() {
    let app = TestApp::new().await;
    let mut events = Vec::new();
    for request in 0..5 {
        for source in ["litellm", "codex"] {
            let id = format!("{source}-{request}");
            events.push(event_with(
                &id,
                json!({"source": source, "request_id": request.to_string()}),
            ));
        }
    }
    app.post(lines(&events), None).await;
    for flushed in [false, true] {
        if flushed {
            app.app.flush().await.expect("flushed");
            app.app.compact().await.expect("compacted");
        }
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/sightings?organization_id={ORGANIZATION}&limit=2{cursor}");
            let page = app.json(&path).await;
            let items = page["items"].as_array().expect("items").iter();
            seen.extend(items.map(|item| item["event_id"].as_str().expect("an id").to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, ["codex-0", "codex-1", "codex-2", "codex-3", "codex-4"]);
    }
    let other = "0190a3c2-7b1e-7c00-8000-000000000002";
    let none = app.json(&format!("/api/sightings?organization_id={other}")).await;
    assert_eq!(none["items"], json!([]));
    let one = app.json("/api/sightings?request_id=3").await;
    assert_eq!(one["items"][0]["event_id"], "codex-3");
    let wrong = app.get("/api/sightings?organization=x").await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_of_the_winner_does_not_bring_back_what_lost() {
    for flushed in [false, true] {
        let mut app = TestApp::new().await;
        let of = |source: &str| event_with(source, json!({"source": source, "request_id": "r"}));
        app.store(of("codex").to_string()).await;
        if flushed {
            app.app.flush().await.expect("flushed");
        }
        app.store(of("api").to_string()).await;
        let name = |source: &str| json!({"organization_id": ORGANIZATION, "source": source, "event_id": source});
        let void = json!({"events": [name("api")], "reason": "a test"});
        assert_eq!(send(&app, "/api/events/void", &void).await.json()["voided"], 1);
        app.assert_verifies().await;
        let again = app.post(of("codex").to_string(), None).await.json();
        assert_eq!(again["duplicate"], 1, "{again}");
        let lower = app.post(of("gemini-cli").to_string(), None).await.json();
        assert_eq!(lower["sighting"], 1, "{lower}");
        let replace = json!({"events": [of("codex")], "reason": "a test"});
        let answer = send(&app, "/api/events/replace", &replace).await.json();
        let status = answer["results"][0]["status"].as_str().expect("a status").to_owned();
        assert_eq!(status, if flushed { "sighting" } else { "not_found" }, "{answer}");
        let path = "/api/platform/analytics/summary?range=30d";
        assert_eq!(app.json(path).await["total_events"], 0);
        app.restart().await;
        // A higher source than the voided one still counts.
        app.store(of("litellm").to_string()).await;
        assert_eq!(app.json(path).await["total_events"], 1);
        let replace = json!({"events": [of("api")], "reason": "a test"});
        let answer = send(&app, "/api/events/replace", &replace).await.json();
        assert_eq!(answer["results"][0]["status"], "sighting", "{answer}");
        app.assert_verifies().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_cannot_move_an_event_to_another_request() {
    let app = TestApp::new().await;
    app.store(event_with("a", json!({"request_id": "r"})).to_string()).await;
    let replace = json!({"events": [event_with("a", json!({"request_id": "q"}))], "reason": "x"});
    let answer = send(&app, "/api/events/replace", &replace).await.json();
    let line = &answer["results"][0];
    assert_eq!(line["status"], "rejected", "{answer}");
    assert!(line["message"].as_str().expect("a message").contains("request_id"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_requests_are_looked_up_where_the_memory_forgot_them() {
    let app = TestApp::with(|config| config.maintenance_interval_seconds = 1).await;
    let of = |source: &str, id: &str| {
        let time = "2026-11-20T10:00:00Z";
        event_with(id, json!({"source": source, "request_id": "r", "event_time": time}))
    };
    app.store(of("codex", "1").to_string()).await;
    let lost = app.post(of("gemini-cli", "2").to_string(), None).await.json();
    assert_eq!(lost["sighting"], 1);
    app.app.flush().await.expect("flushed");
    app.clock.advance(TimeDelta::days(80));
    // The memory forgets in the next look for maintenance work.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let again = app.post(of("gemini-cli", "2").to_string(), None).await.json();
    assert_eq!(again["duplicate"], 1, "{again}");
    let late = app.post(of("gemini-cli", "3").to_string(), None).await.json();
    assert_eq!(late["sighting"], 1, "{late}");
    app.store(of("litellm", "4").to_string()).await;
    let counted = app.sql("SELECT source, sum(quantity) AS n FROM usage_events GROUP BY source HAVING sum(quantity) <> 0").await;
    assert_eq!(counted, [json!({"source": "litellm", "n": 1})]);
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_built_again_from_the_lake_know_requests_and_sightings() {
    let mut app = TestApp::new().await;
    let mut world = World::default();
    let seen = [
        Seen::of("codex", "r", "1"),
        Seen::of("gemini-cli", "r", "2"),
        Seen::of("codex", "q", "3"),
    ];
    world.send(&app, &seen).await;
    app.app.close().await.expect("closed");
    std::fs::remove_dir_all(app.data_dir().join("dedup")).expect("removed");
    app.reopen().await;
    world.send(&app, &seen).await;
    world.send(&app, &[Seen::of("api", "r", "4"), Seen::of("gemini-cli", "q", "5")]).await;
    world.check(&app).await;
}
