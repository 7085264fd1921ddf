use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::exchange::{FileFormat, export, import, parse};
use super::*;

const ACME: &str = "0190a000-0000-7000-8000-000000000001";
const BETA: &str = "0190a000-0000-7000-8000-000000000002";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn start() -> DateTime<Utc> {
    time("2026-01-01T00:00:00Z")
}

fn entry(kind: DirectoryKind, organization: &str, id: &str, name: &str) -> Record {
    Record::Entry(Entry::new(kind, organization, id, name))
}

fn organization(id: &str, name: &str, zone: Tz) -> Record {
    Record::Entry(Entry::organization(id, name, zone))
}

fn member(user: &str, team: &str, from: &str, to: Option<&str>, primary: bool) -> Record {
    Record::Membership(Membership {
        organization_id: ACME.to_owned(),
        user_id: user.to_owned(),
        team_id: team.to_owned(),
        valid_from: time(from),
        valid_to: to.map(time),
        primary,
    })
}

/// Two organizations; in the first a user and two teams.
fn small() -> Vec<Record> {
    vec![
        organization(ACME, "Acme", Tz::Europe__Berlin),
        organization(BETA, "Beta", Tz::UTC),
        entry(DirectoryKind::Team, ACME, "core", "Core"),
        entry(DirectoryKind::Team, ACME, "web", "Web"),
        entry(DirectoryKind::User, ACME, "ada", "Ada"),
        entry(DirectoryKind::ApiKey, ACME, "key", "Production"),
    ]
}

fn directory(more: impl IntoIterator<Item = Record>) -> Directory {
    Directory::of(small().into_iter().chain(more), start()).expect("a directory")
}

/// What `change` makes of `base` at `now`.
fn edited(
    base: &Directory,
    now: &str,
    change: impl FnOnce(&mut Edit) -> crate::error::Result<()>,
) -> Directory {
    let mut edit = Edit::new(base.clone(), time(now));
    change(&mut edit).expect("a change");
    edit.finish();
    edit.directory
}

#[test]
fn the_usage_date_is_the_organizations_local_date() {
    let directory = directory([]);
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).expect("a date");
    // Berlin is an hour ahead of UTC until the last Sunday of March, then two.
    assert_eq!(directory.usage_date(ACME, time("2026-03-28T22:59:59Z")), day(28));
    assert_eq!(directory.usage_date(ACME, time("2026-03-28T23:00:00Z")), day(29));
    assert_eq!(directory.usage_date(ACME, time("2026-03-29T22:00:00Z")), day(30));
    assert_eq!(directory.usage_date("unknown", time("2026-03-28T23:00:00Z")), day(28));
}

#[test]
fn a_moved_user_is_in_the_team_of_the_time_that_is_asked_for() {
    let directory = directory([
        member("ada", "core", "2026-01-01T00:00:00Z", Some("2026-02-01T00:00:00Z"), false),
        member("ada", "web", "2026-02-01T00:00:00Z", None, false),
    ]);
    let team = |at| directory.team_of_user(ACME, "ada", time(at));
    assert_eq!(team("2025-12-31T23:59:59Z"), None);
    assert_eq!(team("2026-01-31T23:59:59Z"), Some("core"));
    assert_eq!(team("2026-02-01T00:00:00Z"), Some("web"));
    assert_eq!(directory.team_of_user(BETA, "ada", time("2026-02-01T00:00:00Z")), None);
}

#[test]
fn of_several_teams_the_primary_one_decides_and_else_the_latest() {
    let core = |primary| member("ada", "core", "2026-01-01T00:00:00Z", None, primary);
    let web = || member("ada", "web", "2026-02-01T00:00:00Z", None, false);
    let at = time("2026-03-01T00:00:00Z");
    assert_eq!(directory([core(false), web()]).team_of_user(ACME, "ada", at), Some("web"));
    assert_eq!(directory([core(true), web()]).team_of_user(ACME, "ada", at), Some("core"));
}

#[test]
fn a_rename_keeps_the_name_that_held_before() {
    let renamed = edited(&directory([]), "2026-05-01T00:00:00Z", |edit| {
        edit.put_record(entry(DirectoryKind::Team, ACME, "core", "Platform")).map(|_| ())
    });
    let as_of = |at| renamed.name_as_of(DirectoryKind::Team, ACME, "core", time(at));
    assert_eq!(as_of("2026-04-30T23:59:59Z"), Some("Core"));
    assert_eq!(as_of("2026-05-01T00:00:00Z"), Some("Platform"));
    assert_eq!(as_of("1999-01-01T00:00:00Z"), None);
    assert_eq!(renamed.name(DirectoryKind::Team, ACME, "core"), Some("Platform"));
    assert_eq!(renamed.name_as_of(DirectoryKind::Team, BETA, "core", start()), None);
}

