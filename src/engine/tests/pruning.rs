//! Files that cannot hold an answer are not opened: a damaged one of them is
//! no trouble, and a damaged one that is needed is an error.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveTime;

use super::super::Engine;
use super::fixture::{Event, batch, date, engine, random_events, row, rows, view, write_file};
use crate::error::ErrorKind;
use crate::flush::View;
use crate::model::TABLES;

const DAY_MICROS: i64 = 86_400_000_000;

fn damage(root: &Path, path: &str) {
    let file = root.join(path);
    let bytes = fs::metadata(&file).expect("metadata").len();
    fs::write(&file, vec![b'x'; usize::try_from(bytes).expect("small")]).expect("damage");
}

/// Three days with two organizations in a file each; the file of day 1 and
/// organization `org-b` is damaged.
fn damaged_lake(folder: &Path) -> Arc<View> {
    let root = folder.join(TABLES[0].name);
    let mut files = Vec::new();
    for day in 0..3 {
        for name in ["org-a", "org-b"] {
            let mut events = random_events(7, 10, 1);
            for event in &mut events {
                event.day = day;
                event.organization = name.to_owned();
            }
            let events: Vec<Event> = events;
            let mut file = write_file(&root, &TABLES[0], day, name, &batch(&TABLES[0], &events));
            file.organizations = Some((name.to_owned(), name.to_owned()));
            let midnight = date(day).and_time(NaiveTime::MIN).and_utc().timestamp_micros();
            file.event_times = Some((midnight, midnight + DAY_MICROS - 1));
            files.push(file);
        }
    }
    damage(&root, &format!("usage_date={}/org-b.parquet", date(1)));
    view(folder, files.clone(), Vec::new(), files, &[])
}

async fn expect_rows(engine: &Engine, view: &Arc<View>, condition: &str, expected: usize) {
    for (table, counted) in [("usage_events", "count(event_id)"), ("usage_daily", "sum(entries)")] {
        let text = format!("SELECT {counted} FROM {table} WHERE {condition}");
        assert_eq!(row(engine, view, &text).await, expected.to_string(), "{text}");
    }
}

#[tokio::test]
async fn files_of_other_days_are_not_opened() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = damaged_lake(folder.path());
    expect_rows(&engine, &view, "usage_date = '2026-01-01'", 20).await;
    expect_rows(&engine, &view, "usage_date BETWEEN '2026-01-03' AND '2026-12-31'", 20).await;
    expect_rows(&engine, &view, "usage_date IN ('2026-01-01', '2026-01-03')", 40).await;
    expect_rows(&engine, &view, "usage_date <> '2026-01-02'", 40).await;
    expect_rows(&engine, &view, "usage_date = date '2026-01-01' AND status IS NOT NULL", 20).await;
    let day = "SELECT sum(events) IS NOT NULL FROM organization_daily_stats WHERE usage_date = '2026-01-01'";
    assert_eq!(row(&engine, &view, day).await, "true");
}

#[tokio::test]
async fn files_of_other_organizations_are_not_opened() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = damaged_lake(folder.path());
    expect_rows(&engine, &view, "organization_id = 'org-a'", 30).await;
    expect_rows(&engine, &view, "organization_id IN ('org-a', 'org-0')", 30).await;
    let text = "SELECT count(*) > 0 FROM conversations WHERE organization_id = 'org-a'";
    assert_eq!(row(&engine, &view, text).await, "true");
}

#[tokio::test]
async fn files_of_other_times_are_not_opened() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = damaged_lake(folder.path());
    for condition in [
        "event_time < TIMESTAMP '2026-01-02 00:00:00'",
        "event_time >= '2026-01-03' AND event_time < '2026-01-04T00:00:00Z'",
        "event_time BETWEEN '2026-01-03T05:00:00+05:00' AND now()",
    ] {
        let text = format!("SELECT count(event_id) FROM usage_events WHERE {condition}");
        assert_eq!(row(&engine, &view, &text).await, "20", "{text}");
    }
}

/// One file of a day that begins at 22:00 UTC and ends at 21:59.
fn day_of_another_zone(folder: &Path) -> (Arc<View>, Vec<Event>) {
    let mut events = random_events(7, 200, 1);
    for event in &mut events {
        event.day = i64::from(event.seconds < 22 * 3600);
    }
    let root = folder.join(TABLES[0].name);
    let mut file = write_file(&root, &TABLES[0], 1, "east", &batch(&TABLES[0], &events));
    let night = date(0).and_time(NaiveTime::MIN).and_utc().timestamp_micros() + 22 * 3_600_000_000;
    file.event_times = Some((night, night + DAY_MICROS - 1));
    (view(folder, vec![file], Vec::new(), Vec::new(), &[]), events)
}

#[tokio::test]
async fn a_time_of_day_chooses_no_files() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let (view, events) = day_of_another_zone(folder.path());
    let count = |keep: &dyn Fn(i64) -> bool| {
        events.iter().filter(|event| keep(event.seconds)).count().to_string()
    };
    for (condition, expected) in [
        ("event_time::time < TIME '06:00'", count(&|at| at < 6 * 3600)),
        ("event_time::time >= TIME '22:30'", count(&|at| at >= 81_000)),
        ("event_time::time BETWEEN '05:00' AND '05:59:59'", count(&|at| at / 3600 == 5)),
        ("TRY_CAST(event_time AS TIME) < TIME '06:00' AND status <> 'x'", count(&|at| at < 21_600)),
        ("(event_time AT TIME ZONE 'Asia/Tokyo')::time < '06:00'", {
            count(&|at| (at + 9 * 3600) % 86_400 < 6 * 3600)
        }),
    ] {
        let text = format!("SELECT count(event_id) FROM usage_events WHERE {condition}");
        assert_eq!(row(&engine, &view, &text).await, expected, "{text}");
        let joined = format!(
            "SELECT count(*) FROM (SELECT event_time::time AS t FROM usage_events WHERE {condition}) a \
             JOIN (SELECT TIME '05:00:00' AS t UNION SELECT event_time::time FROM usage_events) b \
             ON a.t = b.t"
        );
        assert_eq!(row(&engine, &view, &joined).await, expected, "{joined}");
    }
}

#[tokio::test]
async fn a_damaged_file_that_is_needed_is_an_internal_error_without_paths() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = damaged_lake(folder.path());
    let error = rows(&engine, &view, "SELECT count(event_id) FROM usage_events")
        .await
        .expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Internal, "{}", error.full_message());
    assert!(!error.to_string().contains("parquet"), "{error}");
}

#[tokio::test]
async fn counting_rows_and_days_opens_no_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = damaged_lake(folder.path());
    let text = "SELECT count(*), min(usage_date), max(usage_date) FROM usage_events";
    assert_eq!(row(&engine, &view, text).await, "60 2026-01-01 2026-01-03");
}
