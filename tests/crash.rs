//! `kill -9` at any instant loses nothing acknowledged and counts nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::server::{Client, Server, assert_verifies};

/// Events of one request.
const BATCH_EVENTS: u64 = 20;

const ORGANIZATION: &str = "0190a3c2-7b1e-7c00-8000-00000000c0de";

/// What the sender knows: every event it ever tried, and which of them were
/// acknowledged. The cost in picodollars is derived from the number.
#[derive(Default)]
struct Ledger {
    tried: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
}

fn event(number: u64) -> String {
    let cost = number % 1000;
    let (minute, second) = (number / 60 % 60, number % 60);
    format!(
        "{{\"event_id\":\"e{number}\",\"event_time\":\"2026-01-02T03:{minute:02}:{second:02}Z\",\
         \"organization_id\":\"{ORGANIZATION}\",\"provider\":\"openai\",\"model\":\"m\",\
         \"user_id\":\"u{}\",\"conversation_id\":\"c{}\",\"input_tokens\":{},\"output_tokens\":1,\
         \"actual_api_cost\":\"0.000000000{cost:03}\"}}\n",
        number % 7,
        number % 31,
        number % 100,
    )
}

/// Sends batches until told to stop or the server is gone.
async fn load(client: Client, ledger: Arc<Mutex<Ledger>>, next: Arc<AtomicU64>) {
    loop {
        let first = next.fetch_add(BATCH_EVENTS, Ordering::SeqCst);
        let numbers: Vec<u64> = (first..first + BATCH_EVENTS).collect();
        ledger.lock().expect("ledger").tried.extend(&numbers);
        let body: String = numbers.iter().map(|number| event(*number)).collect();
        let Some((status, answer)) = client.send(body).await else { return };
        if status == 200 {
            assert_eq!(answer["accepted"], BATCH_EVENTS, "{answer}");
            ledger.lock().expect("ledger").acknowledged.extend(numbers);
        }
    }
}

/// Sends every event ever tried once more: what was acknowledged is answered
/// `duplicate`, and afterwards everything is there once.
async fn resend_everything(client: &Client, ledger: &Mutex<Ledger>) {
    let (tried, acknowledged) = {
        let ledger = ledger.lock().expect("ledger");
        (ledger.tried.clone(), ledger.acknowledged.clone())
    };
    let numbers: Vec<u64> = tried.iter().copied().collect();
    for chunk in numbers.chunks(5_000) {
        let body: String = chunk.iter().map(|number| event(*number)).collect();
        let (status, answer) = client.send(body).await.expect("an answer");
        assert_eq!(status, 200, "{answer}");
        for (number, result) in chunk.iter().zip(answer["results"].as_array().expect("results")) {
            if acknowledged.contains(number) {
                assert_eq!(result["status"], "duplicate", "{result}");
            }
        }
    }
    ledger.lock().expect("ledger").acknowledged = tried;
    check(client, ledger).await;
}