#[test]
fn a_name_without_a_date_holds_until_the_first_one_that_has_one() {
    let kind = DirectoryKind::User;
    let named = edited(&directory([]), "2026-05-01T00:00:00Z", |edit| {
        edit.put_unplaced_name(kind, "eve".to_owned(), "Eve of old".to_owned());
        edit.put_record(entry(kind, ACME, "eve", "Eve")).map(drop)
    });
    let as_of = |at| named.name_as_of(kind, ACME, "eve", time(at));
    assert_eq!(as_of("2026-04-30T23:59:59Z"), Some("Eve of old"));
    assert_eq!(as_of("2026-05-01T00:00:00Z"), Some("Eve"));
    assert_eq!(
        named.name_as_of(kind, BETA, "eve", time("2026-06-01T00:00:00Z")),
        Some("Eve of old")
    );
}

#[test]
fn a_deleted_team_keeps_its_name_and_ends_its_memberships() {
    let before = directory([member("ada", "core", "2026-01-01T00:00:00Z", None, true)]);
    let after = edited(&before, "2026-05-01T00:00:00Z", |edit| {
        edit.end(DirectoryKind::Team, ACME, "core").map(|_| ())
    });
    assert_eq!(after.name(DirectoryKind::Team, ACME, "core"), Some("Core"));
    let team = |at| after.team_of_user(ACME, "ada", time(at));
    assert_eq!(team("2026-04-30T00:00:00Z"), Some("core"));
    assert_eq!(team("2026-05-01T00:00:00Z"), None);
}

#[test]
fn a_name_over_all_organizations_is_one_that_they_agree_on() {
    let ada_of = |name| entry(DirectoryKind::User, BETA, "ada", name);
    let common = |directory: &Directory| {
        directory.common_name(DirectoryKind::User, "ada").map(str::to_owned)
    };
    assert_eq!(common(&directory([])).as_deref(), Some("Ada"));
    assert_eq!(common(&directory([ada_of("Ada")])).as_deref(), Some("Ada"));
    let differing = directory([ada_of("Adam")]);
    assert_eq!(common(&differing), None);
    // Agreed on again after a rename.
    let agreed = edited(&differing, "2026-02-01T00:00:00Z", |edit| {
        edit.put_record(ada_of("Ada")).map(|_| ())
    });
    assert_eq!(common(&agreed).as_deref(), Some("Ada"));
}

#[test]
fn what_was_only_seen_gives_no_name_owns_no_key_and_changes_no_answer() {
    let sighting =
        |kind, id: &str| Sighting { kind, organization_id: BETA.to_owned(), id: id.to_owned() };
    let mut edit = Edit::new(directory([]), start());
    for (kind, id) in [
        (DirectoryKind::User, "ada"),
        (DirectoryKind::ApiKey, "key"),
        (DirectoryKind::ApiKey, "k2"),
    ] {
        assert_eq!(edit.register(&sighting(kind, id)).expect("registered"), Change::Created);
        assert_eq!(edit.register(&sighting(kind, id)).expect("again"), Change::Unchanged);
    }
    assert!(!edit.shows);
    edit.finish();
    let seen = edit.directory;
    assert_eq!(seen.common_name(DirectoryKind::User, "ada"), Some("Ada"));
    assert_eq!(seen.owners_of_key("key"), [ACME]);
    assert!(seen.owners_of_key("k2").is_empty());
}

#[test]
fn an_unknown_organization_is_registered_under_its_last_digits() {
    let id = "0190a000-0000-7000-8000-00001a2b3c4d";
    let kind = DirectoryKind::User;
    let seen = edited(&Directory::empty(), "2026-01-01T00:00:00Z", |edit| {
        let sighting = Sighting { kind, organization_id: id.to_owned(), id: "ada".to_owned() };
        edit.register(&sighting).map(|_| ())
    });
    let organization = seen.get(DirectoryKind::Organization, id, id).expect("registered");
    assert_eq!(organization.name, "Organization 1a2b3c4d");
    assert_eq!(seen.get(kind, id, "ada").expect("registered").name, "ada");
}

