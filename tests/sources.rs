//! The routes and verbs by which other tools' usage comes in.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event, event_with};
use crate::support::files::assert_absent;
use crate::support::server::{assert_verifies, run};

const OTHER: &str = "0190a3c2-7b1e-7c00-8000-000000000002";

async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.request(request.body(Body::from(body.to_string())).expect("a request")).await
}

/// An event without organization and identity.
fn data() -> Value {
    event_with("x", json!({"event_id": null, "organization_id": null, "user_id": null}))
}

fn cloud_event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "gateway", "type": "spendlake.usage",
        "subject": "grace", "data": data()})
}

#[tokio::test]
async fn cloud_events_come_in_all_three_modes_and_are_one_event_an_id() {
    let app = TestApp::new().await;
    let organization = ("x-spendlake-organization", ORGANIZATION);
    let structured = [("content-type", "application/cloudevents+json"), organization];
    let answer = post(&app, "/api/events", &structured, &cloud_event("a")).await;
    assert_eq!(
        (answer.status, answer.json()["accepted"].clone()),
        (200, json!(1)),
        "{}",
        answer.text()
    );
    let batch =
        [("content-type", "application/cloudevents-batch+json; charset=utf-8"), organization];
    let two = json!([cloud_event("a"), cloud_event("b")]);
    let answer = post(&app, "/api/events", &batch, &two).await.json();
    assert_eq!((&answer["accepted"], &answer["duplicate"]), (&json!(1), &json!(1)), "{answer}");
    let binary = [
        ("content-type", "application/json"),
        organization,
        ("ce-specversion", "1.0"),
        ("ce-id", "c"),
        ("ce-source", "gateway"),
        ("ce-type", "t"),
        ("ce-subject", "gr%61ce"),
    ];
    let answer = post(&app, "/api/events", &binary, &data()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = app
        .sql("SELECT event_id, source, user_id, organization_id FROM usage_events ORDER BY 1")
        .await;
    let expected = ["a", "b", "c"].map(|id| {
        json!({"event_id": id, "source": "gateway", "user_id": "grace", "organization_id": ORGANIZATION})
    });
    assert_eq!(rows, expected);
    assert_eq!(post(&app, "/api/events", &batch, &json!([])).await.status, 200, "an empty batch");
    let xml = [("content-type", "application/cloudevents+xml")];
    assert_eq!(post(&app, "/api/events", &xml, &json!({})).await.status, 415);
}

#[tokio::test]
async fn the_organization_is_the_events_else_the_requests_else_the_default() {
    let app = TestApp::with(|config| config.organization_default = OTHER.to_owned()).await;
    let unnamed = |id: &str| event_with(id, json!({"organization_id": null}));
    let header = [("x-spendlake-organization", "0190a3c2-7b1e-7c00-8000-000000000003")];
    assert_eq!(post(&app, "/api/events", &header, &event("own")).await.status, 200);
    assert_eq!(post(&app, "/api/events", &header, &unnamed("header")).await.status, 200);
    assert_eq!(post(&app, "/api/events", &[], &unnamed("setting")).await.status, 200);
    let rows = app.sql("SELECT event_id, organization_id FROM usage_events ORDER BY 1").await;
    let found: Vec<_> =
        rows.iter().map(|row| row["organization_id"].as_str().expect("an id")).collect();
    assert_eq!(found, ["0190a3c2-7b1e-7c00-8000-000000000003", ORGANIZATION, OTHER]);
    let wrong = [("x-spendlake-organization", "acme")];
    let answer = post(&app, "/api/events", &wrong, &event("no")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("must be the UUID"), "{}", answer.text());
}

/// Exporters drop what is answered 400: a name in the header counts as it does
/// in an attribute.
#[tokio::test]
async fn the_header_of_a_source_names_an_organization_as_its_events_do() {
    let app = TestApp::new().await;
    let call = |id: &str, organization: Value| {
        json!({"litellm_call_id": id, "model": "gpt-4o", "custom_llm_provider": "openai",
            "startTime": 1_795_496_285.5, "endTime": 1_795_496_286.0, "response_cost": 0.25,
            "metadata": {"user_api_key_org_id": organization,
                "usage_object": {"prompt_tokens": 10, "completion_tokens": 2}}})
    };
    let json_body = ("content-type", "application/json");
    let acme = [json_body, ("x-spendlake-organization", "acme")];
    let path = "/api/integrations/litellm";
    assert_eq!(post(&app, path, &[json_body], &call("own", json!("acme"))).await.status, 200);
    assert_eq!(post(&app, path, &acme, &call("header", Value::Null)).await.status, 200);
    let span = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "1795510800000000000", "attributes": [
            {"key": "event.name", "value": {"stringValue": "claude_code.api_request"}},
            {"key": "request_id", "value": {"stringValue": "otlp"}},
            {"key": "model", "value": {"stringValue": "claude-sonnet-4-5"}},
            {"key": "input_tokens", "value": {"stringValue": "12"}},
            {"key": "output_tokens", "value": {"stringValue": "3"}},
        ]},
    ]}]}]});
    let answer = post(&app, "/v1/logs", &acme, &span).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    let found = app
        .sql("SELECT count(*) AS n, count(DISTINCT organization_id) AS o FROM usage_events")
        .await;
    assert_eq!(found, [json!({"n": 3, "o": 1})]);
}

