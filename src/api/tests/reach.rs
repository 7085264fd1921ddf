//! Whoever asks sees what its roles let it see, and learns of nothing else.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fixture::{ACME, BETA, Server};
use super::tenants::{
    ACME_COST, GHOST, admin, admin_of_beta, analyst, everybody_of_acme, head, ingest, lead, member,
    of_both, servers,
};
use crate::access::Principal;

fn organization(id: &str, tail: &str) -> String {
    format!("/api/organizations/{id}/analytics/{tail}")
}

/// The values of a member of every item.
fn values(list: &Value, member: &str) -> BTreeSet<String> {
    let items = list["items"].as_array().expect("items");
    let text = |item: &Value| item[member].as_str().unwrap_or("(none)").to_owned();
    items.iter().map(text).collect()
}

#[tokio::test]
async fn a_role_sums_up_its_own_rows() {
    for server in servers() {
        for (who, id, events, cost, users, conversations) in [
            (Principal::operator(), ACME, 4, ACME_COST, 3, 3),
            (admin(), ACME, 4, ACME_COST, 3, 3),
            (analyst(), ACME, 4, ACME_COST, 3, 3),
            (admin_of_beta(), BETA, 5, "850", 4, 4),
            (lead(), ACME, 2, "3", 2, 1),
            (head(), ACME, 1, "4", 1, 1),
            (member(), ACME, 2, "9", 1, 2),
            (of_both(), ACME, 2, "3", 2, 1),
            (of_both(), BETA, 1, "40", 1, 1),
        ] {
            let name = who.name();
            let summary = server.ask_json(&who, &organization(id, "summary?range=7d")).await;
            assert_eq!(summary["total_events"], events, "{name}");
            assert_eq!(summary["total_cost"], cost, "{name}");
            assert_eq!(summary["total_users"], users, "{name}");
            assert_eq!(summary["total_conversations"], conversations, "{name}");
            let hidden = u8::from(id == BETA && name == "admin of beta");
            assert_eq!(summary["unpriced_events"], hidden, "{name}");
            let trends = server.ask_json(&who, &organization(id, "trends?range=7d")).await;
            assert_eq!(trends["total"]["total_cost"], cost, "{name}");
        }
    }
}

#[tokio::test]
async fn the_range_before_is_of_ones_own_rows_too() {
    for server in servers() {
        // Ann's first call lies in the range before, and cid's does not show.
        let range = "date_from=2026-03-13&date_to=2026-03-14";
        let path = organization(ACME, &format!("summary?{range}"));
        let summary = server.ask_json(&member(), &path).await;
        assert_eq!(summary["total_events"], 1);
        assert_eq!(summary["previous"]["total_events"], 1);
        let summary = server.ask_json(&head(), &path).await;
        assert_eq!(summary["total_events"], 1);
        assert_eq!(summary["previous"]["total_events"], 0);
    }
}

#[tokio::test]
async fn a_list_holds_ones_own_rows_and_shares_of_them() {
    for server in servers() {
        for (who, tail, member, found) in [
            (lead(), "users", "user_id", vec!["ann", "bob"]),
            (lead(), "teams", "team_id", vec!["core"]),
            (lead(), "departments", "department", vec!["eng"]),
            (lead(), "api-keys", "api_key_id", vec!["key-ann", "key-bob"]),
            (head(), "users", "user_id", vec!["cid"]),
            (head(), "models", "model_name", vec!["small"]),
            (member(), "users", "user_id", vec!["ann"]),
            (member(), "teams", "team_id", vec!["(none)", "core"]),
            (admin(), "users", "user_id", vec!["ann", "bob", "cid"]),
        ] {
            let path = organization(ACME, &format!("{tail}?range=7d"));
            let list = server.ask_json(&who, &path).await;
            let expected: BTreeSet<String> = found.into_iter().map(str::to_owned).collect();
            assert_eq!(values(&list, member), expected, "{} {tail}", who.name());
            let shares = list["items"].as_array().expect("items").iter().map(|item| {
                item["share"].as_str().and_then(|text| text.parse::<f64>().ok()).expect("a share")
            });
            assert!((shares.sum::<f64>() - 1.0).abs() < 1e-5, "{} {tail}", who.name());
        }
    }
}

/// What is answered to `who`, without the id that was asked for.
async fn said(server: &Server, who: &Principal, path: &str, id: &str) -> (StatusCode, String) {
    let answer = server.ask(who, &path.replace("{}", id)).await;
    (answer.status, answer.text().replace(id, "{}"))
}

