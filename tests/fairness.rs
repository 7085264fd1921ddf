//! One organization that floods the server delays its own requests, not those
//! of others. Orders and refusals are compared, never times: the log's fsync
//! waits until the test lets it pass.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;
use spendlake::clock::ManualClock;
use spendlake::config::Config;
use spendlake::directory::SharedDirectory;
use spendlake::error::{Error, ErrorKind, Result};
use spendlake::flush::{IngestReport, Opening, Store};
use spendlake::ingest::{Intake, IntakeLimits, Payload};
use spendlake::pricing::PriceBook;
use spendlake::wal::fault::MemoryStorage;
use spendlake::wal::{WalFile, WalStorage};
use tokio::task::JoinHandle;

use crate::support::app::{noon, quiet_config};
use crate::support::events::{event_with, lines};

const FLOOD: &str = "0190a3c2-7b1e-7c00-8000-00000000000a";
const SMALL: &str = "0190a3c2-7b1e-7c00-8000-00000000000b";

/// How long a step may take before the test gives up. Nothing depends on it
/// while everything works.
const PATIENCE: Duration = Duration::from_secs(120);

/// A barrier in front of each fsync.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    waiting: usize,
    passes: usize,
}

impl Gate {
    fn close(&self) {
        self.state.lock().expect("gate").closed = true;
    }

    fn open(&self) {
        self.state.lock().expect("gate").closed = false;
        self.changed.notify_all();
    }

    /// Lets one fsync pass.
    fn pass_one(&self) {
        self.state.lock().expect("gate").passes += 1;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("gate");
        state.waiting += 1;
        while state.closed && state.passes == 0 {
            state = self.changed.wait(state).expect("gate");
        }
        state.passes = state.passes.saturating_sub(1);
        state.waiting -= 1;
    }

    fn is_waited_at(&self) -> bool {
        self.state.lock().expect("gate").waiting > 0
    }
}

/// A log in memory behind a gate.
#[derive(Debug)]
struct GatedStorage(MemoryStorage, Arc<Gate>);

impl GatedStorage {
    fn gated(&self, file: Box<dyn WalFile>) -> Box<dyn WalFile> {
        Box::new(GatedFile(file, Arc::clone(&self.1)))
    }
}

