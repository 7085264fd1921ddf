use std::time::Duration;

use super::*;
use crate::error::ErrorKind;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_landed_with_an_error_is_a_success_and_counts_once() {
    let rig = Rig::new().await;
    rig.store.fail_next_commit(Fault::ErrorAfterLanding);
    let batch = rows(EVENTS, day(1), 0..10);
    let snapshot = rig.table.append(vec![batch.clone()], transaction(7)).await.expect("landed");
    assert_eq!((snapshot.version, snapshot.rows()), (1, 10));
    rig.table.append(vec![batch], transaction(7)).await.expect("again");
    assert_eq!(totals(&rig.table), (10, cost_of(0..10)));
    rig.table.append(vec![rows(EVENTS, day(1), 10..20)], transaction(8)).await.expect("next");
    assert_eq!(totals(&rig.table), (20, cost_of(0..20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_leaves_nothing_and_can_be_repeated() {
    let rig = Rig::new().await;
    rig.store.fail_next_commit(Fault::ErrorAtOnce);
    let batch = rows(EVENTS, day(1), 0..10);
    let error = rig.table.append(vec![batch.clone()], transaction(7)).await.expect_err("failed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(rig.table.transaction_version("wal/test").await.expect("version"), None);
    rig.table.append(vec![batch], transaction(7)).await.expect("repeated");
    assert_eq!(totals(&rig.table), (10, cost_of(0..10)));
    // The second attempt took over the files of the first.
    let files = std::fs::read_dir(rig.folder.path().join("usage_date=2026-01-01")).expect("folder");
    assert_eq!(files.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_dropped_after_its_commit_counts_once() {
    let rig = Rig::new().await;
    rig.store.fail_next_commit(Fault::SilenceAfterLanding);
    let batch = rows(EVENTS, day(1), 0..10);
    let append = rig.table.append(vec![batch.clone()], transaction(7));
    tokio::time::timeout(Duration::from_secs(2), append).await.expect_err("never ends");
    assert_eq!(rig.table.transaction_version("wal/test").await.expect("version"), Some(7));
    assert_eq!(rig.table.snapshot().rows(), 10);
    rig.table.append(vec![batch], transaction(7)).await.expect("again");
    assert_eq!(totals(&rig.table), (10, cost_of(0..10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_landed_with_an_error_is_a_success() {
    let rig = Rig::new().await;
    for step in 0..3 {
        let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
        rig.table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    rig.store.fail_next_commit(Fault::ErrorAtOnce);
    let error = rig.table.compact(day(1)).await.expect_err("failed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(rig.table.snapshot().files.len(), 3);
    rig.store.fail_next_commit(Fault::ErrorAfterLanding);
    let outcome = rig.table.compact(day(1)).await.expect("landed");
    assert_eq!(outcome.snapshot.files.len(), 1);
    assert_eq!(totals(&rig.table), (30, cost_of(0..30)));
}

/// The library's local store makes no such call at all.
#[tokio::test(flavor = "multi_thread")]
async fn data_then_commit_then_their_directories_are_synced() {
    let rig = Rig::new().await;
    rig.disk.take();
    rig.table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let root = rig.table.root().display().to_string();
    let calls: Vec<String> = rig
        .disk
        .take()
        .into_iter()
        .map(|call| call.replace(&root, "").replace("  ", " "))
        .collect();
    let expected = [
        ("directory ", ""),
        ("file /usage_date=2026-01-01/", ".parquet.new"),
        ("directory /usage_date=2026-01-01", ""),
        ("file /_delta_log/00000000000000000001.json#", ""),
        ("directory /_delta_log", ""),
    ];
    assert_eq!(calls.len(), expected.len(), "{calls:?}");
    for (call, (begin, end)) in calls.iter().zip(expected) {
        assert!(call.starts_with(begin) && call.ends_with(end), "{call:?} is not {begin}…{end}");
    }
    rig.table.append(vec![rows(EVENTS, day(1), 10..20)], transaction(2)).await.expect("append");
    assert_eq!(rig.disk.take().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_synced() {
    let rig = Rig::new().await;
    rig.table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    rig.disk.take();
    rig.table.checkpoint_and_clean_log().await.expect("checkpoint");
    let calls = rig.disk.take();
    for part in [".checkpoint.parquet#", "_last_checkpoint#"] {
        assert!(
            calls.iter().any(|call| call.starts_with("file") && call.contains(part)),
            "{calls:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_syncs_the_last_commit_of_a_process_that_was_killed() {
    let rig = Rig::new().await;
    rig.table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let disk = Arc::new(RecordingDisk::default());
    let watched: Arc<dyn DiskSync> = Arc::<RecordingDisk>::clone(&disk);
    let durable = Arc::new(DurableDisk::new(watched));
    let store = Arc::new(SyncedStore::new(Arc::clone(&durable)));
    let storage = Storage { disk: durable, store };
    let table = LakeTable::open_with(rig.folder.path(), EVENTS, options(), storage, Arc::default());
    table.await.expect("table");
    let calls = disk.take();
    assert!(calls[0].ends_with("_delta_log/00000000000000000001.json"), "{calls:?}");
    assert!(calls[1].ends_with("_delta_log"), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_written_until_a_restart() {
    for failing in [".parquet.new", "usage_date=", "_delta_log/", "_delta_log"] {
        let rig = Rig::new().await;
        *rig.disk.failing.lock().expect("lock") = Some(failing);
        let batch = rows(EVENTS, day(1), 0..10);
        let error =
            rig.table.append(vec![batch.clone()], transaction(1)).await.expect_err("failed");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{failing}");
        // The disk works again, but what it lost meanwhile nobody knows.
        *rig.disk.failing.lock().expect("lock") = None;
        let again = rig.table.append(vec![batch.clone()], transaction(1)).await;
        assert_eq!(again.expect_err("refused").kind(), ErrorKind::Unavailable, "{failing}");
        let restarted = open(rig.folder.path(), EVENTS).await;
        restarted.append(vec![batch], transaction(1)).await.expect("append");
        assert_eq!(totals(&restarted), (10, cost_of(0..10)), "{failing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_of_a_commit_that_was_being_written_is_ignored() {
    let rig = Rig::new().await;
    rig.table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let log = rig.folder.path().join("_delta_log");
    std::fs::write(log.join("00000000000000000002.json#3"), "{\"add").expect("leftover");
    let reopened = open(rig.folder.path(), EVENTS).await;
    reopened.append(vec![rows(EVENTS, day(1), 10..20)], transaction(2)).await.expect("append");
    assert_eq!(totals(&reopened), (20, cost_of(0..20)));
}
