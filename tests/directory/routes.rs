//! The directory's routes and the command line.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use spendlake::directory::AuditFilter;

use super::attribution::{OTHER, of, put_small};
use crate::support::app::TestApp;
use crate::support::events::ORGANIZATION;
use crate::support::server::{Server, run};

#[tokio::test]
async fn what_is_put_is_read_and_can_be_put_again() {
    let app = TestApp::new().await;
    put_small(&app).await;
    for tail in ["", "/teams/web", "/users/ada", "/api-keys/owned"] {
        let path = of(ORGANIZATION, tail);
        let first = app.json(&path).await;
        let again = app.send("PUT", &path, first.clone()).await;
        assert_eq!((again.status, again.json()), (200, first.clone()), "{path}");
        assert_eq!(app.json(&path).await, first);
    }
    let new = app.send("PUT", &of(OTHER, "/departments/R%26D"), json!({"name": "Research"})).await;
    assert_eq!((new.status, new.json()["id"].clone()), (201, json!("R&D")));
    let upper = of(&OTHER.to_uppercase(), "/departments/R%26D");
    assert_eq!(app.json(&upper).await["name"], "Research");
    // Beside them, the analytics routes are where they were.
    let answer = app.get(&of(ORGANIZATION, "/analytics/teams")).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_wrong_body_is_a_problem_that_names_field_value_and_rule() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let memberships = "/users/ada/memberships";
    for (tail, body, parameter, named) in [
        ("", json!({"name": "A", "timezone": "UTC"}), "timezone", "did you mean time_zone?"),
        ("", json!({"name": "A", "time_zone": "Mars/Base"}), "time_zone", "Europe/Berlin"),
        ("", json!({}), "name", "required"),
        ("", json!({"name": ""}), "name", "empty"),
        ("/users/ada", json!({"name": 7}), "name", "text"),
        ("/users/ada", json!({"name": "A", "id": "bob"}), "id", "the path is about \"ada\""),
        (memberships, json!({"team_id": "web", "valid_from": "soon"}), "valid_from", "RFC 3339"),
        (
            memberships,
            json!({"team_id": "web", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}),
            "valid_to",
            "before valid_from",
        ),
    ] {
        let answer = app.send("PUT", &of(ORGANIZATION, tail), body.clone()).await;
        let problem = answer.json();
        assert_eq!((answer.status, &problem["parameter"]), (400, &json!(parameter)), "{problem}");
        assert!(problem["detail"].as_str().expect("detail").contains(named), "{problem}");
    }
    for (tail, body) in
        [("/teams/nowhere", Value::Null), ("/users/ada/memberships?team_id=nowhere", Value::Null)]
    {
        let answer = app.send("DELETE", &of(ORGANIZATION, tail), body).await;
        assert_eq!(answer.status, 404, "{tail}: {}", answer.text());
    }
    let unknown = "0190a3c2-7b1e-7c00-8000-0000000000ff";
    for path in ["/api/organizations/acme".to_owned(), of(unknown, ""), of(unknown, "/teams")] {
        assert_eq!(app.get(&path).await.status, 404, "{path}");
    }
    let orphan = app.send("PUT", &of(unknown, "/teams/t"), json!({"name": "T"})).await;
    assert!(orphan.text().contains("add the organization first"), "{}", orphan.text());
}

