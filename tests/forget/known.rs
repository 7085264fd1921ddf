//! Whom nothing stored names cannot be forgotten.

use serde_json::json;

use super::{OTHER, ask_to_forget, forget};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, event_with, lines};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_404_and_changes_nothing() {
    let app = TestApp::new().await;
    let theirs = event_with("x", json!({"user_id": "eve", "organization_id": OTHER}));
    app.store(lines(&[event("a"), theirs])).await;
    app.app.settle_directory().await;
    let before = app.json("/api/audit-log").await;
    for user in ["nobody", "eve", "da", "api"] {
        let answer = ask_to_forget(&app, user).await;
        assert_eq!(answer.status, 404, "{user}: {}", answer.text());
        assert!(answer.text().contains("knows no user"), "{}", answer.text());
    }
    assert_eq!(app.json("/api/audit-log").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_anywhere_is_known() {
    let app = TestApp::new().await;
    // The same call from two sources: the second is a sighting.
    let call = |id: &str, user: &str| event_with(id, json!({"user_id": user, "request_id": "r"}));
    app.store(lines(&[call("a", "ada"), event_with("t", json!({"tags": {"by": "tagged"}}))])).await;
    let mut other = call("b", "sighted");
    other["source"] = "codex".into();
    let answer = app.post(other.to_string(), None).await.json();
    assert_eq!(answer["sighting"], 1, "{answer}");
    let wrong = event_with("w", json!({"user_id": "refused", "input_tokens": -1}));
    assert_eq!(app.post(wrong.to_string(), None).await.status, 422);
    let organization = format!("/api/organizations/{ORGANIZATION}");
    app.send("PUT", &organization, json!({"name": "Acme"})).await;
    app.send("PUT", &format!("{organization}/users/listed"), json!({"name": "L"})).await;
    for user in ["ada", "tagged", "sighted", "refused", "listed"] {
        forget(&app, user).await;
        app.app.settle_directory().await;
        let again = ask_to_forget(&app, user).await;
        assert_eq!(again.status, 404, "{user}: {}", again.text());
    }
}