#[test]
fn an_incremental_index_is_the_one_made_from_scratch() {
    let mut edit = Edit::new(directory([]), start());
    for record in [
        entry(DirectoryKind::ApiKey, BETA, "key", "Production"),
        entry(DirectoryKind::User, BETA, "ada", "Adam"),
        organization(BETA, "Beta 2", Tz::UTC),
    ] {
        edit.put_record(record).expect("put");
    }
    edit.finish();
    assert_eq!(*edit.directory.index, index::Index::of(&edit.directory.organizations));
    assert_eq!(edit.directory.owners_of_key("key"), [ACME, BETA]);
}

#[test]
fn what_is_exported_is_imported_again_without_a_change() {
    let directory = directory([
        member("ada", "core", "2026-01-01T00:00:00Z", Some("2026-02-01T00:00:00Z"), true),
        entry(DirectoryKind::Department, ACME, "R&D", "=1+1 \"quoted\", comma"),
        entry(DirectoryKind::User, ACME, "'-x", "Ünï\u{a0}code"),
    ]);
    for format in [FileFormat::Csv, FileFormat::Json] {
        let file = export(&directory, format).expect("a file");
        let load = |base: &Directory| {
            let mut edit = Edit::new(base.clone(), start());
            let report = import(&mut edit, parse(&file, format).expect("parsed"));
            edit.finish();
            (report.expect("imported"), edit.directory)
        };
        let (report, copy) = load(&Directory::empty());
        assert_eq!((report.created, report.changed, report.unchanged), (9, 0, 0));
        assert_eq!(copy, directory, "{format:?}");
        let (report, _) = load(&directory);
        assert_eq!((report.created, report.changed, report.unchanged), (0, 0, 9));
    }
    let csv = export(&directory, FileFormat::Csv).expect("a file");
    assert!(String::from_utf8_lossy(&csv).contains("\"'=1+1 \"\"quoted\"\", comma\""));
}

#[test]
fn an_import_leaves_alone_what_its_columns_do_not_mention() {
    let file = format!("kind,id,name\norganization,{ACME},Acme Inc\n");
    let renamed = edited(&directory([]), "2026-02-01T00:00:00Z", |edit| {
        let records = parse(file.as_bytes(), FileFormat::Csv)?;
        import(edit, records).map(|report| assert_eq!(report.changed, 1))
    });
    assert_eq!(renamed.time_zone(ACME), Tz::Europe__Berlin);
    assert_eq!(renamed.name(DirectoryKind::Organization, ACME, ACME), Some("Acme Inc"));
}

