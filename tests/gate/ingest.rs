//! A token of one organization writes for that one, whatever is sent.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use spendlake::access::{Domain, Grant, Role};

use super::roles::{OTHER, Who, token};
use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event_with, lines};

async fn send(app: &TestApp, token: &str, path: &str, kind: &str, body: String) -> Answer {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body));
    app.request_as_it_is(request.expect("a request")).await
}

/// Events by organization and id.
async fn stored(app: &TestApp) -> Vec<(Value, Value)> {
    let rows = app
        .sql(
            "SELECT organization_id, event_id FROM usage_events ORDER BY organization_id, event_id",
        )
        .await;
    rows.into_iter().map(|row| (row["organization_id"].clone(), row["event_id"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_organization_is_rejected_and_the_others_count() {
    let app = TestApp::new().await;
    let token = Who::Ingest.token(&app).await.expect("a token");
    let body = lines(&[
        event_with("own", json!({})),
        event_with("foreign", json!({"organization_id": OTHER})),
        event_with("unnamed", json!({"organization_id": null})),
    ]);
    let answer = send(&app, &token, "/api/events", "application/x-ndjson", body).await;
    let json = answer.json();
    assert_eq!(answer.status, 200, "{json}");
    let statuses: Vec<_> = json["results"].as_array().expect("results").iter().collect();
    let statuses: Vec<_> =
        statuses.iter().map(|one| one["status"].as_str().expect("one")).collect();
    assert_eq!(statuses, ["accepted", "rejected", "accepted"]);
    let refused = &json["results"][1];
    assert_eq!(refused["reason"], "foreign_organization");
    assert_eq!(refused["field"], "organization_id");
    let message = refused["message"].as_str().expect("a message");
    let rule = format!("the token writes for organization {ORGANIZATION} only");
    assert!(message.contains(&rule), "{message}");
    let ours = json!(ORGANIZATION);
    let expected = [(ours.clone(), json!("own")), (ours.clone(), json!("unnamed"))];
    assert_eq!(stored(&app).await, expected);
    // The refused line is the sender's, not the other organization's.
    let refused = app.sql("SELECT organization_id FROM rejected_events").await;
    assert_eq!(refused, [json!({"organization_id": ORGANIZATION})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_is_held_to_the_tokens_organization() {
    let app = TestApp::new().await;
    let token = Who::Ingest.token(&app).await.expect("a token");
    let cloud = |organization: Value| {
        let data = event_with("x", json!({"event_id": null, "organization_id": organization}));
        json!({"specversion": "1.0", "id": "cloud", "source": "s", "type": "t", "data": data})
    };
    let span = |organization: &str| {
        let text = |value: &str| json!({"stringValue": value});
        let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
        json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("spendlake.organization_id", text(organization))]},
        "scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
            "name": "chat", "kind": 3,
            "startTimeUnixNano": "1763632800000000000", "endTimeUnixNano": "1763632801000000000",
            "attributes": [
                attribute("gen_ai.operation.name", text("chat")),
                attribute("gen_ai.provider.name", text("openai")),
                attribute("gen_ai.request.model", text("gpt-4o")),
                attribute("gen_ai.usage.input_tokens", json!({"intValue": "10"})),
                attribute("gen_ai.usage.output_tokens", json!({"intValue": "10"})),
            ]}]}]}]})
    };
    let litellm = |organization: Value| {
        json!({"id": "i", "litellm_call_id": "lite", "model": "gpt-4o", "status": "success",
               "custom_llm_provider": "openai", "startTime": 1763632800.0, "endTime": 1763632801.0,
               "prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11,
               "metadata": {"user_api_key_org_id": organization}})
    };
    for (path, kind, foreign) in [
        ("/api/events", "application/cloudevents+json", cloud(json!(OTHER))),
        ("/v1/traces", "application/json", span(OTHER)),
        ("/api/integrations/litellm", "application/json", litellm(json!(OTHER))),
    ] {
        send(&app, &token, path, kind, foreign.to_string()).await;
    }
    assert_eq!(stored(&app).await, [], "nothing is stored for another organization");
    let count = "SELECT count(*) AS n FROM rejected_events";
    assert_eq!(app.sql(count).await[0]["n"], 3);
    for (path, kind, unnamed) in [
        ("/api/events", "application/cloudevents+json", cloud(Value::Null)),
        ("/v1/traces", "application/json", span("")),
        ("/api/integrations/litellm", "application/json", litellm(Value::Null)),
    ] {
        let answer = send(&app, &token, path, kind, unnamed.to_string()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let stored = stored(&app).await;
    assert_eq!(stored.len(), 3, "{stored:?}");
    assert!(stored.iter().all(|(organization, _)| organization == ORGANIZATION), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_key_is_not_told_of_and_a_platform_token_writes_anywhere() {
    let app = TestApp::new().await;
    let key = format!("/api/organizations/{OTHER}/api-keys/key-prod");
    let organization = format!("/api/organizations/{OTHER}");
    assert_eq!(app.send("PUT", &organization, json!({"name": "Other"})).await.status, 201);
    assert_eq!(app.send("PUT", &key, json!({"name": "Theirs"})).await.status, 201);
    let ours = Who::Ingest.token(&app).await.expect("a token");
    let unnamed = event_with("1", json!({"organization_id": null})).to_string();
    let json_kind = "application/json";
    let answer = send(&app, &ours, "/api/events", json_kind, unnamed.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stored(&app).await, [(json!(ORGANIZATION), json!("1"))]);
    let platform = Grant::new(Role::Ingest, Domain::Platform).expect("a grant");
    let anywhere = token(&app, "gateway", vec![platform]).await;
    let answer = send(&app, &anywhere, "/api/events", json_kind, unnamed).await;
    assert_eq!(answer.status, 200, "the key says whose it is: {}", answer.text());
    let named = event_with("2", json!({})).to_string();
    let answer = send(&app, &anywhere, "/api/events", json_kind, named).await;
    assert!(answer.text().contains("key_of_another_organization"), "{}", answer.text());
    let stored = stored(&app).await;
    assert_eq!(stored, [(json!(ORGANIZATION), json!("1")), (json!(OTHER), json!("1"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_reach_no_further_than_the_organization() {
    let app = TestApp::new().await;
    app.store(event_with("1", json!({"organization_id": OTHER})).to_string()).await;
    app.store(event_with("2", json!({})).to_string()).await;
    let admin = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let name = |organization: &str, id: &str| json!({"organization_id": organization, "source": "api", "event_id": id});
    let events = json!([name(OTHER, "1"), name(ORGANIZATION, "2"), name(OTHER, "never")]);
    let body = json!({"reason": "a test", "events": events}).to_string();
    let answer = send(&app, &admin, "/api/events/void", "application/json", body).await.json();
    let statuses: Vec<_> = answer["results"].as_array().expect("results").iter().collect();
    let statuses: Vec<_> = statuses.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, ["not_found", "voided", "not_found"], "{answer}");
    let replaced = event_with("1", json!({"organization_id": OTHER, "input_tokens": 5}));
    let body = json!({"reason": "a test", "events": [replaced]}).to_string();
    let answer = send(&app, &admin, "/api/events/replace", "application/json", body).await.json();
    assert_eq!(answer["results"][0]["status"], "rejected", "{answer}");
    let tokens = app.sql("SELECT sum(input_tokens) AS n FROM usage_events").await;
    assert_eq!(tokens[0]["n"], 1000, "the other organization's event stands");
    let body = json!({"organization_id": OTHER}).to_string();
    let answer = send(&app, &admin, "/api/users/ada/forget", "application/json", body).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}
