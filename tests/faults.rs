//! A full disk and a failed fsync: a clear refusal, no false acknowledgement.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use spendlake::clock::{Clock, ManualClock};
use spendlake::config::Config;
use spendlake::directory::SharedDirectory;
use spendlake::error::ErrorKind;
use spendlake::flush::{IngestReport, Opening, Store};
use spendlake::ingest::{Intake, IntakeLimits, Payload};
use spendlake::pricing::PriceBook;
use spendlake::wal::DiskStorage;
use spendlake::wal::fault::{Faults, FaultyStorage};

use crate::support::app::{noon, quiet_config};
use crate::support::events::{event, lines};

fn opening(epoch: u64) -> Opening {
    Opening {
        application: "node/test".to_owned(),
        epoch,
        directory_lock: Arc::new(()),
        directory: SharedDirectory::default(),
    }
}

/// A store over a disk that fails on demand.
struct Rig {
    store: Store,
    intake: Intake,
    faults: Arc<Faults>,
    now: DateTime<Utc>,
}

impl Rig {
    async fn open(data_dir: &Path) -> Self {
        let config: Config = quiet_config(data_dir);
        let clock = Arc::new(ManualClock::new(noon()));
        std::fs::create_dir_all(data_dir.join("wal")).expect("a folder");
        let disk = DiskStorage::open(data_dir.join("wal")).expect("a log folder");
        let faults = Arc::new(Faults::default());
        let storage = FaultyStorage::new(Arc::new(disk), Arc::clone(&faults));
        let now = clock.now();
        let store =
            Store::open_with(&config, opening(1), Arc::new(storage), clock).await.expect("a store");
        let intake = Intake::new(
            SharedDirectory::default(),
            Arc::clone(PriceBook::shipped()),
            IntakeLimits::from(&config),
        );
        Self { store, intake, faults, now }
    }

    async fn send(&self, ids: &[&str]) -> spendlake::error::Result<IngestReport> {
        let events: Vec<_> = ids.iter().map(|id| event(id)).collect();
        let prepared = self
            .intake
            .prepare(Payload::native(lines(&events).as_bytes()), self.now)
            .expect("prepared");
        self.store.ingest(prepared, "request".to_owned(), self.now).await
    }

    fn visible(&self) -> usize {
        self.store.view().hot.rows()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_when_space_returns() {
    let folder = tempfile::tempdir().expect("folder");
    let rig = Rig::open(folder.path()).await;
    assert_eq!(rig.send(&["a"]).await.expect("stored").accepted, 1);
    rig.faults.fill_disk_after(100);
    let error = rig.send(&["b"]).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(rig.visible(), 1, "nothing of the refused request shows");
    rig.faults.free_disk();
    let report = rig.send(&["a", "b"]).await.expect("stored");
    assert_eq!((report.duplicate, report.accepted), (1, 1));
    drop(rig);
    let rig = Rig::open(folder.path()).await;
    assert_eq!(rig.visible(), 2, "a restart finds what was acknowledged, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fsync_stops_acknowledging_until_a_restart_replays() {
    let folder = tempfile::tempdir().expect("folder");
    let rig = Rig::open(folder.path()).await;
    rig.send(&["a"]).await.expect("stored");
    rig.faults.fail_sync(true);
    let error = rig.send(&["b"]).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    rig.faults.fail_sync(false);
    let error = rig.send(&["c"]).await.expect_err("still refused: the log is never trusted again");
    assert!(error.to_string().contains("restart"), "{error}");
    assert_eq!(rig.visible(), 1, "what was not acknowledged does not show");
    assert!(rig.store.stats().log_failed);
    drop(rig);
    let rig = Rig::open(folder.path()).await;
    // Whether "b" reached the disk is open; either way a resend ends with one copy.
    let report = rig.send(&["a", "b", "c"]).await.expect("stored");
    assert_eq!(report.accepted + report.duplicate, 3);
    assert!(report.duplicate >= 1 && report.accepted >= 1, "{report:?}");
    assert_eq!(rig.visible(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_answers_busy_and_stores_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let config = Config { hot_rows_max: 1, ..quiet_config(folder.path()) };
    let clock = Arc::new(ManualClock::new(noon()));
    let store = Store::open(&config, opening(1), clock).await.expect("a store");
    let intake = Intake::new(
        SharedDirectory::default(),
        Arc::clone(PriceBook::shipped()),
        IntakeLimits::from(&config),
    );
    let prepare = |id| {
        intake.prepare(Payload::native(event(id).to_string().as_bytes()), noon()).expect("prepared")
    };
    store.ingest(prepare("a"), String::new(), noon()).await.expect("stored");
    let error = store.ingest(prepare("b"), String::new(), noon()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("hot_rows_max"), "{error}");
    store.flush().await.expect("flushed");
    store.ingest(prepare("b"), String::new(), noon()).await.expect("stored after the flush");
}

/// With a window of 35 days, what was received longer ago is looked for in its
/// own day of the lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_beyond_the_window_is_found_in_its_own_day() {
    let folder = tempfile::tempdir().expect("folder");
    let clock = Arc::new(ManualClock::new(noon()));
    let config = quiet_config(folder.path());
    let intake = Intake::new(
        SharedDirectory::default(),
        Arc::clone(PriceBook::shipped()),
        IntakeLimits::from(&config),
    );
    let store = Store::open(&config, opening(1), clock.clone()).await.expect("store");
    let body = event("old").to_string();
    let first = intake.prepare(Payload::native(body.as_bytes()), clock.now()).expect("prepared");
    store.ingest(first, String::new(), clock.now()).await.expect("stored");
    store.close().await.expect("closed");
    drop(store);
    clock.advance(chrono::TimeDelta::days(100));
    let store = Store::open(&config, opening(2), clock.clone()).await.expect("store");
    let again = intake.prepare(Payload::native(body.as_bytes()), clock.now()).expect("prepared");
    let report = store.ingest(again, String::new(), clock.now()).await.expect("judged");
    assert_eq!((report.duplicate, report.accepted), (1, 0));
    let changed = body.replace("\"output_tokens\":100", "\"output_tokens\":99");
    let changed =
        intake.prepare(Payload::native(changed.as_bytes()), clock.now()).expect("prepared");
    let report = store.ingest(changed, String::new(), clock.now()).await.expect("judged");
    assert_eq!((report.conflict, report.accepted), (1, 0));
}

/// Deleting the memory of keys costs a rebuild, not exactness.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_memory_is_rebuilt_from_the_lake() {
    let folder = tempfile::tempdir().expect("folder");
    let rig = Rig::open(folder.path()).await;
    rig.send(&["a", "b"]).await.expect("stored");
    rig.store.close().await.expect("closed");
    drop(rig);
    std::fs::remove_dir_all(folder.path().join("dedup")).expect("deleted");
    let rig = Rig::open(folder.path()).await;
    let report = rig.send(&["a", "b", "c"]).await.expect("stored");
    assert_eq!((report.duplicate, report.accepted), (2, 1));
}
