//! The directory's routes show what whoever asks may know.

use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::{Router, body::to_bytes};
use chrono::DateTime;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;

use super::fixture::{ACME, BETA, asked_by, get_by};
use super::tenants::{GHOST, admin, head, ingest, lead, member};
use crate::access::Principal;
use crate::api::directory::routes;
use crate::clock::{Clock, ManualClock};
use crate::config::Config;
use crate::directory::{
    Details, Directory, DirectoryKind, DirectoryStore, Entry, Membership, Record, SharedDirectory,
};

struct Door {
    router: Router,
    _folder: TempDir,
}

fn team(organization_id: &str, id: &str, department: Option<&str>) -> Record {
    let mut entry = Entry::new(DirectoryKind::Team, organization_id, id, id);
    entry.details = Details::Team { department: department.map(str::to_owned) };
    Record::Entry(entry)
}

fn member_of(organization_id: &str, user_id: &str, team_id: &str) -> Record {
    Record::Membership(Membership {
        organization_id: organization_id.to_owned(),
        user_id: user_id.to_owned(),
        team_id: team_id.to_owned(),
        valid_from: DateTime::UNIX_EPOCH,
        valid_to: None,
        primary: false,
    })
}

/// Both organizations have the same things; Beta has zed besides.
fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for id in [ACME, BETA] {
        records.push(Record::Entry(Entry::organization(id, "name", chrono_tz::UTC)));
        for (kind, name) in [
            (DirectoryKind::Department, "eng"),
            (DirectoryKind::Department, "sales"),
            (DirectoryKind::User, "ann"),
            (DirectoryKind::User, "bob"),
            (DirectoryKind::User, "cid"),
        ] {
            records.push(Record::Entry(Entry::new(kind, id, name, name)));
        }
        records.extend([team(id, "core", Some("eng")), team(id, "ops", Some("sales"))]);
        for (user, team) in [("ann", "core"), ("bob", "core"), ("ann", "ops"), ("cid", "ops")] {
            records.push(member_of(id, user, team));
        }
    }
    records.push(Record::Entry(Entry::new(DirectoryKind::User, BETA, "zed", "Zed")));
    records
}

impl Door {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let shared = SharedDirectory::new(Directory::empty());
        let store = DirectoryStore::open(&config, shared, clock).await.expect("a store");
        let put = store.edit(|edit| {
            records().into_iter().try_for_each(|record| edit.put_record(record).map(|_| ()))
        });
        put.await.expect("put");
        let door = Arc::new(OnceLock::from(store));
        let (router, _) =
            OpenApiRouter::new().merge(routes(door)).layer(from_fn(asked_by)).split_for_parts();
        let state = super::fixture::state();
        Self { router: router.with_state(state), _folder: folder }
    }

    async fn ask(&self, who: &Principal, path: &str) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(get_by(who, path)).await.expect("infallible");
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// The values of a member of the items.
    async fn list(&self, who: &Principal, path: &str, member: &str) -> Vec<String> {
        let (status, text) = self.ask(who, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let items = answer["items"].as_array().expect("items").iter();
        items.map(|item| item[member].as_str().expect("text").to_owned()).collect()
    }
}

#[tokio::test]
async fn a_list_holds_what_may_be_known() {
    let door = Door::open().await;
    let of_acme = |tail: &str| format!("/api/organizations/{ACME}/{tail}");
    let organizations = "/api/organizations";
    for (who, users, teams, departments) in [
        (admin(), vec!["ann", "bob", "cid"], vec!["core", "ops"], vec!["eng", "sales"]),
        (lead(), vec!["ann", "bob"], vec!["core"], vec![]),
        (head(), vec!["ann", "cid"], vec!["ops"], vec!["sales"]),
        (member(), vec!["ann"], vec![], vec![]),
    ] {
        assert_eq!(door.list(&who, organizations, "id").await, [ACME], "{}", who.name());
        assert_eq!(door.list(&who, &of_acme("users"), "id").await, users, "{}", who.name());
        assert_eq!(door.list(&who, &of_acme("teams"), "id").await, teams, "{}", who.name());
        let found = door.list(&who, &of_acme("departments"), "id").await;
        assert_eq!(found, departments, "{}", who.name());
    }
    let everything = door.list(&Principal::operator(), organizations, "id").await;
    assert_eq!(everything, [ACME, BETA]);
    assert!(door.list(&ingest(), organizations, "id").await.is_empty());
}

#[tokio::test]
async fn memberships_are_those_of_ones_teams_and_ones_own() {
    let door = Door::open().await;
    let path = format!("/api/organizations/{ACME}/users/ann/memberships");
    for (who, teams) in [
        (admin(), vec!["core", "ops"]),
        (member(), vec!["core", "ops"]),
        (lead(), vec!["core"]),
        (head(), vec!["ops"]),
    ] {
        assert_eq!(door.list(&who, &path, "team_id").await, teams, "{}", who.name());
    }
}

#[tokio::test]
async fn a_thing_outside_is_answered_as_one_that_does_not_exist() {
    let door = Door::open().await;
    let of = |organization: &str, tail: &str| format!("/api/organizations/{organization}{tail}");
    for who in [admin(), lead(), head(), member(), ingest()] {
        for tail in
            ["", "/users", "/teams", "/departments", "/api-keys", "/users/ann", "/teams/core"]
        {
            let (status, text) = door.ask(&who, &of(BETA, tail)).await;
            let absent = door.ask(&who, &of(GHOST, tail)).await;
            assert_eq!((status, text.replace(BETA, GHOST)), absent, "{} {tail}", who.name());
            assert_eq!(status, StatusCode::NOT_FOUND, "{} {tail}", who.name());
        }
    }
    for (who, tail, hidden) in [
        (lead(), "/users/{}", "cid"),
        (lead(), "/users/{}/memberships", "cid"),
        (lead(), "/teams/{}", "ops"),
        (lead(), "/departments/{}", "eng"),
        (member(), "/users/{}", "bob"),
        (admin(), "/users/{}", "zed"),
    ] {
        let (status, text) = door.ask(&who, &of(ACME, &tail.replace("{}", hidden))).await;
        let absent = door.ask(&who, &of(ACME, &tail.replace("{}", "nothing"))).await;
        assert_eq!((status, text.replace(hidden, "nothing")), absent, "{} {tail}", who.name());
        assert_eq!(status, StatusCode::NOT_FOUND, "{} {tail}", who.name());
    }
    let known = door.ask(&lead(), &of(ACME, "/users/bob")).await;
    assert_eq!(known.0, StatusCode::OK);
}
