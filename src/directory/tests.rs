use std::fs;

use arrow::array::AsArray;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::{Directory, DirectoryKind};

const BERLIN: &str = "0190a000-0000-7000-8000-000000000001";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn load(text: &str) -> crate::error::Result<Directory> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("directory.json");
    fs::write(&path, text).expect("write");
    Directory::load(&path)
}

#[test]
fn a_missing_file_is_an_empty_directory_in_utc() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let directory = Directory::load(&folder.path().join("directory.json")).expect("empty");
    assert_eq!(directory, Directory::empty());
    assert_eq!(directory.time_zone(BERLIN), Tz::UTC);
    assert_eq!(directory.name(DirectoryKind::Organization, BERLIN), None);
}

#[test]
fn the_usage_date_is_the_organizations_local_date() {
    let directory =
        Directory::empty().with_organization(BERLIN, "Berlin", "Europe/Berlin").expect("added");
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).expect("a date");
    // Berlin is an hour ahead of UTC until the last Sunday of March, then two.
    assert_eq!(directory.usage_date(BERLIN, time("2026-03-28T22:59:59Z")), day(28));
    assert_eq!(directory.usage_date(BERLIN, time("2026-03-28T23:00:00Z")), day(29));
    assert_eq!(directory.usage_date(BERLIN, time("2026-03-29T22:00:00Z")), day(30));
    assert_eq!(directory.usage_date("unknown", time("2026-03-28T23:00:00Z")), day(28));
}

#[test]
fn a_saved_directory_loads_as_it_was_and_leaves_no_second_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("directory.json");
    let old = Directory::empty().with_name(DirectoryKind::User, "u0", "Before");
    old.save(&path).expect("saved");
    let directory = Directory::empty()
        .with_organization(BERLIN, "Berlin \"GmbH\"", "Europe/Berlin")
        .expect("added")
        .with_name(DirectoryKind::Team, "t1", "Platform")
        .with_name(DirectoryKind::User, "u1", "Ada")
        .with_name(DirectoryKind::ApiKey, "k1", "production");
    directory.save(&path).expect("saved");
    assert_eq!(Directory::load(&path).expect("loaded"), directory);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    for (text, named) in [
        (r#"{"organisations":[]}"#, "organisations"),
        (r#"{"users":[{"id":"u","name":"n","mail":"m"}]}"#, "mail"),
        (r#"{"teams":[{"id":"t"}]}"#, "name"),
        (r#"{"users":[{"id":"u9","name":"n"},{"id":"u9","name":"n"}]}"#, "u9"),
        (r#"{"organizations":[{"id":"acme","name":"n"}]}"#, "acme"),
        (
            r#"{"organizations":[{"id":"0190a000-0000-7000-8000-000000000001","name":"n","time_zone":"Mars/Base"}]}"#,
            "Mars/Base",
        ),
    ] {
        let error = load(text).expect_err(text);
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
}

#[test]
fn ids_are_kept_in_lower_case() {
    let upper = BERLIN.to_uppercase();
    let directory = Directory::empty().with_organization(&upper, "Berlin", "UTC").expect("added");
    assert_eq!(directory.name(DirectoryKind::Organization, BERLIN), Some("Berlin"));
}

#[test]
fn the_tables_hold_every_entry() {
    let directory = Directory::empty()
        .with_organization(BERLIN, "Berlin", "Europe/Berlin")
        .expect("added")
        .with_name(DirectoryKind::User, "u1", "Ada")
        .with_name(DirectoryKind::User, "u2", "Grace");
    let tables = directory.tables().expect("tables");
    let rows: Vec<_> = tables.iter().map(|(name, batch)| (*name, batch.num_rows())).collect();
    assert_eq!(rows, [("organizations", 1), ("teams", 0), ("users", 2), ("api_keys", 0)]);
    let zone = tables[0].1.column_by_name("time_zone").expect("column");
    assert_eq!(zone.as_string::<i32>().value(0), "Europe/Berlin");
}