/// Everything acknowledged is there once; what is there was sent.
async fn check(client: &Client, ledger: &Mutex<Ledger>) {
    let rows = client
        .sql("SELECT event_id, count(*) AS copies FROM usage_events GROUP BY event_id ORDER BY event_id")
        .await;
    let mut stored = BTreeMap::new();
    for row in rows {
        let id = row["event_id"].as_str().expect("event_id");
        let number: u64 = id[1..].parse().expect("a number");
        stored.insert(number, row["copies"].as_u64().expect("copies"));
    }
    let ledger = ledger.lock().expect("ledger");
    let lost: Vec<_> = ledger.acknowledged.iter().filter(|one| !stored.contains_key(one)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let twice: Vec<_> = stored.iter().filter(|(_, copies)| **copies != 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    let invented: Vec<_> = stored.keys().filter(|one| !ledger.tried.contains(one)).collect();
    assert!(invented.is_empty(), "never sent: {invented:?}");
}

/// The dashboards' sums are those of the stored events.
async fn check_sums(client: &Client) {
    let rows = client
        .sql(
            "SELECT count(*) AS events, sum(input_tokens) AS tokens, sum(actual_api_cost) AS cost, \
              count(DISTINCT conversation_id) AS conversations FROM usage_events",
        )
        .await;
    let path = format!(
        "/api/organizations/{ORGANIZATION}/analytics/summary?date_from=2026-01-01&date_to=2026-01-31"
    );
    if rows[0]["events"] == 0 {
        return;
    }
    let summary = client.get(&path).await;
    assert_eq!(summary["total_events"], rows[0]["events"]);
    assert_eq!(summary["input_tokens"], rows[0]["tokens"]);
    assert_eq!(summary["total_conversations"], rows[0]["conversations"]);
    let cost = |value: &serde_json::Value| {
        spendlake::model::Money::parse(value.as_str().expect("money is a string")).expect("money")
    };
    assert_eq!(cost(&summary["actual_api_cost"]), cost(&rows[0]["cost"]));
}

/// A small flush and compaction, so that kills hit every step often.
const BUSY: [(&str, &str); 3] = [
    ("SPENDLAKE_FLUSH_ROWS_MAX", "300"),
    ("SPENDLAKE_COMPACT_FILES_MAX", "4"),
    ("SPENDLAKE_MAINTENANCE_INTERVAL_SECONDS", "1"),
];

/// Senders that run until their server is gone.
fn spawn_load(
    client: &Client,
    ledger: &Arc<Mutex<Ledger>>,
    next: &Arc<AtomicU64>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let one = || tokio::spawn(load(client.clone(), Arc::clone(ledger), Arc::clone(next)));
    (0..4).map(|_| one()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_under_load_lose_nothing_and_count_nothing_twice() {
    const KILLS: usize = 30;
    let seed = std::env::var("SPENDLAKE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or(20_261_124);
    println!("SPENDLAKE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("folder");
    let (ledger, next) = (Arc::new(Mutex::new(Ledger::default())), Arc::new(AtomicU64::new(0)));
    for kill in 0..KILLS {
        let mut server = Server::start(folder.path(), &BUSY).await;
        check(&server.client, &ledger).await;
        let senders = spawn_load(&server.client, &ledger, &next);
        let life = random.random_range(30..700);
        tokio::time::sleep(Duration::from_millis(life)).await;
        server.kill();
        for sender in senders {
            sender.await.expect("a sender");
        }
        let sent = ledger.lock().expect("ledger").acknowledged.len();
        println!("kill {kill} after {life} ms: {sent} events acknowledged so far");
    }
    let server = Server::start(folder.path(), &BUSY).await;
    check(&server.client, &ledger).await;
    check_sums(&server.client).await;
    resend_everything(&server.client, &ledger).await;
    check_sums(&server.client).await;
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder.path());
}

/// Ends the server at `point` while it is loaded, restarts it, and checks.
async fn crash_at(point: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let (ledger, next) = (Arc::new(Mutex::new(Ledger::default())), Arc::new(AtomicU64::new(0)));
    let mut environment = BUSY.to_vec();
    environment.push(("SPENDLAKE_TEST_CRASH_AT", point));
    let mut server = Server::start(folder.path(), &environment).await;
    let senders = spawn_load(&server.client, &ledger, &next);
    server.ended().await;
    for sender in senders {
        sender.await.expect("a sender");
    }
    let server = Server::start(folder.path(), &BUSY).await;
    check(&server.client, &ledger).await;
    resend_everything(&server.client, &ledger).await;
    check_sums(&server.client).await;
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder.path());
}

/// One test a place, named after it; the third pass, so that there is a past.
macro_rules! crash_points {
    ($($name:ident: $point:literal,)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            crash_at($point).await;
        })+
    };
}

crash_points! {
    crash_after_the_append_before_the_fsync_loses_nothing_acknowledged: "after_wal_append:30",
    crash_after_the_fsync_before_the_answer_counts_nothing_twice: "after_fsync:30",
    crash_between_the_commits_of_two_tables_counts_nothing_twice: "between_table_commits:3",
    crash_between_commit_and_publication_counts_nothing_twice: "after_commit:3",
    crash_between_commit_and_truncate_counts_nothing_twice: "before_truncate:3",
    crash_between_events_and_rollup_commit_loses_no_sum: "before_rollup:3",
    crash_during_compaction_keeps_every_row_once: "during_compaction:2",
}