impl WalStorage for GatedStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        Ok(self.gated(self.0.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        Ok(self.gated(self.0.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }
}

#[derive(Debug)]
struct GatedFile(Box<dyn WalFile>, Arc<Gate>);

impl WalFile for GatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.overwrite(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.pass();
        self.0.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.0.read_all()
    }
}

type Sent = JoinHandle<Result<IngestReport>>;

struct Rig {
    store: Arc<Store>,
    intake: Intake,
    gate: Arc<Gate>,
}

impl Rig {
    /// With one request stored, so that the log has a segment, and another one
    /// held at the gate, so that what is sent now waits in the queue.
    async fn held(data_dir: &Path, change: impl FnOnce(&mut Config)) -> (Self, Sent) {
        let mut config = quiet_config(data_dir);
        change(&mut config);
        let gate = Arc::new(Gate::default());
        let storage = GatedStorage(MemoryStorage::default(), Arc::clone(&gate));
        let opening = Opening {
            application: "node/test".to_owned(),
            epoch: 1,
            directory_lock: Arc::new(()),
            directory: SharedDirectory::default(),
        };
        let clock = Arc::new(ManualClock::new(noon()));
        let store = Store::open_with(&config, opening, Arc::new(storage), clock).await;
        let store = Arc::new(store.expect("a store"));
        let book = Arc::clone(PriceBook::shipped());
        let limits = IntakeLimits::from(&config);
        let intake = Intake::new(SharedDirectory::default(), book, limits);
        let rig = Self { store, intake, gate };
        finished(rig.send(FLOOD, "first", 1)).await.expect("stored");
        rig.gate.close();
        let held = rig.send(FLOOD, "held", 1);
        until(|| rig.gate.is_waited_at()).await;
        (rig, held)
    }

    fn send(&self, organization: &str, id: &str, rows: usize) -> Sent {
        let event =
            |row| event_with(&format!("{id}-{row}"), json!({"organization_id": organization}));
        let body = lines(&(0..rows).map(event).collect::<Vec<_>>());
        let prepared = self.intake.prepare(Payload::native(body.as_bytes()), noon());
        let (store, prepared) = (Arc::clone(&self.store), prepared.expect("prepared"));
        tokio::spawn(async move { store.ingest(prepared, String::new(), noon()).await })
    }

    /// Waits until `requests` wait in the queue.
    async fn queued(&self, requests: usize) {
        until(|| self.store.queue_stats().requests == requests).await;
    }
}

/// Polls until `fact` holds.
async fn until(fact: impl Fn() -> bool) {
    let wait = async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it never came to be");
}

async fn finished(sent: Sent) -> Result<IngestReport> {
    tokio::time::timeout(PATIENCE, sent).await.expect("no answer came").expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_sender_is_acknowledged_before_the_rest_of_a_flood_that_came_first() {
    const FLOOD_REQUESTS: usize = 12;
    const FLOOD_ROWS: usize = 5_000;
    let folder = tempfile::tempdir().expect("folder");
    let (rig, held) = Rig::held(folder.path(), |_| {}).await;
    let flood: Vec<Sent> = (0..FLOOD_REQUESTS)
        .map(|number| rig.send(FLOOD, &format!("flood-{number}"), FLOOD_ROWS))
        .collect();
    rig.queued(FLOOD_REQUESTS).await;
    let small: Vec<Sent> =
        (0..3).map(|number| rig.send(SMALL, &format!("small-{number}"), 1)).collect();
    rig.queued(FLOOD_REQUESTS + small.len()).await;

    // The held group, and then exactly one more.
    rig.gate.pass_one();
    finished(held).await.expect("stored");
    until(|| rig.gate.is_waited_at()).await;
    rig.gate.pass_one();
    for one in small {
        assert_eq!(finished(one).await.expect("stored").accepted, 1);
    }
    let answered = flood.iter().filter(|one| one.is_finished()).count();
    assert!(answered < FLOOD_REQUESTS, "the whole flood was answered before the small sender");

    rig.gate.open();
    for one in flood {
        assert_eq!(finished(one).await.expect("stored").accepted, FLOOD_ROWS as u64);
    }
    assert_eq!(rig.store.view().hot.rows(), 2 + 3 + FLOOD_REQUESTS * FLOOD_ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_sent_away_at_its_share_of_the_queue_and_nobody_else_is() {
    let folder = tempfile::tempdir().expect("folder");
    let (rig, held) = Rig::held(folder.path(), |config| config.ingest_queue_max = 8).await;
    let mut flood: Vec<Sent> =
        (0..4).map(|number| rig.send(FLOOD, &format!("flood-{number}"), 1)).collect();
    rig.queued(4).await;
    for number in 4..10 {
        let refused = finished(rig.send(FLOOD, &format!("flood-{number}"), 1)).await;
        assert_busy(refused, "has its share of the requests (ingest_queue_max 8)");
    }
    let small = rig.send(SMALL, "small", 1);
    rig.queued(5).await;
    rig.gate.open();
    flood.extend([held, small]);
    for one in flood {
        assert_eq!(finished(one).await.expect("stored").accepted, 1);
    }
    // What was sent away is stored when it is sent again.
    let again = finished(rig.send(FLOOD, "flood-9", 1)).await.expect("stored");
    assert_eq!((again.accepted, rig.store.view().hot.rows()), (1, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_are_bounded_too() {
    let folder = tempfile::tempdir().expect("folder");
    let (rig, held) = Rig::held(folder.path(), |config| config.ingest_queue_rows_max = 100).await;
    let first = rig.send(FLOOD, "a", 40);
    rig.queued(1).await;
    let refused = finished(rig.send(FLOOD, "b", 20)).await;
    assert_busy(refused, "has its share of the rows (ingest_queue_rows_max 100)");
    let small = rig.send(SMALL, "small", 50);
    rig.queued(2).await;
    rig.gate.open();
    for one in [held, first, small] {
        finished(one).await.expect("stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fills_the_hot_buffer_is_refused_before_others_are() {
    let folder = tempfile::tempdir().expect("folder");
    let limits = |config: &mut Config| {
        config.hot_rows_max = 100;
        config.flush_rows_max = 10;
    };
    let (rig, held) = Rig::held(folder.path(), limits).await;
    // Without its table nothing can be flushed.
    let (table, away) = (folder.path().join("lake/usage_events"), folder.path().join("away"));
    std::fs::rename(&table, &away).expect("moved away");
    std::fs::write(&table, "").expect("a file in its place");
    rig.gate.open();
    finished(held).await.expect("stored");
    finished(rig.send(FLOOD, "flood", 45)).await.expect("stored");
    let refused = finished(rig.send(FLOOD, "more", 10)).await;
    assert_busy(refused, "its share, wait to be written to the lake (hot_rows_max 100)");
    finished(rig.send(SMALL, "small", 10)).await.expect("stored");

    std::fs::remove_file(&table).expect("removed");
    std::fs::rename(&away, &table).expect("back again");
    rig.store.flush().await.expect("flushed");
    finished(rig.send(FLOOD, "more", 10)).await.expect("room again");
}

fn assert_busy(refused: Result<IngestReport>, says: &str) {
    let error: Error = refused.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}
