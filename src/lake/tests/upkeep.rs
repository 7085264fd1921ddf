use super::*;
use crate::clock::{Clock, SystemClock};
use crate::error::ErrorKind;

async fn compacted(folder: &Path) -> LakeTable {
    compacted_with(folder, options()).await
}

async fn compacted_with(folder: &Path, options: LakeOptions) -> LakeTable {
    let table = LakeTable::open_or_create(folder, EVENTS, options).await.expect("table");
    for step in 0..3 {
        let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    table.compact(day(1)).await.expect("compact");
    table
}

/// Every file gets the age that the test wants: the file system's clock is
/// not the test's.
fn set_modified(table: &LakeTable, time: DateTime<Utc>) {
    for folder in std::fs::read_dir(table.root()).expect("root") {
        let folder = folder.expect("folder");
        if folder.file_name() == "_delta_log" {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).expect("folder") {
            let file = File::options().write(true).open(file.expect("file").path()).expect("file");
            file.set_modified(time.into()).expect("modified");
        }
    }
}

fn files_on_disk(table: &LakeTable) -> usize {
    std::fs::read_dir(table.root().join("usage_date=2026-01-01")).expect("folder").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_removes_replaced_files_once_their_retention_is_over() {
    let folder = tempfile::tempdir().expect("folder");
    let table = compacted(folder.path()).await;
    // Written long ago, but replaced only now: that is what counts.
    set_modified(&table, start() - TimeDelta::days(100));
    let week = TimeDelta::hours(168);
    let early = table.vacuum(week, start() + TimeDelta::hours(167)).await.expect("vacuum");
    assert_eq!((early.len(), files_on_disk(&table)), (0, 4));
    let late = table.vacuum(week, start() + TimeDelta::hours(169)).await.expect("vacuum");
    assert_eq!((late.len(), files_on_disk(&table)), (3, 1));
    assert_eq!(totals(&table), (30, cost_of(0..30)));
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_remembers_replaced_files_beyond_a_checkpoint() {
    let folder = tempfile::tempdir().expect("folder");
    // The library drops old tombstones from checkpoints by the machine's
    // clock, so here the table has to go by it as well.
    let now = SystemClock.now();
    let options = LakeOptions::new(Arc::new(SystemClock));
    let table = compacted_with(folder.path(), options.clone()).await;
    table.checkpoint_and_clean_log().await.expect("checkpoint");
    for version in 0..=4 {
        let commit = folder.path().join(format!("_delta_log/{version:020}.json"));
        std::fs::remove_file(commit).expect("commit");
    }
    set_modified(&table, now - TimeDelta::days(100));
    let table = LakeTable::open_or_create(folder.path(), EVENTS, options).await.expect("table");
    let early = table.vacuum(TimeDelta::hours(168), now + TimeDelta::hours(167)).await;
    assert_eq!((early.expect("vacuum").len(), files_on_disk(&table)), (0, 4));
    let late = table.vacuum(TimeDelta::hours(168), now + TimeDelta::hours(169)).await;
    assert_eq!((late.expect("vacuum").len(), files_on_disk(&table)), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_removes_old_leftovers_that_no_commit_names() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let partition = folder.path().join("usage_date=2026-01-01");
    for name in ["crashed-9-0.parquet", "crashed-9-1.parquet.new", "notes.txt"] {
        std::fs::write(partition.join(name), "left").expect("leftover");
    }
    set_modified(&table, start());
    let day_long = TimeDelta::hours(24);
    let early = table.vacuum(day_long, start() + TimeDelta::hours(23)).await.expect("vacuum");
    assert_eq!(early, Vec::<String>::new());
    let late = table.vacuum(day_long, start() + TimeDelta::hours(25)).await.expect("vacuum");
    let expected = ["crashed-9-0.parquet", "crashed-9-1.parquet.new"];
    assert_eq!(late, expected.map(|name| format!("usage_date=2026-01-01/{name}")));
    assert!(partition.join("notes.txt").exists());
    assert_eq!(totals(&table), (10, cost_of(0..10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_keeps_files_and_transactions() {
    let folder = tempfile::tempdir().expect("folder");
    let table = compacted(folder.path()).await;
    let before = table.snapshot();
    table.checkpoint_and_clean_log().await.expect("checkpoint");
    assert_eq!(table.snapshot(), before);
    let reopened = open(folder.path(), EVENTS).await;
    assert_eq!(reopened.snapshot(), before);
    assert_eq!(reopened.transaction_version("wal/test").await.expect("version"), Some(3));
    table.append(vec![rows(EVENTS, day(1), 30..40)], transaction(4)).await.expect("append");
    assert_eq!(totals(&table), (40, cost_of(0..40)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaned_log_says_that_it_does_not_reach_back() {
    let folder = tempfile::tempdir().expect("folder");
    let options = LakeOptions { log_retention_days: 0, ..options() };
    let table = LakeTable::open_or_create(folder.path(), EVENTS, options).await.expect("table");
    for step in 0..3 {
        let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    // A commit is removed only below a checkpoint and when older than the
    // retention, by whole milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    table.checkpoint_and_clean_log().await.expect("checkpoint");
    let error = table.changes_since(0).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(table.transaction_version("wal/test").await.expect("version"), Some(3));
    table.append(vec![rows(EVENTS, day(1), 30..40)], transaction(4)).await.expect("append");
    assert_eq!(totals(&table), (40, cost_of(0..40)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_opens_its_three_tables_in_their_folders() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = Lake::open(folder.path(), &options()).await.expect("lake");
    let names = lake.tables().map(|table| table.spec().name);
    assert_eq!(names, ["usage_events", "rejected_events", "usage_daily", "provider_costs"]);
    for name in names {
        assert!(folder.path().join("lake").join(name).join("_delta_log").is_dir());
    }
    Lake::open(folder.path(), &options()).await.expect("opened again");
}
