//! Cached answers and their names are for whoever may see the same rows.

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use chrono::TimeDelta;

use super::fixture::{ACME, BETA, Server, event, get_by};
use super::tenants::{admin, admin_of_beta, events, lead, member, servers};
use crate::access::Principal;
use crate::model::UsageEvent;

fn paths() -> Vec<String> {
    let mut paths: Vec<String> = ["summary", "trends", "users"]
        .iter()
        .map(|tail| format!("/api/organizations/{ACME}/analytics/{tail}?range=7d"))
        .collect();
    paths.push("/api/users/ann/analytics/summary?range=7d".to_owned());
    paths.push("/api/users/ann/analytics/conversations?range=7d".to_owned());
    paths.push(format!("/api/conversations/chat?organization_id={ACME}"));
    paths.push("/api/analytics/drill-down?group_by=user&range=7d".to_owned());
    paths.push("/api/sightings".to_owned());
    paths
}

fn if_changed(who: &Principal, path: &str, etag: &str) -> Request<Body> {
    let mut request = get_by(who, path);
    let etag = HeaderValue::from_str(etag).expect("header");
    request.headers_mut().insert(header::IF_NONE_MATCH, etag);
    request
}

#[tokio::test]
async fn a_cached_answer_serves_nobody_who_sees_other_rows() {
    for server in servers() {
        for path in paths() {
            let everybody = [Principal::operator(), admin(), lead(), member()];
            let mut first = Vec::new();
            for who in &everybody {
                first.push(server.ask(who, &path).await);
            }
            // Now every answer is cached.
            for (who, first) in everybody.iter().zip(&first) {
                assert_eq!(first.status, StatusCode::OK, "{path}: {}", first.text());
                let again = server.ask(who, &path).await;
                assert_eq!(again.text(), first.text(), "{} {path}", who.name());
            }
            for (one, who) in everybody.iter().enumerate() {
                for (other, answer) in first.iter().enumerate().filter(|(other, _)| *other != one) {
                    assert_ne!(first[one].etag, answer.etag, "{path}");
                    let asked = if_changed(who, &path, &answer.etag);
                    let own = server.send(asked).await;
                    assert_eq!(own.status, StatusCode::OK, "{one} holding that of {other}: {path}");
                    assert_eq!(own.text(), first[one].text(), "{path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn whoever_sees_the_same_rows_shares_the_answer() {
    let [server, _] = servers();
    for path in paths() {
        let (admin, analyst) = (admin(), super::tenants::analyst());
        let first = server.ask(&admin, &path).await;
        let same = server.send(if_changed(&analyst, &path, &first.etag)).await;
        assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
    }
}

fn with(more: UsageEvent) -> Vec<UsageEvent> {
    let mut events = events();
    events.push(more);
    events
}

/// The answers to `who`, and that each is confirmed after `publish`.
async fn unchanged_after(server: &Server, who: &Principal, publish: impl FnOnce(&Server)) {
    // Sightings are not published again.
    let paths = paths().into_iter().filter(|path| !path.contains("sightings"));
    let mut before = Vec::new();
    for path in paths {
        let answer = server.ask(who, &path).await;
        before.push((path, answer));
    }
    publish(server);
    for (path, before) in before {
        let after = server.ask(who, &path).await;
        assert_eq!(after.text(), before.text(), "{} {path}", who.name());
        assert_eq!(after.etag, before.etag, "{} {path}", who.name());
        let held = server.send(if_changed(who, &path, &before.etag)).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{} {path}", who.name());
    }
}

#[tokio::test]
async fn what_others_send_changes_nothing_of_an_answer() {
    for who in [admin(), lead(), member()] {
        for server in servers() {
            unchanged_after(&server, &who, |server| {
                let more = event(50, "2026-03-15T11:00:00Z", "ann", "chat", Some("5"), None);
                let more = UsageEvent { organization_id: BETA.to_owned(), ..more };
                server.publish(7, &with(more));
            })
            .await;
        }
    }
    // Nor do one's colleagues.
    for server in servers() {
        unchanged_after(&server, &member(), |server| {
            let more = event(50, "2026-03-15T11:00:00Z", "cid", "chat", Some("5"), None);
            server.publish(7, &with(more));
        })
        .await;
    }
}

#[tokio::test]
async fn what_one_may_see_changes_ones_answer_at_once() {
    for server in servers() {
        let path = &paths()[0];
        let more = event(50, "2026-03-15T11:00:00Z", "ann", "chat", Some("5"), None);
        let mut before = Vec::new();
        for who in [Principal::operator(), admin(), lead(), member()] {
            let answer = server.ask(&who, path).await;
            before.push((who, answer));
        }
        server.publish(7, &with(more));
        for (who, before) in before {
            let after = server.send(if_changed(&who, path, &before.etag)).await;
            assert_eq!(after.status, StatusCode::OK, "{}", who.name());
            assert_ne!(after.etag, before.etag, "{}", who.name());
        }
    }
}

#[tokio::test]
async fn an_unchanged_answer_is_confirmed_while_the_clock_moves_on() {
    let [server, _] = servers();
    let path = &paths()[0];
    let first = server.ask(&admin(), path).await;
    assert!(first.text().contains(r#""as_of":"2026-03-15T23:30:00.000000Z""#), "{}", first.text());
    server.clock().advance(TimeDelta::seconds(61));
    let later = server.ask(&admin(), path).await;
    assert!(later.text().contains(r#""as_of":"2026-03-15T23:31:00.000000Z""#), "{}", later.text());
    let held = server.send(if_changed(&admin(), path, &first.etag)).await;
    assert_eq!(held.status, StatusCode::NOT_MODIFIED);
    let operator = server.json(path).await;
    assert_eq!(operator["as_of"], "2026-03-15T12:00:00.000000Z");
}

#[tokio::test]
async fn an_export_of_a_part_has_no_name_that_others_could_change() {
    let [server, _] = servers();
    for tail in ["export", "export?rows=events"] {
        let of = |id: &str| format!("/api/organizations/{id}/analytics/{tail}");
        let whole = server.ask(&Principal::operator(), &of(ACME)).await;
        for (who, id) in [(admin(), ACME), (lead(), ACME), (admin_of_beta(), BETA)] {
            let own = server.send(if_changed(&who, &of(id), &whole.etag)).await;
            assert_eq!((own.status, own.etag.as_str()), (StatusCode::OK, ""), "{}", who.name());
            assert_eq!(own.cache_control, "private, no-cache");
        }
    }
}
