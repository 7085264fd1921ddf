//! Refused lines that name a forgotten user lose what they say.

use serde_json::{Value, json};
use spendlake::ingest::organization_id_of;

use super::{OTHER, forget};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, event_with, lines};

async fn refuse(app: &TestApp, line: &str) {
    let answer = app.post(line.to_owned(), None).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
}

/// What is kept of each refused line, by its event's id at that time.
async fn refused(app: &TestApp) -> Vec<Value> {
    app.sql(
        "SELECT organization_id, event_id, field, value, rule, message, payload \
         FROM rejected_events ORDER BY received_at, line, message, event_id",
    )
    .await
}

fn is_blank(row: &Value) -> bool {
    ["event_id", "value", "payload"].iter().all(|name| row[*name].is_null())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_found_however_it_is_written() {
    let user = "Jürgen \"J\" / \\ Müller";
    let app = TestApp::new().await;
    app.store(lines(&[event_with("known", json!({"user_id": user}))])).await;
    let escaped = r#""J\u00fcrgen \"J\" \/ \\ M\u00fcller""#;
    for literal in [escaped, &json!(user).to_string()] {
        let line = event_with("e", json!({"user_id": "USER", "input_tokens": -1}));
        refuse(&app, &line.to_string().replace("\"USER\"", literal)).await;
    }
    refuse(&app, &event_with("other", json!({"input_tokens": -1})).to_string()).await;
    assert_eq!(forget(&app, user).await["rejected_events"], 2);
    let rows = refused(&app).await;
    assert_eq!(rows.iter().filter(|row| is_blank(row)).count(), 2, "{rows:?}");
    assert!(rows.iter().any(|row| row["event_id"] == "other"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_rules_and_parts_of_texts_are_no_users() {
    let app = TestApp::new().await;
    let users = ["a", "event_id", "must", "object", "api", "input_tokens", "is"];
    let number =
        |(at, user): (usize, &&str)| event_with(&format!("n{at}"), json!({"user_id": user}));
    app.store(lines(&users.iter().enumerate().map(number).collect::<Vec<_>>())).await;
    refuse(&app, &event_with("xa", json!({"input_tokens": -1})).to_string()).await;
    refuse(&app, &event_with("xb", json!({"user_id": {"a": 1}})).to_string()).await;
    refuse(&app, &event_with("n0", json!({"input_tokens": 7})).to_string()).await;
    refuse(&app, &event_with("xc", json!({"unknown": 1})).to_string()).await;
    let before = refused(&app).await;
    for user in users {
        assert_eq!(forget(&app, user).await["rejected_events"], 0, "{user}");
    }
    assert_eq!(refused(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_rules_and_texts_that_quote_the_id_are_blanked() {
    let user = "grace.hopper";
    let app = TestApp::new().await;
    app.store(lines(&[event_with("known", json!({"user_id": user}))])).await;
    let mut unknown = event("a");
    unknown[user] = json!(1);
    refuse(&app, &unknown.to_string()).await;
    refuse(&app, &event_with("b", json!({"tags": {user: "\u{1}"}})).to_string()).await;
    let quoted = format!("of {user}, today");
    refuse(&app, &event_with("c", json!({"event_time": quoted})).to_string()).await;
    refuse(&app, &event_with(&format!("call ({user})"), json!({"input_tokens": -1})).to_string())
        .await;
    refuse(&app, &event_with(&format!("call-{user}"), json!({"input_tokens": -1})).to_string())
        .await;
    assert_eq!(forget(&app, user).await["rejected_events"], 4);
    let rows = refused(&app).await;
    let whole: Vec<_> = rows.iter().filter(|row| !is_blank(row)).collect();
    assert_eq!(whole.len(), 1, "a part of another id is no user: {rows:?}");
    assert_eq!(whole[0]["event_id"], format!("call-{user}"));
    for row in rows.iter().filter(|row| is_blank(row)) {
        assert!(!row.to_string().contains(user), "{row}");
    }
    assert!(rows.iter().any(|row| row["rule"] == "(forgotten)"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_written_another_way_is_the_same_one() {
    let app = TestApp::new().await;
    app.store(lines(&[event_with("known", json!({"user_id": "ada"}))])).await;
    let simple = ORGANIZATION.replace('-', "");
    for (id, organization) in
        [("a", ORGANIZATION.to_uppercase()), ("b", simple), ("c", OTHER.to_owned())]
    {
        let changes = json!({"organization_id": organization, "input_tokens": -1});
        refuse(&app, &event_with(id, changes).to_string()).await;
    }
    assert_eq!(forget(&app, "ada").await["rejected_events"], 2);
    let rows = refused(&app).await;
    let kept: Vec<_> = rows.iter().filter(|row| !is_blank(row)).collect();
    assert_eq!(kept.len(), 1, "{rows:?}");
    assert_eq!(kept[0]["organization_id"], OTHER);

    // A name stands for the UUID that is made of it.
    let named = event_with("d", json!({"organization_id": "acme", "input_tokens": -1}));
    refuse(&app, &named.to_string()).await;
    let body = json!({"organization_id": organization_id_of("acme")});
    let answer = app.send("POST", "/api/users/ada/forget", body).await;
    assert_eq!(answer.json()["rejected_events"], 1, "{}", answer.text());
}
