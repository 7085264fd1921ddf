mod caches;
mod directory_reach;
pub(super) mod fixture;
mod reach;
mod tenants;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use fixture::{ACME, BETA, Server};

#[tokio::test]
async fn a_summary_adds_up_and_compares_with_the_range_before() {
    for server in Server::both() {
        let summary =
            server.json(&format!("/api/organizations/{ACME}/analytics/summary?range=7d")).await;
        assert_eq!(summary["total_cost"], "3.75");
        assert_eq!(summary["actual_api_cost"], "3");
        assert_eq!(summary["profit_amount"], "0.25");
        assert_eq!(summary["total_events"], 4);
        assert_eq!(summary["total_conversations"], 2);
        assert_eq!(summary["total_users"], 2);
        assert_eq!(summary["total_tokens"], 4 * 127);
        assert_eq!(summary["reasoning_tokens"], 4 * 3);
        assert_eq!(
            (&summary["unpriced_events"], &summary["failed_events"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            (&summary["date_from"], &summary["date_to"]),
            (&json!("2026-03-09"), &json!("2026-03-15"))
        );
        assert_eq!(summary["as_of"], "2026-03-15T12:00:00.000000Z");
        let previous = &summary["previous"];
        assert_eq!(
            (&previous["date_from"], &previous["date_to"]),
            (&json!("2026-03-02"), &json!("2026-03-08"))
        );
        assert_eq!((&previous["total_cost"], &previous["total_events"]), (&json!("1"), &json!(1)));
    }
}

#[tokio::test]
async fn both_paths_answer_every_route_alike() {
    let [cube, sql] = Server::both();
    let organization = format!("/api/organizations/{ACME}/analytics");
    let mut paths = Vec::new();
    for tail in ["summary", "trends?interval=week", "trends?interval=month", "users", "teams"] {
        paths.push(format!("{organization}/{tail}"));
    }
    for tail in
        ["departments", "api-keys", "models?sort=name", "export?format=json", "export?rows=events"]
    {
        paths.push(format!("{organization}/{tail}"));
    }
    for tail in ["summary", "trends", "models", "conversations?date_from=2026-01-01"] {
        paths.push(format!("/api/users/ann/analytics/{tail}"));
    }
    paths.push(format!("/api/users/ann/analytics/compare-org?organization_id={ACME}"));
    paths.push(format!("/api/conversations/chat?organization_id={ACME}"));
    for tail in ["summary", "trends", "organizations", "models"] {
        paths.push(format!("/api/platform/analytics/{tail}"));
    }
    for by in ["organization", "team,user", "date,status", "api_key,provider,model", "conversation"]
    {
        paths.push(format!("/api/analytics/drill-down?group_by={by}&range=90d"));
    }
    for path in paths {
        let (one, other) = (cube.get(&path).await, sql.get(&path).await);
        assert_eq!(one.status, StatusCode::OK, "{path}: {}", one.text());
        assert_eq!(one.text(), other.text(), "{path}");
    }
}

#[tokio::test]
async fn parts_sum_to_the_whole_with_shares_of_it() {
    for server in Server::both() {
        let users =
            server.json(&format!("/api/organizations/{ACME}/analytics/users?range=7d")).await;
        let found: Vec<_> = users["items"].as_array().expect("items").iter().collect();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (&found[0]["user_id"], &found[0]["name"]),
            (&json!("ann"), &json!("Ann Example"))
        );
        assert_eq!(
            (&found[0]["total_cost"], &found[0]["share"]),
            (&json!("2.5"), &json!("0.666667"))
        );
        assert_eq!((&found[1]["user_id"], &found[1]["share"]), (&json!("bob"), &json!("0.333333")));
        assert_eq!(users["total"]["total_cost"], "3.75");
        assert_eq!(users["next_cursor"], Value::Null);
        assert_eq!(users["unpriced_events"], 1);
    }
}

#[tokio::test]
async fn a_cursor_leads_through_the_list_and_belongs_to_it() {
    let [server, _] = Server::both();
    let path = format!("/api/organizations/{ACME}/analytics/users?range=7d&limit=1");
    let first = server.json(&path).await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let second = server.json(&format!("{path}&cursor={cursor}")).await;
    assert_eq!(second["items"][0]["user_id"], "bob");
    assert_eq!(second["next_cursor"], Value::Null);
    let other = server.get(&format!("{path}&sort=name&cursor={cursor}")).await;
    assert_eq!(other.problem("cursor"), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_trend_leaves_no_day_out() {
    for server in Server::both() {
        let trends =
            server.json(&format!("/api/organizations/{ACME}/analytics/trends?range=7d")).await;
        let items = trends["items"].as_array().expect("items");
        let days: Vec<_> = items.iter().map(|item| item["date"].as_str().expect("date")).collect();
        assert_eq!((days.len(), days[0], days[6]), (7, "2026-03-09", "2026-03-15"));
        let events: Vec<_> = items.iter().map(|item| item["total_events"].as_i64()).collect();
        assert_eq!(events.iter().flatten().sum::<i64>(), 4);
        assert_eq!((&items[0]["total_events"], &items[0]["total_cost"]), (&json!(0), &json!("0")));
    }
}

#[tokio::test]
async fn a_user_is_compared_within_one_organization() {
    for server in Server::both() {
        let several = server.get("/api/users/ann/analytics/compare-org").await;
        assert_eq!(several.problem("organization_id"), StatusCode::BAD_REQUEST);
        assert!(several.text().contains(ACME) && several.text().contains(BETA));
        let path = format!("/api/users/ann/analytics/compare-org?organization_id={ACME}&range=7d");
        let compared = server.json(&path).await;
        assert_eq!((&compared["rank"], &compared["active_users"]), (&json!(1), &json!(2)));
        assert_eq!(compared["percentile"], "1.000000");
        assert_eq!(compared["user"]["total_cost"], "2.5");
        assert_eq!(compared["organization_average"]["total_cost"], "1.875");
        assert_eq!(compared["organization_average"]["total_events"], "2.000000");
    }
}

#[tokio::test]
async fn a_conversation_has_its_events_in_order_and_its_latest_status() {
    for server in Server::both() {
        let path = format!("/api/conversations/chat?organization_id={ACME}&limit=2");
        let first = server.json(&path).await;
        assert_eq!((&first["status"], &first["topic"]), (&json!("failed"), &json!("refactoring")));
        assert_eq!((&first["total_events"], &first["total_cost"]), (&json!(3), &json!("3.5")));
        let cursor = first["next_cursor"].as_str().expect("a next page");
        let second = server.json(&format!("{path}&cursor={cursor}")).await;
        let ids: Vec<_> = [&first, &second]
            .into_iter()
            .flat_map(|page| page["items"].as_array().expect("items"))
            .map(|event| event["event_id"].as_str().expect("id"))
            .collect();
        assert_eq!(ids, ["e0", "e1", "e2"]);
        assert_eq!(second["next_cursor"], Value::Null);
    }
}

#[tokio::test]
async fn what_never_had_an_event_is_not_found_and_what_is_idle_is_zero() {
    for server in Server::both() {
        for path in [
            "/api/organizations/cccccccc-0000-4000-8000-000000000003/analytics/summary",
            "/api/organizations/acme/analytics/users",
            "/api/organizations/cccccccc-0000-4000-8000-000000000003/analytics/export",
            "/api/users/nobody/analytics/trends",
            "/api/conversations/nothing",
            "/api/nowhere",
        ] {
            let answer = server.get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.content_type, "application/problem+json", "{path}");
        }
        let idle = "date_from=2020-01-01&date_to=2020-01-02";
        let summary =
            server.json(&format!("/api/organizations/{ACME}/analytics/summary?{idle}")).await;
        assert_eq!((&summary["total_events"], &summary["total_cost"]), (&json!(0), &json!("0")));
        let list = server.json(&format!("/api/users/ann/analytics/models?{idle}")).await;
        assert_eq!(list["items"], json!([]));
    }
}

#[tokio::test]
async fn an_unchanged_answer_costs_a_304_and_a_changed_request_does_not_match() {
    let [server, _] = Server::both();
    for tail in ["summary", "users", "export?group_by=user"] {
        let path = format!("/api/organizations/{ACME}/analytics/{tail}");
        let first = server.get(&path).await;
        assert_eq!(first.cache_control, "private, no-cache");
        let again = server.get_if_changed(&path, &first.etag).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(again.etag, first.etag);
    }
    let path = format!("/api/organizations/{ACME}/analytics/summary");
    let etag = server.get(&path).await.etag;
    let other = server.get_if_changed(&format!("{path}?range=7d"), &etag).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_parameters_are_problems_that_name_them() {
    let [server, _] = Server::both();
    let users = format!("/api/organizations/{ACME}/analytics/users");
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=5&limit=6", "limit"),
        ("order=up", "order"),
        ("sort=total_costs", "sort"),
        ("sort=team", "sort"),
        ("teamid=x", "teamid"),
        ("cursor=x", "cursor"),
        ("group_by=user", "group_by"),
        (&format!("organization_id={BETA}"), "organization_id"),
    ] {
        let answer = server.get(&format!("{users}?{query}")).await;
        assert_eq!(answer.problem(parameter), StatusCode::BAD_REQUEST, "{query}");
    }
    let drill = server.get("/api/analytics/drill-down?group_by=team,planet").await;
    assert_eq!(drill.problem("group_by"), StatusCode::BAD_REQUEST);
    let method = server.send(Request::post(&users).body(Body::empty()).expect("request")).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.content_type, "application/problem+json");
}

#[tokio::test]
async fn an_export_adds_up_to_the_summary_in_every_format() {
    for server in Server::both() {
        let export = format!("/api/organizations/{ACME}/analytics/export?range=7d");
        let csv = server.get(&format!("{export}&group_by=user")).await;
        assert_eq!(csv.disposition, "attachment; filename=\"usage-2026-03-09-2026-03-15.csv\"");
        let mut lines = csv.text().lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(lines.remove(0).starts_with("user_id,user_name,total_events,"), "{}", csv.text());
        assert_eq!(lines.len(), 2, "{lines:?}");
        let rows = server.json(&format!("{export}&format=json&group_by=date&group_by=model")).await;
        let costs: Vec<_> =
            rows.as_array().expect("rows").iter().map(|row| row["total_cost"].as_str()).collect();
        assert_eq!(costs, [Some("1.5"), Some("1"), Some("0.75"), Some("0.5")], "{rows}");
        let events = server.get(&format!("{export}&format=ndjson&rows=events")).await;
        let ids: Vec<Value> =
            events.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!((&ids[0]["event_id"], &ids[0]["total_cost"]), (&json!("e1"), &json!("1.5")));
        let parquet = server.get(&format!("{export}&format=parquet")).await;
        assert_eq!(
            (&parquet.body[..4], parquet.content_type.as_str()),
            (&b"PAR1"[..], "application/vnd.apache.parquet")
        );
    }
}

#[tokio::test]
async fn sql_streams_rows_and_refuses_what_it_cannot_read() {
    let [server, _] = Server::both();
    let sql = |body: Value| server.post("/api/sql", body);
    let rows = sql(json!({"query": "SELECT sum(charged_cost) AS cost FROM usage_events"})).await;
    assert_eq!(rows.text().trim(), r#"{"cost":"11.75"}"#);
    let rows = sql(json!({"query": "SELECT 1 AS one WHERE false", "format": "csv"})).await;
    assert_eq!(rows.text().trim(), "one");
    for body in [
        json!({"query": "SELECT nothing FROM nowhere"}),
        json!({"query": "SELECT 1", "format": "xml"}),
        json!({"sql": "SELECT 1"}),
        json!([]),
    ] {
        let answer = sql(body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.content_type, "application/problem+json");
    }
}

#[tokio::test]
async fn a_problem_carries_the_request_id() {
    let [server, _] = Server::both();
    let request = Request::get("/api/nowhere").header("x-request-id", "r-7");
    let answer = server.send(request.body(Body::empty()).expect("request")).await;
    assert!(answer.text().contains(r#""request_id":"r-7""#), "{}", answer.text());
    assert_eq!(answer.content_type, "application/problem+json");
}

#[tokio::test]
async fn the_document_lists_every_route() {
    let [server, _] = Server::both();
    let document = server.json("/api/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 24);
    assert!(paths.contains_key("/api/organizations/{id}/analytics/api-keys"));
    let summary = &document["components"]["schemas"]["Summary"];
    assert!(summary.to_string().contains("previous"), "{summary}");
}
