//! Who sees which rows of the tables in memory, and that no table is without
//! an answer to that.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};

use super::super::StaticTable;
use super::super::scan::SOURCES;
use super::super::static_wall::{has_rule, within};
use super::super::wall::{ORGANIZATION, Owners};
use super::fixture::engine;
use crate::access::{Reach, RowReach};
use crate::directory::TABLE_NAMES;
use crate::error::ErrorKind;

fn table(name: &str, columns: &[&str], rows: &[&str]) -> StaticTable {
    let columns = columns.iter().enumerate().map(|(at, column)| {
        let cells = rows.iter().map(|row| row.split(' ').nth(at).filter(|cell| *cell != "-"));
        (*column, Arc::new(cells.collect::<StringArray>()) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("rows");
    StaticTable { name: name.to_owned(), batch }
}

/// Two organizations; of the first, two teams of two departments and three
/// people: ann is in red, bob was in red and is in blue, cid is in no team.
fn tables() -> Vec<StaticTable> {
    vec![
        table("organizations", &[ORGANIZATION, "name"], &["a A", "b B"]),
        table("departments", &[ORGANIZATION, "id"], &["a sales", "a tech", "b sales"]),
        table(
            "teams",
            &[ORGANIZATION, "id", "department"],
            &["a red sales", "a blue tech", "a none -", "b red sales"],
        ),
        table("users", &[ORGANIZATION, "id"], &["a ann", "a bob", "a cid", "b ann"]),
        table(
            "api_keys",
            &[ORGANIZATION, "id", "owner_user_id", "team_id"],
            &["a k1 ann -", "a k2 - red", "a k3 bob blue", "a k4 - -", "b k5 ann red"],
        ),
        table(
            "memberships",
            &[ORGANIZATION, "user_id", "team_id"],
            &["a ann red", "a bob red", "a bob blue", "b ann red"],
        ),
        table(
            "model_prices",
            &[ORGANIZATION, "api_key_id", "model_name"],
            &["- - m1", "a - m2", "a k1 m3", "b - m4"],
        ),
    ]
}

/// The second column of the rows of `name` that are within `reach`, and, for a
/// table of people in teams, the third too.
fn seen(reach: &Reach, name: &str) -> Vec<String> {
    let tables = tables();
    let table = tables.iter().find(|table| table.name == name).expect("a table");
    let batch = within(reach, table, &tables).expect("rows");
    let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row);
    let pair = name == "memberships";
    let shown = |row| match pair {
        true => format!("{}/{}/{}", text(0, row), text(1, row), text(2, row)),
        false if name == "model_prices" => text(2, row).to_owned(),
        false => format!("{}/{}", text(0, row), text(1, row)),
    };
    (0..batch.num_rows()).map(shown).collect()
}

fn check(reach: &Reach, expected: [&[&str]; 7]) {
    let names = ["organizations", "departments", "teams", "users", "api_keys", "memberships"];
    for (name, expected) in names.into_iter().chain(["model_prices"]).zip(expected) {
        assert_eq!(seen(reach, name), expected, "{name} within {reach:?}");
    }
}

#[test]
fn a_reader_of_the_whole_organization_sees_all_of_it() {
    check(
        &Reach::within("b", RowReach::Whole),
        [&["b/B"], &["b/sales"], &["b/red"], &["b/ann"], &["b/k5"], &["b/ann/red"], &["m1", "m4"]],
    );
}

#[test]
fn a_reader_of_a_team_sees_it_its_members_and_its_keys() {
    check(
        &Reach::within("a", RowReach::of_team("red")),
        [
            &["a/A"],
            &[],
            &["a/red"],
            &["a/ann", "a/bob"],
            &["a/k2"],
            &["a/ann/red", "a/bob/red"],
            &["m1"],
        ],
    );
}

#[test]
fn a_reader_of_a_department_sees_its_teams_too() {
    check(
        &Reach::within("a", RowReach::of_department("tech")),
        [&["a/A"], &["a/tech"], &["a/blue"], &["a/bob"], &["a/k3"], &["a/bob/blue"], &["m1"]],
    );
}

#[test]
fn a_reader_of_itself_sees_itself_and_not_its_teams() {
    check(
        &Reach::within("a", RowReach::of_user("bob")),
        [&["a/A"], &[], &[], &["a/bob"], &["a/k3"], &["a/bob/red", "a/bob/blue"], &["m1"]],
    );
}

#[test]
fn without_a_reach_only_what_is_for_everybody_is_seen() {
    check(&Reach::nothing(), [&[], &[], &[], &[], &[], &[], &["m1"]]);
}

#[test]
fn every_table_of_the_directory_has_a_rule() {
    for name in TABLE_NAMES {
        assert!(has_rule(name), "who sees which rows of {name}?");
    }
}

#[test]
fn a_table_without_a_rule_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let secrets = table("secrets", &[ORGANIZATION], &["a"]);
    let error = engine.set_static_table(secrets.clone()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("secrets"), "{error}");
    within(&Reach::within("a", RowReach::Whole), &secrets, &[]).expect_err("refused");
}

#[test]
fn the_owners_of_a_tables_rows_are_the_columns_that_it_has() {
    for source in &SOURCES {
        let schema = (source.spec.schema)();
        let has = |name: &'static str| schema.field_with_name(name).ok().map(|_| name);
        assert_eq!(has(ORGANIZATION), Some(ORGANIZATION), "{}", source.name);
        let owners =
            Owners { team: has("team_id"), department: has("department"), user: has("user_id") };
        assert_eq!(source.owners, owners, "{}", source.name);
    }
}