#[tokio::test]
async fn lists_come_in_pages_in_the_order_of_their_ids() {
    let app = TestApp::new().await;
    put_small(&app).await;
    for number in 0..5 {
        let path = of(OTHER, &format!("/users/u{number}"));
        app.put(&path, json!({"name": format!("User {number}")})).await;
    }
    let (mut ids, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = app.json(&of(OTHER, &format!("/users{query}"))).await;
        let items = page["items"].as_array().expect("items").clone();
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("id").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(ids, ["u0", "u1", "u2", "u3", "u4"]);
    let foreign = app.get(&of(ORGANIZATION, &format!("/users{query}"))).await;
    assert_eq!((foreign.status, foreign.json()["parameter"].clone()), (400, json!("cursor")));
    let organizations = app.json("/api/organizations").await;
    assert_eq!(organizations["items"].as_array().expect("items").len(), 2);
}

#[tokio::test]
async fn a_membership_is_closed_and_not_forgotten() {
    let app = TestApp::new().await;
    put_small(&app).await;
    let path = of(ORGANIZATION, "/users/ada/memberships");
    let closed = app.send("DELETE", &format!("{path}?team_id=web"), Value::Null).await;
    assert_eq!(closed.json()["items"][0]["valid_to"], "2026-11-24T12:00:00.000000Z");
    let items = app.json(&path).await["items"].clone();
    let teams: Vec<_> =
        items.as_array().expect("items").iter().map(|one| &one["team_id"]).collect();
    assert_eq!(teams, ["core", "web"]);
    let twice = app.send("DELETE", &format!("{path}?team_id=web"), Value::Null).await;
    assert_eq!(twice.status, 404, "{}", twice.text());
}

#[tokio::test]
async fn changes_are_in_the_audit_log_and_what_changed_nothing_is_not() {
    let app = TestApp::new().await;
    put_small(&app).await;
    put_small(&app).await;
    let log = app
        .app
        .directory()
        .expect("a directory")
        .list_audit(&AuditFilter::last(100))
        .await
        .expect("lines");
    let acts: Vec<_> = log
        .iter()
        .rev()
        .map(|line| (line.audit.action.as_str(), line.audit.subject.as_str()))
        .collect();
    assert_eq!(acts.len(), 8, "{acts:?}");
    assert_eq!(acts[0], ("organization.put", &*format!("organization/{ORGANIZATION}")));
    assert_eq!(acts[2], ("team.put", &*format!("organization/{ORGANIZATION}/team/core")));
}

#[tokio::test]
async fn an_import_is_all_or_nothing() {
    let app = TestApp::new().await;
    let import = async |file: String| {
        let request =
            Request::post("/api/directory/import").header(header::CONTENT_TYPE, "text/csv");
        app.request(request.body(Body::from(file)).expect("a request")).await
    };
    let good = format!(
        "kind,id,organization_id,name\nuser,ada,{ORGANIZATION},Ada\norganization,{ORGANIZATION},,Acme\n"
    );
    let answer = import(format!("{good}planet,x,,X\n")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("line 4: kind is \\\"planet\\\""), "{}", answer.text());
    let answer = import(format!("{good}user,bob,{OTHER},Bob\n")).await;
    assert!(answer.text().contains("line 4: organization_id"), "{}", answer.text());
    assert_eq!(app.json("/api/organizations").await["items"], json!([]));
    let answer = import(good.clone()).await;
    assert_eq!(answer.json(), json!({"created": 2, "changed": 0, "unchanged": 0}));
    let answer = import(good).await;
    assert_eq!(answer.json(), json!({"created": 0, "changed": 0, "unchanged": 2}));
}

#[tokio::test]
async fn the_command_line_uses_the_folder_or_the_server_that_holds_it() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let file = folder.path().join("people.csv");
    let rows = format!(
        "kind,id,organization_id,name\norganization,{ORGANIZATION},,Acme\nuser,ada,{ORGANIZATION},Ada\n"
    );
    std::fs::write(&file, rows).expect("written");
    let import = ["directory", "import", file.to_str().expect("a path"), "--json"];
    let said = |output: &std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first: Value = serde_json::from_str(&said(&run(&data, &import))).expect("JSON");
    assert_eq!(first, json!({"created": 2, "changed": 0, "unchanged": 0}));
    let exported = said(&run(&data, &["directory", "export"]));
    let server = Server::start(&data, &[]).await;
    assert_eq!(said(&run(&data, &["directory", "export"])), exported);
    let again: Value = serde_json::from_str(&said(&run(&data, &import))).expect("JSON");
    assert_eq!(again["unchanged"], 2);
    let list = said(&run(&data, &["directory", "list", "--kind", "user"]));
    assert!(list.contains("ada") && list.contains("Ada") && !list.contains("Acme"), "{list}");
    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, "kind,id,nam\n").expect("written");
    let refused = run(&data, &["directory", "import", bad.to_str().expect("a path")]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("did you mean name?"), "{why}");
    assert!(server.stop().await);
}