#[tokio::test]
async fn what_lies_outside_is_answered_as_what_never_existed() {
    for server in servers() {
        let mut paths: Vec<String> = [
            "summary",
            "trends",
            "users",
            "teams",
            "departments",
            "api-keys",
            "models",
            "export",
            "export?rows=events",
            "users?sort=nonsense",
        ]
        .iter()
        .map(|tail| organization("{}", tail))
        .collect();
        paths.push("/api/conversations/chat?organization_id={}".to_owned());
        for who in everybody_of_acme() {
            for path in &paths {
                let hidden = said(&server, &who, path, BETA).await;
                let absent = said(&server, &who, path, GHOST).await;
                assert_eq!(hidden, absent, "{} {path}", who.name());
                assert_eq!(hidden.0, StatusCode::NOT_FOUND, "{} {path}", who.name());
            }
        }
        for (who, id) in [(admin(), "zed"), (lead(), "cid"), (member(), "bob"), (head(), "ann")] {
            for tail in ["summary", "trends", "models", "conversations", "compare-org"] {
                let path = format!("/api/users/{{}}/analytics/{tail}");
                let hidden = said(&server, &who, &path, id).await;
                let absent = said(&server, &who, &path, "nobody").await;
                assert_eq!(hidden, absent, "{} {path}", who.name());
                assert_eq!(hidden.0, StatusCode::NOT_FOUND, "{} {path}", who.name());
            }
        }
        for (who, id) in [(admin(), "hidden"), (lead(), "talk"), (member(), "talk")] {
            let hidden = said(&server, &who, "/api/conversations/{}", id).await;
            let absent = said(&server, &who, "/api/conversations/{}", "nothing").await;
            assert_eq!(hidden, absent, "{} {id}", who.name());
            assert_eq!(hidden.0, StatusCode::NOT_FOUND, "{} {id}", who.name());
        }
    }
}

#[tokio::test]
async fn what_never_existed_is_told_to_everybody_by_the_same_words() {
    let [server, _] = servers();
    for path in [organization(GHOST, "summary"), "/api/conversations/nothing".to_owned()] {
        let operator = server.ask(&Principal::operator(), &path).await;
        let admin = server.ask(&admin(), &path).await;
        assert_eq!((operator.status, operator.text()), (admin.status, admin.text()));
    }
}

#[tokio::test]
async fn a_filter_value_outside_matches_nothing_like_one_that_never_existed() {
    for server in servers() {
        for (who, name, hidden, absent) in [
            (admin(), "organization_id", BETA, GHOST),
            (lead(), "organization_id", BETA, GHOST),
            (lead(), "user_id", "cid", "nobody"),
            (lead(), "team_id", "ops", "nothing"),
            (member(), "user_id", "bob", "nobody"),
            (head(), "department", "eng", "nothing"),
            (admin(), "api_key_id", "key-zed", "nothing"),
        ] {
            let path = format!("/api/analytics/drill-down?group_by=user,date&{name}={{}}");
            let outside = said(&server, &who, &path, hidden).await;
            assert_eq!(outside, said(&server, &who, &path, absent).await, "{} {name}", who.name());
            assert_eq!(outside.0, StatusCode::OK, "{} {name}", who.name());
            let answer: Value = serde_json::from_str(&outside.1).expect("JSON");
            assert_eq!(answer["items"], json!([]), "{} {name}", who.name());
            assert_eq!(answer["total"]["total_events"], 0, "{} {name}", who.name());
        }
        // On the other side of the date line it is tomorrow.
        let days = |answer: Value| answer["date_to"].as_str().expect("a date").to_owned();
        let path = format!("/api/analytics/drill-down?group_by=user&organization_id={BETA}");
        assert_eq!(days(server.ask_json(&admin_of_beta(), &path).await), "2026-03-16");
        assert_eq!(days(server.ask_json(&admin(), &path).await), "2026-03-15");
    }
}