#[test]
fn an_import_error_names_line_field_value_and_rule() {
    for (file, named) in [
        ("kind,nam\n", vec!["line 1", "nam", "did you mean name"]),
        ("kind,id\nplanet,x\n", vec!["line 2", "kind", "planet", "organization"]),
        ("kind,id,name\norganization,acme,A\n", vec!["line 2", "id", "acme", "UUID"]),
        (
            &format!("kind,id,name,time_zone\norganization,{ACME},A,Mars/Base\n"),
            vec!["line 2", "time_zone", "Mars/Base", "Europe/Berlin"],
        ),
        (
            &format!("kind,organization_id,id,name,provider\nteam,{ACME},t,T,x\n"),
            vec!["line 2", "provider", "no such field"],
        ),
        (
            &format!("kind,organization_id,user_id,team_id\nmembership,{ACME},ada,nowhere\n"),
            vec!["line 2", "team_id", "nowhere", "add the team first"],
        ),
    ] {
        let mut edit = Edit::new(directory([]), start());
        let done =
            parse(file.as_bytes(), FileFormat::Csv).and_then(|records| import(&mut edit, records));
        let message = done.expect_err(file).to_string();
        for part in named {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn a_membership_without_a_start_is_the_one_that_has_not_ended() {
    let base = directory([member("ada", "core", "2026-01-01T00:00:00Z", None, false)]);
    let file = format!(
        "kind,organization_id,user_id,team_id,valid_to,primary\n\
         membership,{ACME},ada,core,2026-03-01,true\nmembership,{ACME},ada,web,,\n"
    );
    let moved = edited(&base, "2026-03-01T00:00:00Z", |edit| {
        let report = import(edit, parse(file.as_bytes(), FileFormat::Csv)?)?;
        assert_eq!((report.created, report.changed), (1, 1));
        Ok(())
    });
    let found: Vec<_> = moved
        .memberships(ACME, "ada")
        .iter()
        .map(|one| (one.team_id.as_str(), one.valid_from, one.valid_to, one.primary))
        .collect();
    let march = time("2026-03-01T00:00:00Z");
    // Where the organization is, March begins an hour earlier.
    let end = time("2026-02-28T23:00:00Z");
    assert_eq!(found, [("core", start(), Some(end), true), ("web", march, None, false)]);
}

#[test]
fn a_membership_with_an_end_and_no_start_is_made_once() {
    let base = directory([
        member("ada", "core", "2026-01-01T00:00:00Z", Some("2026-01-31T23:00:00Z"), false),
        member("ada", "core", "2026-02-10T00:00:00Z", None, false),
    ]);
    // One that ended, with its end; one that is not there yet.
    let file = format!(
        "kind,organization_id,user_id,team_id,valid_to\n\
         membership,{ACME},ada,core,2026-02-01\nmembership,{ACME},ada,web,2026-06-01\n"
    );
    let mut known = base;
    let mut reports = Vec::new();
    for now in ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-07-01T00:00:00Z"] {
        known = edited(&known, now, |edit| {
            let report = import(edit, parse(file.as_bytes(), FileFormat::Csv)?)?;
            reports.push((report.created, report.changed, report.unchanged));
            Ok(())
        });
    }
    assert_eq!(reports, [(1, 0, 1), (0, 0, 2), (0, 0, 2)]);
    assert_eq!(known.memberships(ACME, "ada").len(), 3);
}

#[test]
fn a_date_of_a_membership_is_the_organizations_own() {
    let file = format!(
        "kind,id,name,time_zone,organization_id,user_id,team_id,valid_from,valid_to\n\
         membership,,,,{ACME},ada,core,2026-11-01,2026-12-01T00:00:00Z\n\
         membership,,,,{ACME},ada,web,2026-03-29,2026-07-01\n\
         organization,{ACME},Acme,Europe/Berlin,,,,,\n"
    );
    let known = edited(&directory([]), "2026-11-20T00:00:00Z", |edit| {
        import(edit, parse(file.as_bytes(), FileFormat::Csv)?).map(drop)
    });
    let found: Vec<_> = known
        .memberships(ACME, "ada")
        .iter()
        .map(|one| (one.team_id.as_str(), one.valid_from, one.valid_to))
        .collect();
    let winter = (time("2026-10-31T23:00:00Z"), Some(time("2026-12-01T00:00:00Z")));
    let summer = (time("2026-03-28T23:00:00Z"), Some(time("2026-06-30T22:00:00Z")));
    assert_eq!(found, [("core", winter.0, winter.1), ("web", summer.0, summer.1)]);
    // What is exported says the moment, and changes nothing.
    let again = edited(&known, "2026-11-21T00:00:00Z", |edit| {
        let file = super::exchange::export(edit.directory(), FileFormat::Csv)?;
        let report = import(edit, parse(&file, FileFormat::Csv)?)?;
        assert_eq!((report.created, report.changed), (0, 0));
        Ok(())
    });
    assert_eq!(again.memberships(ACME, "ada"), known.memberships(ACME, "ada"));
}

#[test]
fn a_day_whose_midnight_is_left_out_begins_after_it() {
    // Santiago's clocks are put forward at midnight.
    let file = format!(
        "kind,id,name,time_zone,organization_id,user_id,team_id,valid_from\n\
         organization,{ACME},Acme,America/Santiago,,,,\n\
         membership,,,,{ACME},ada,core,2026-09-06\n"
    );
    let known = edited(&directory([]), "2026-11-20T00:00:00Z", |edit| {
        import(edit, parse(file.as_bytes(), FileFormat::Csv)?).map(drop)
    });
    assert_eq!(known.memberships(ACME, "ada")[0].valid_from, time("2026-09-06T04:00:00Z"));
}

#[test]
fn the_tables_hold_every_entry_and_have_their_names() {
    let tables = directory([]).tables().expect("tables");
    let rows: Vec<_> = tables.iter().map(|(name, batch)| (*name, batch.num_rows())).collect();
    assert_eq!(
        rows,
        [
            ("organizations", 2),
            ("departments", 0),
            ("teams", 2),
            ("users", 1),
            ("api_keys", 1),
            ("memberships", 0)
        ]
    );
    let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TABLE_NAMES);
}
