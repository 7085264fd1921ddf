//! What an event belongs to, where its sender does not say.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, event_with, lines};

pub(crate) const OTHER: &str = "0190a3c2-7b1e-7c00-8000-00001a2b3c4d";

impl TestApp {
    /// Puts a thing of the directory; it must be taken.
    pub(crate) async fn put(&self, path: &str, body: Value) {
        let answer = self.send("PUT", path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
    }
}

pub(crate) fn of(organization: &str, tail: &str) -> String {
    format!("/api/organizations/{organization}{tail}")
}

/// Ada was in core until the 21st, then in web; web has a department.
pub(crate) async fn put_small(app: &TestApp) {
    let organization = json!({"name": "Acme", "default_department": "General"});
    app.put(&of(ORGANIZATION, ""), organization).await;
    app.put(&of(OTHER, ""), json!({"name": "Other"})).await;
    app.put(&of(ORGANIZATION, "/teams/core"), json!({"name": "Core"})).await;
    let web = json!({"name": "Web", "department": "Product"});
    app.put(&of(ORGANIZATION, "/teams/web"), web).await;
    app.put(&of(ORGANIZATION, "/users/ada"), json!({"name": "Ada"})).await;
    let memberships = of(ORGANIZATION, "/users/ada/memberships");
    for membership in [
        json!({"team_id": "core", "valid_from": "2026-01-01", "valid_to": "2026-11-21"}),
        json!({"team_id": "web", "valid_from": "2026-11-21", "primary": true}),
    ] {
        app.put(&memberships, membership).await;
    }
    app.put(&of(ORGANIZATION, "/api-keys/owned"), json!({"name": "Owned", "team_id": "web"})).await;
}

/// Who each stored event belongs to, in the order of the event ids.
pub(crate) async fn attributions(app: &TestApp) -> Vec<Value> {
    let query =
        "SELECT event_id, organization_id, team_id, department FROM usage_events ORDER BY 1";
    let rows = app.sql(query).await;
    let cells = |row: &Value| json!([row["event_id"], row["team_id"], row["department"]]);
    rows.iter().map(cells).collect()
}

#[tokio::test]
async fn the_team_is_that_of_the_events_time_and_what_the_event_says_wins() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let key = json!({"user_id": null, "api_key_id": "owned"});
    app.store(lines(&[
        event_with("a", json!({"event_time": "2026-11-20T23:59:59Z"})),
        event_with("b", json!({"event_time": "2026-11-21T00:00:00Z"})),
        event_with("c", json!({"team_id": "core", "department": "Said"})),
        event_with("d", json!({"team_id": "web"})),
        event_with("e", json!({"user_id": "nobody"})),
        event_with("f", key),
    ]))
    .await;
    assert_eq!(
        attributions(&app).await,
        [
            json!(["a", "core", "General"]),
            json!(["b", "web", "Product"]),
            json!(["c", "core", "Said"]),
            json!(["d", "web", "Product"]),
            json!(["e", null, "General"]),
            json!(["f", "web", "Product"]),
        ]
    );
}

#[tokio::test]
async fn a_declared_key_says_which_organization_its_events_belong_to() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let unnamed = json!({"organization_id": null, "api_key_id": "owned"});
    app.store(lines(&[event_with("a", unnamed.clone())])).await;
    let found = app.sql("SELECT organization_id FROM usage_events").await;
    assert_eq!(found[0]["organization_id"], ORGANIZATION);
    // Two owners: any choice would be a guess.
    app.put(&of(OTHER, "/api-keys/owned"), json!({"name": "Also owned"})).await;
    let answer = app.post(lines(&[event_with("b", unnamed)]), None).await.json();
    let refused = &answer["results"][0];
    assert_eq!(refused["reason"], "missing_field", "{answer}");
    let message = refused["message"].as_str().expect("a message");
    assert!(message.contains("owned") && message.contains(OTHER), "{message}");
}

#[tokio::test]
async fn an_event_with_another_organizations_key_is_refused_and_one_with_a_revoked_key_is_stored() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let foreign = event_with("a", json!({"organization_id": OTHER, "api_key_id": "owned"}));
    let answer = app.post(lines(&[foreign]), None).await;
    assert_eq!(answer.status, 422);
    let answer = answer.json();
    let refused = &answer["results"][0];
    assert_eq!(refused["reason"], "key_of_another_organization", "{answer}");
    let message = refused["message"].as_str().expect("a message");
    for part in ["owned", ORGANIZATION, OTHER] {
        assert!(message.contains(part), "{message}");
    }
    let revoked = app.send("DELETE", &of(ORGANIZATION, "/api-keys/owned"), Value::Null).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    app.store(lines(&[event_with("b", json!({"api_key_id": "owned"}))])).await;
}