#[tokio::test]
async fn a_drill_down_without_a_filter_is_over_what_may_be_seen() {
    for server in servers() {
        let path = "/api/analytics/drill-down?group_by=organization,user&range=7d";
        let list = server.ask_json(&of_both(), path).await;
        let items = list["items"].as_array().expect("items");
        let mut found: Vec<_> = items
            .iter()
            .map(|item| (item["organization_id"].as_str(), item["user_id"].as_str()))
            .collect();
        found.sort_unstable();
        let expected =
            [(Some(ACME), Some("ann")), (Some(ACME), Some("bob")), (Some(BETA), Some("cid"))];
        assert_eq!(found, expected);
        assert_eq!(list["total"]["total_cost"], "43");
        let nothing = server.ask_json(&ingest(), path).await;
        assert_eq!((&nothing["items"], &nothing["total"]["total_cost"]), (&json!([]), &json!("0")));
        let zone = server.ask_json(&admin_of_beta(), path).await;
        assert_eq!(zone["date_to"], "2026-03-16", "the only organization in question says today");
    }
}

#[tokio::test]
async fn the_platforms_figures_need_a_role_over_the_platform() {
    for server in servers() {
        for tail in ["summary", "trends", "organizations", "models"] {
            let path = format!("/api/platform/analytics/{tail}");
            let whole = server.ask_json(&Principal::operator(), &path).await;
            assert_ne!(whole, Value::Null);
            for who in everybody_of_acme() {
                let answer = server.ask(&who, &path).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {path}", who.name());
                assert!(answer.text().contains("/api/analytics/drill-down"), "{}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_user_is_compared_only_for_those_who_see_the_whole_organization() {
    for server in servers() {
        let path = "/api/users/ann/analytics/compare-org?range=7d";
        for who in [admin(), analyst()] {
            let compared = server.ask_json(&who, path).await;
            assert_eq!((&compared["rank"], &compared["active_users"]), (&json!(1), &json!(3)));
            assert_eq!(compared["organization_id"], ACME);
        }
        for who in [lead(), member()] {
            let answer = server.ask(&who, path).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", who.name());
            assert!(answer.text().contains("you see a part"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_shared_conversation_shows_ones_own_events_and_their_latest() {
    for server in servers() {
        for (who, events, cost, topic, status) in [
            (admin(), vec!["e1", "e2"], "3", "plans", "completed"),
            (lead(), vec!["e1", "e2"], "3", "plans", "completed"),
            (member(), vec!["e1"], "1", "plans", "completed"),
            (admin_of_beta(), vec!["e1", "e2"], "30", "secret of beta", "failed"),
        ] {
            let name = who.name();
            let chat = server.ask_json(&who, "/api/conversations/chat").await;
            let items = chat["items"].as_array().expect("items");
            let found: Vec<_> = items.iter().filter_map(|item| item["event_id"].as_str()).collect();
            assert_eq!(found, events, "{name}");
            assert_eq!(chat["total_cost"], cost, "{name}");
            assert_eq!((&chat["topic"], &chat["status"]), (&json!(topic), &json!(status)));
        }
        let member_sees = server.ask_json(&member(), "/api/conversations/chat").await;
        assert_eq!(member_sees["last_event_time"], "2026-03-11T10:00:00.000000Z");
        let several = server.ask(&Principal::operator(), "/api/conversations/chat").await;
        assert_eq!(several.problem("organization_id"), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_user_of_two_organizations_shows_only_where_it_may_be_seen() {
    for server in servers() {
        for (who, cost) in [(admin(), "9"), (lead(), "1"), (member(), "9")] {
            let summary = server.ask_json(&who, "/api/users/ann/analytics/summary?range=7d").await;
            assert_eq!(summary["total_cost"], cost, "{}", who.name());
        }
        let whole = server.json("/api/users/ann/analytics/summary?range=7d").await;
        assert_eq!(whole["total_cost"], "99");
    }
}

#[tokio::test]
async fn whoever_is_named_by_a_role_exists_before_the_first_event() {
    use crate::access::{Domain, Role};
    for server in servers() {
        let user = Domain::User { organization_id: ACME.to_owned(), user_id: "new".to_owned() };
        let new = super::tenants::holding("new", vec![(Role::Member, user)]);
        for path in [organization(ACME, "summary"), "/api/users/new/analytics/summary".to_owned()] {
            let summary = server.ask_json(&new, &path).await;
            assert_eq!(
                (&summary["total_events"], &summary["total_cost"]),
                (&json!(0), &json!("0"))
            );
        }
        let absent = server.ask(&admin(), "/api/users/new/analytics/summary").await;
        assert_eq!(absent.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_export_holds_ones_own_rows_in_every_shape() {
    for server in servers() {
        for (who, events) in [
            (admin(), vec!["e1", "e2", "e3", "e4"]),
            (lead(), vec!["e1", "e2"]),
            (head(), vec!["e3"]),
        ] {
            let path = organization(ACME, "export?range=7d&rows=events&format=json");
            let rows = server.ask_json(&who, &path).await;
            let rows = rows.as_array().expect("rows");
            let found: Vec<_> = rows.iter().filter_map(|row| row["event_id"].as_str()).collect();
            assert_eq!(found, events, "{}", who.name());
            let path = organization(ACME, "export?range=7d&group_by=user&format=json");
            let groups = server.ask_json(&who, &path).await;
            let users: BTreeSet<_> = rows.iter().map(|row| row["user_id"].as_str()).collect();
            let grouped = groups.as_array().expect("rows").iter();
            assert_eq!(grouped.map(|row| row["user_id"].as_str()).collect::<BTreeSet<_>>(), users);
        }
    }
}

#[tokio::test]
async fn sightings_are_ones_own() {
    for server in servers() {
        for (who, owners) in [
            (admin(), vec![(ACME, "ann"), (ACME, "bob"), (ACME, "cid")]),
            (member(), vec![(ACME, "ann")]),
            (of_both(), vec![(BETA, "cid")]),
            (lead(), vec![]),
            (ingest(), vec![]),
        ] {
            let list = server.ask_json(&who, "/api/sightings?request_id=r1").await;
            let items = list["items"].as_array().expect("items").iter();
            let text = |item: &Value, name: &str| item[name].as_str().expect("text").to_owned();
            let found: BTreeSet<_> =
                items.map(|item| (text(item, "organization_id"), text(item, "user_id"))).collect();
            let owners = owners.into_iter().map(|(one, user)| (one.to_owned(), user.to_owned()));
            assert_eq!(found, owners.collect::<BTreeSet<_>>(), "{}", who.name());
        }
        let path = "/api/sightings?organization_id={}";
        let hidden = said(&server, &admin(), path, BETA).await;
        assert_eq!(hidden, said(&server, &admin(), path, GHOST).await);
        assert!(hidden.1.contains(r#""items":[]"#), "{}", hidden.1);
    }
}

#[tokio::test]
async fn names_of_others_neither_show_nor_hide_ones_own() {
    for server in servers() {
        let names = |list: &Value| values(list, "name");
        let path = "/api/analytics/drill-down?group_by=user&range=7d";
        let set = |names: [&str; 3]| names.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
        // Acme did not name ann; Beta's name for bob is another than Acme's.
        let of_acme = server.ask_json(&admin(), path).await;
        assert_eq!(names(&of_acme), set(["ann", "Bob of Acme", "cid"]));
        let of_team = server.ask_json(&lead(), &format!("{path}&user_id=bob")).await;
        assert_eq!(names(&of_team), BTreeSet::from(["Bob of Acme".to_owned()]));
        // Of Beta it may know cid only, and not what ann is called there.
        let both = server.ask_json(&of_both(), path).await;
        assert_eq!(names(&both), set(["ann", "bob", "cid"]));
        let keys = "/api/analytics/drill-down?group_by=api_key&range=7d";
        let keys = server.ask_json(&admin(), keys).await;
        assert_eq!(names(&keys), set(["key-ann", "key-bob", "key-cid"]));
    }
}

#[tokio::test]
async fn a_reconciliation_is_of_whole_organizations() {
    let [server, _] = servers();
    let path = "/api/reconciliation?provider=anthropic&date_from=2026-03-01&date_to=2026-03-02";
    let named = format!("{path}&organization_id={{}}");
    for who in [admin(), lead(), member()] {
        assert_eq!(server.ask(&who, path).await.status, StatusCode::FORBIDDEN, "{}", who.name());
        let hidden = said(&server, &who, &named, BETA).await;
        assert_eq!(hidden, said(&server, &who, &named, GHOST).await, "{}", who.name());
        assert_eq!(hidden.0, StatusCode::NOT_FOUND, "{}", who.name());
    }
    let part = said(&server, &lead(), &named, ACME).await;
    assert_eq!(part.0, StatusCode::FORBIDDEN, "{}", part.1);
    // Nothing was imported.
    let whole = said(&server, &admin(), &named, ACME).await;
    assert_eq!(whole.0, StatusCode::NOT_FOUND, "{}", whole.1);
}