#[tokio::test]
async fn a_litellm_batch_is_judged_call_by_call_and_a_resend_is_a_duplicate() {
    let app = TestApp::new().await;
    let call = |id: &str| {
        json!({"litellm_call_id": id, "model": "openai/gpt-4o", "custom_llm_provider": "openai",
            "status": "success", "startTime": 1_795_496_285.5, "endTime": 1_795_496_286.0,
            "response_cost": 0.25, "messages": [{"content": "secret words"}],
            "metadata": {"usage_object": {"prompt_tokens": 10, "completion_tokens": 2}}})
    };
    let headers =
        [("content-type", "application/json"), ("x-spendlake-organization", ORGANIZATION)];
    let path = "/api/integrations/litellm";
    let answer = post(&app, path, &headers, &json!([call("a"), null, call("b")])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.json()["accepted"], &answer.json()["rejected"]), (&json!(2), &json!(1)));
    let again = post(&app, path, &headers, &call("a")).await.json();
    assert_eq!(again["duplicate"], json!(1), "{again}");
    // Without an organization it says which field is missing.
    let answer = post(&app, path, &headers[..1], &call("c")).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["results"][0]["field"], "organization_id");
    let rows = app.sql("SELECT source, CAST(sum(actual_api_cost) AS VARCHAR) AS cost FROM usage_events GROUP BY 1").await;
    assert_eq!(rows, [json!({"source": "litellm", "cost": "0.500000000000"})]);
}

#[test]
fn transcripts_are_imported_once_however_often() {
    let (data, home) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let line = |message: &str, output: u64| {
        let line = json!({"cwd": "/home/ada/web", "sessionId": "s1", "requestId": "req_1",
            "timestamp": "2026-01-05T09:00:00Z", "type": "assistant",
            "message": {"id": message, "model": "claude-sonnet-4-5", "content": [{"text": "secret words"}],
                "usage": {"input_tokens": 100, "output_tokens": output}}});
        format!("{line}\n")
    };
    let folder = home.path().join("projects/web/sub");
    std::fs::create_dir_all(&folder).expect("folder");
    std::fs::write(
        folder.join("a.jsonl"),
        line("m1", 1) + &line("m1", 50) + "not json with \"usage\"\n",
    )
    .expect("a file");
    std::fs::write(
        folder.join("b.jsonl"),
        line("m1", 50) + &line("m2", 7).replace("req_1", "req_2"),
    )
    .expect("a file");
    let path = home.path().display().to_string();
    let import = |more: &[&str]| {
        run(
            data.path(),
            &[
                &[
                    "import",
                    "--format",
                    "claude-code",
                    &path,
                    "--organization",
                    ORGANIZATION,
                    "--set",
                    "user_id=ada",
                ],
                more,
            ]
            .concat(),
        )
    };
    let output = import(&[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("a.jsonl row 3: ") && !said.contains("secret"), "{said}");
    let again = import(&["--again", "--json"]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    let duplicates: u64 = said
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["duplicate"]
                .as_u64()
                .expect("a count")
        })
        .sum();
    assert_eq!(duplicates, 2, "{said}");
    let query = "SELECT event_id, user_id, output_tokens, CAST(actual_api_cost AS VARCHAR) AS cost FROM usage_events ORDER BY 1";
    let output = run(data.path(), &["sql", "--format", "csv", query]);
    // 100×3 + 50×15 and 100×3 + 7×15 microdollars
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "event_id,user_id,output_tokens,cost\nm1:req_1,ada,50,0.001050000000\nm2:req_2,ada,7,0.000405000000\n"
    );
    let rows = run(data.path(), &["sql", "--format", "csv", "SELECT * FROM usage_events"]);
    assert!(!String::from_utf8_lossy(&rows.stdout).contains("secret"));
    assert_absent(data.path(), &["secret"]);
    assert_verifies(data.path());
}