#[tokio::test]
async fn a_key_that_was_only_seen_belongs_to_nobody() {
    let app = TestApp::new().await;
    app.store(lines(&[event("a")])).await;
    app.app.settle_directory().await;
    let key = app.json(&of(ORGANIZATION, "/api-keys/key-prod")).await;
    assert_eq!((&key["origin"], &key["name"]), (&json!("seen"), &json!("key-prod")));
    app.store(lines(&[event_with("b", json!({"organization_id": OTHER}))])).await;
}

#[tokio::test]
async fn a_resend_after_a_move_is_a_duplicate_and_not_a_conflict() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let sent = lines(&[event("a")]);
    app.store(sent.clone()).await;
    let memberships = of(ORGANIZATION, "/users/ada/memberships");
    let corrected =
        json!({"team_id": "core", "valid_from": "2026-01-01", "valid_to": "2026-02-01"});
    app.put(&memberships, corrected).await;
    let answer = app.post(sent, None).await.json();
    assert_eq!((&answer["duplicate"], &answer["conflict"]), (&json!(1), &json!(0)), "{answer}");
    // What the sender says differently is still a conflict.
    let said = lines(&[event_with("a", json!({"team_id": "web"}))]);
    let answer = app.post(said, None).await.json();
    assert_eq!(answer["conflict"], 1, "{answer}");
}

#[tokio::test]
async fn unknown_ids_are_registered_on_sight_and_change_no_answer() {
    let app = TestApp::new().await;
    app.store(lines(&[event_with("a", json!({"organization_id": OTHER, "team_id": "core"}))]))
        .await;
    let organizations = "/api/platform/analytics/organizations";
    let before = app.get(organizations).await;
    app.app.settle_directory().await;
    let after = app.get(organizations).await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.headers["etag"], after.headers["etag"]);
    assert_eq!(before.json()["items"][0]["name"], "Organization 1a2b3c4d");
    assert_eq!(app.json(&of(OTHER, "")).await["name"], "Organization 1a2b3c4d");
    for tail in ["/teams/core", "/users/ada", "/api-keys/key-prod"] {
        assert_eq!(app.json(&of(OTHER, tail)).await["origin"], "seen", "{tail}");
    }
    let users = app.sql("SELECT name, origin FROM users").await;
    assert_eq!(users, [json!({"name": "ada", "origin": "seen"})]);
}

#[tokio::test]
async fn where_registration_is_required_an_unknown_organization_is_refused() {
    let app = TestApp::with(|config| config.registration_required = true).await;
    let answer = app.post(lines(&[event("a")]), None).await.json();
    assert_eq!(answer["results"][0]["reason"], "unknown_organization", "{answer}");
    app.put(&of(ORGANIZATION, ""), json!({"name": "Acme"})).await;
    app.store(lines(&[event("a")])).await;
    // A deleted one is known for what happened before.
    let deleted = app.send("DELETE", &of(ORGANIZATION, ""), Value::Null).await;
    assert_eq!(deleted.status, 200);
    app.store(lines(&[event("b")])).await;
    let late = event_with("c", json!({"event_time": "2026-11-24T12:30:00Z"}));
    let answer = app.post(lines(&[late]), None).await.json();
    let message = answer["results"][0]["message"].as_str().expect("a message");
    assert!(message.contains("was deleted at 2026-11-24T12:00:00Z"), "{message}");
}

#[tokio::test]
async fn events_are_stored_while_the_directory_is_out_of_reach() {
    let app = TestApp::new().await;
    app.app.directory().expect("a directory").close().await;
    app.store(lines(&[event("a")])).await;
    app.app.settle_directory().await;
    let path = "/api/platform/analytics/summary?date_from=2026-11-20";
    assert_eq!(app.json(path).await["total_events"], 1);
    let refused = app.send("PUT", &of(ORGANIZATION, ""), json!({"name": "Acme"})).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    // Nothing is asked in SQL that the audit log cannot tell of.
    let query = json!({"query": "SELECT count(*) FROM usage_events"});
    let refused = app.send("POST", "/api/sql", query).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
}

#[tokio::test]
async fn thousands_of_new_ids_are_all_registered_and_known_after_a_restart() {
    let mut app = TestApp::new().await;
    for part in 0..4 {
        let events = (0..500).map(|number| {
            let id = format!("{part}-{number}");
            event_with(&id, json!({"user_id": format!("user-{id}")}))
        });
        app.store(lines(&events.collect::<Vec<_>>())).await;
    }
    app.restart().await;
    let users = app.sql("SELECT count(*) AS users FROM users WHERE origin = 'seen'").await;
    assert_eq!(users[0]["users"], 2000);
}
