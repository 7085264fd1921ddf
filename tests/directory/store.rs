//! The directory's database: the same promises of SQLite and of PostgreSQL.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::json;
use spendlake::clock::ManualClock;
use spendlake::config::Config;
use spendlake::directory::exchange::{FileFormat, export, import, parse};
use spendlake::directory::{
    Audit, AuditFilter, Details, Directory, DirectoryKind, DirectoryStore, Edit, Entry, Membership,
    Origin, Record, SharedDirectory, Sighting,
};
use spendlake::error::{ErrorKind, Result};

use crate::support::app::{TestApp, noon};
use crate::support::postgres::Postgres;

const ACME: &str = "0190a000-0000-7000-8000-000000000001";
const BETA: &str = "0190a000-0000-7000-8000-000000000002";

/// A database that several stores can open.
struct Place {
    config: Config,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new(directory_url: String) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let data_dir = folder.path().join("a #?% folder");
        let config = Config { data_dir, directory_url, ..Config::default() };
        Self { config, clock: Arc::new(ManualClock::new(noon())), _folder: folder }
    }

    async fn open(&self) -> Arc<DirectoryStore> {
        let shared = SharedDirectory::default();
        DirectoryStore::open(&self.config, shared, self.clock.clone()).await.expect("a store")
    }
}

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    every_promise(|| Place::new(String::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_promise() {
    let server = Postgres::start();
    // One database after another: each promise starts with an empty one.
    let number = std::cell::Cell::new(0);
    every_promise(|| {
        number.set(number.get() + 1);
        let options = format!("?options=-c%20search_path%3Dtest{}", number.get());
        Place::new(format!("{}{options}", server.url()))
    })
    .await;
}

async fn every_promise(place: impl Fn() -> Place) {
    what_is_put_is_there_after_opening_again(&fresh(&place).await).await;
    a_change_that_fails_changes_nothing(&fresh(&place).await).await;
    what_changes_nothing_is_no_revision(&fresh(&place).await).await;
    a_rename_keeps_the_names_before(&fresh(&place).await).await;
    two_nodes_write_at_once_and_lose_nothing(&fresh(&place).await).await;
    another_node_reads_what_was_changed(&fresh(&place).await).await;
    the_audit_log_reads_from_its_end(&fresh(&place).await).await;
    seen_ids_become_declared_ones(&fresh(&place).await).await;
}

/// A place whose schema exists, where the database has schemas.
async fn fresh(place: &impl Fn() -> Place) -> Place {
    let place = place();
    if let Some((url, schema)) =
        place.config.directory_url.split_once("?options=-c%20search_path%3D")
    {
        sqlx::any::install_default_drivers();
        let mut connection =
            <sqlx::AnyConnection as sqlx::Connection>::connect(url).await.expect("it");
        let statement = format!("CREATE SCHEMA {schema}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .expect("schema");
    }
    place
}

fn entry(kind: DirectoryKind, id: &str, name: &str) -> Record {
    Record::Entry(Entry::new(kind, ACME, id, name))
}

fn membership(team: &str, from: DateTime<Utc>, to: Option<DateTime<Utc>>, primary: bool) -> Record {
    let (organization_id, user_id, team_id) = (ACME.to_owned(), "ada".to_owned(), team.to_owned());
    let (valid_from, valid_to) = (from, to);
    Record::Membership(Membership {
        organization_id,
        user_id,
        team_id,
        valid_from,
        valid_to,
        primary,
    })
}

/// One of everything, with every field.
fn everything() -> Vec<Record> {
    let organization = Entry {
        details: Details::Organization {
            time_zone: Tz::Asia__Kolkata,
            default_department: Some("Ünder \"quotes\"".to_owned()),
        },
        ..Entry::organization(ACME, "Acme; DROP TABLE users", Tz::UTC)
    };
    let team = Entry {
        details: Details::Team { department: Some("R&D".to_owned()) },
        ..Entry::new(DirectoryKind::Team, ACME, "core", "Core")
    };
    let key = Entry {
        ended_at: Some(noon() - TimeDelta::microseconds(1)),
        details: Details::ApiKey {
            provider: Some("anthropic".to_owned()),
            environment: Some("prod".to_owned()),
            owner_user_id: Some("ada".to_owned()),
            team_id: Some("core".to_owned()),
        },
        ..Entry::new(DirectoryKind::ApiKey, ACME, "key", "Production")
    };
    vec![
        Record::Entry(organization),
        Record::Entry(Entry::organization(BETA, "Beta", Tz::UTC)),
        entry(DirectoryKind::Department, "R&D", "Research"),
        Record::Entry(team),
        entry(DirectoryKind::Team, "web", "Web"),
        entry(DirectoryKind::User, "ada", "Ada"),
        Record::Entry(key),
        membership("core", DateTime::UNIX_EPOCH, Some(noon()), false),
        membership("web", noon(), None, true),
    ]
}

async fn put(store: &Arc<DirectoryStore>, records: Vec<Record>) -> Result<()> {
    store.edit(move |edit| put_all(edit, records)).await
}

fn put_all(edit: &mut Edit, records: Vec<Record>) -> Result<()> {
    records.into_iter().try_for_each(|record| edit.put_record(record).map(|_| ()))
}

fn now(store: &DirectoryStore) -> Arc<Directory> {
    store.shared().load()
}

async fn what_is_put_is_there_after_opening_again(place: &Place) {
    let store = place.open().await;
    assert_eq!(now(&store).revision(), 0);
    put(&store, everything()).await.expect("put");
    assert_eq!(now(&store).revision(), 1);
    // Opening brings the tables up to date a second time.
    let again = place.open().await;
    assert_eq!(now(&again), now(&store));
    let file = export(&now(&again), FileFormat::Csv).expect("a file");
    let other = Directory::of(everything(), noon()).expect("a directory");
    assert_eq!(file, export(&other, FileFormat::Csv).expect("a file"));
    let report = store
        .edit(move |edit| import(edit, parse(&file, FileFormat::Csv)?))
        .await
        .expect("imported");
    assert_eq!((report.created, report.changed, report.unchanged), (0, 0, 9));
}

async fn a_change_that_fails_changes_nothing(place: &Place) {
    let store = place.open().await;
    put(&store, everything()).await.expect("put");
    let before = now(&store);
    let mut records = vec![entry(DirectoryKind::User, "bob", "Bob")];
    records.push(Record::Entry(Entry::new(DirectoryKind::User, "unknown", "x", "X")));
    let error = put(&store, records).await.expect_err("an unknown organization");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(now(&store), before);
    assert_eq!(now(&*place.open().await), before);
}

async fn what_changes_nothing_is_no_revision(place: &Place) {
    let store = place.open().await;
    put(&store, everything()).await.expect("put");
    put(&store, everything()).await.expect("put again");
    assert_eq!(now(&store).revision(), 1);
    assert!(!store.refresh().await.expect("refreshed"));
}

async fn a_rename_keeps_the_names_before(place: &Place) {
    let store = place.open().await;
    put(&store, everything()).await.expect("put");
    place.clock.advance(TimeDelta::days(1));
    put(&store, vec![entry(DirectoryKind::User, "ada", "Ada L.")]).await.expect("renamed");
    place.clock.advance(TimeDelta::days(1));
    let deleted = store.edit(|edit| edit.end(DirectoryKind::User, ACME, "ada")).await;
    assert_eq!(deleted.expect("deleted").ended_at, Some(noon() + TimeDelta::days(2)));
    for directory in [now(&store), now(&*place.open().await)] {
        let as_of = |days| {
            let time = noon() + TimeDelta::days(days);
            directory.name_as_of(DirectoryKind::User, ACME, "ada", time).map(str::to_owned)
        };
        assert_eq!(as_of(0).as_deref(), Some("Ada"));
        assert_eq!(as_of(1).as_deref(), Some("Ada L."));
        assert_eq!(as_of(100).as_deref(), Some("Ada L."));
        let team = |days| directory.team_of_user(ACME, "ada", noon() + TimeDelta::days(days));
        assert_eq!((team(-1), team(1), team(2)), (Some("core"), Some("web"), None));
    }
}

async fn two_nodes_write_at_once_and_lose_nothing(place: &Place) {
    const EACH: usize = 20;
    let (left, right) = (place.open().await, place.open().await);
    put(&left, everything()).await.expect("put");
    let write = |store: Arc<DirectoryStore>, name: &'static str| async move {
        for number in 0..EACH {
            let id = format!("{name}-{number}");
            put(&store, vec![entry(DirectoryKind::User, &id, &id)]).await.expect("put");
        }
    };
    tokio::join!(
        write(Arc::clone(&left), "left"),
        write(Arc::clone(&left), "left-too"),
        write(Arc::clone(&right), "right"),
    );
    left.refresh().await.expect("refreshed");
    right.refresh().await.expect("refreshed");
    assert_eq!(now(&left), now(&right));
    assert_eq!(now(&left).entries(DirectoryKind::User, ACME).count(), 1 + 3 * EACH);
    assert_eq!(now(&left).revision(), 1 + 3 * EACH as i64);
    assert_eq!(now(&*place.open().await), now(&left));
}

async fn another_node_reads_what_was_changed(place: &Place) {
    let (writer, reader) = (place.open().await, place.open().await);
    put(&writer, everything()).await.expect("put");
    assert_eq!(now(&reader).revision(), 0);
    assert!(reader.refresh().await.expect("refreshed"));
    assert_eq!(now(&reader), now(&writer));
}

async fn the_audit_log_reads_from_its_end(place: &Place) {
    let store = place.open().await;
    let audit = |subject: &str| Audit {
        actor: "test".to_owned(),
        action: "thing.do".to_owned(),
        subject: subject.to_owned(),
        details: json!({"count": 3, "of": ["a", null]}),
    };
    for subject in ["one", "two"] {
        store.append_audit(&audit(subject)).await.expect("appended");
    }
    let in_change = audit("three");
    store
        .edit(move |edit| {
            edit.audit(in_change);
            Ok(())
        })
        .await
        .expect("a change");
    let lines = store.list_audit(&AuditFilter::last(2)).await.expect("lines");
    assert_eq!(
        lines.iter().map(|line| line.audit.clone()).collect::<Vec<_>>(),
        [audit("three"), audit("two")]
    );
    assert_eq!(lines[0].at, noon());
    let rest = store
        .list_audit(&AuditFilter { before: Some(lines[1].id.clone()), ..AuditFilter::last(10) })
        .await
        .expect("lines");
    assert_eq!(rest.iter().map(|line| line.audit.clone()).collect::<Vec<_>>(), [audit("one")]);
    let found = async |change: &dyn Fn(&mut AuditFilter)| {
        let mut filter = AuditFilter::last(10);
        change(&mut filter);
        store.list_audit(&filter).await.expect("lines").len()
    };
    let another =
        Audit { actor: "Ada (acc_1)".to_owned(), action: "team.put".to_owned(), ..audit("x") };
    store.append_audit(&another).await.expect("appended");
    assert_eq!(found(&|filter| filter.action = Some("thing.do".to_owned())).await, 3);
    assert_eq!(found(&|filter| filter.action = Some("thing".to_owned())).await, 0);
    for (actor, count) in [("acc_1", 1), ("Ada (acc_1)", 1), ("Ada", 0), ("acc%1", 0), ("", 4)] {
        let actor = Some(actor.to_owned());
        assert_eq!(found(&|filter| filter.actor.clone_from(&actor)).await, count, "{actor:?}");
    }
    assert_eq!(found(&|filter| filter.not_before = Some(noon())).await, 4);
    assert_eq!(found(&|filter| filter.until = Some(noon())).await, 0);
    assert_eq!(found(&|filter| filter.until = Some(noon() + TimeDelta::seconds(1))).await, 4);
}

async fn seen_ids_become_declared_ones(place: &Place) {
    let store = place.open().await;
    let seen = Sighting {
        kind: DirectoryKind::User,
        organization_id: ACME.to_owned(),
        id: "ada".to_owned(),
    };
    store.edit(move |edit| edit.register(&seen)).await.expect("registered");
    let first = now(&store);
    assert_eq!((first.revision(), first.shown_revision()), (1, 0));
    let ada = first.get(DirectoryKind::User, ACME, "ada").expect("there");
    assert_eq!((ada.origin, ada.name.as_str()), (Origin::Seen, "ada"));
    put(&store, everything()).await.expect("put");
    let second = now(&*place.open().await);
    assert_eq!((second.revision(), second.shown_revision()), (2, 2));
    let ada = second.get(DirectoryKind::User, ACME, "ada").expect("there");
    assert_eq!((ada.origin, ada.name.as_str()), (Origin::Declared, "Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_postgres_see_each_others_changes() {
    let server = Postgres::start();
    let url = server.url();
    let start = |url: String| TestApp::with(move |config| config.directory_url = url);
    let (one, other) = (start(url.clone()).await, start(url).await);
    one.put(&format!("/api/organizations/{ACME}"), json!({"name": "Acme"})).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while other.get(&format!("/api/organizations/{ACME}")).await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "the change never came");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_database_out_of_reach_stops_the_start_and_says_which_one() {
    for (url, named) in [
        ("postgres://nobody:secret@127.0.0.1:1/none", "127.0.0.1/none"),
        ("mysql://127.0.0.1/none", "starts with mysql"),
        ("directory.db", "is not a URL"),
    ] {
        let place = Place::new(url.to_owned());
        let shared = SharedDirectory::default();
        let opened = DirectoryStore::open(&place.config, shared, place.clock.clone()).await;
        let message = opened.expect_err(url).full_message();
        assert!(message.contains(named) && !message.contains("secret"), "{message}");
    }
}
