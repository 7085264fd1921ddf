//! `kill -9` while events give way: of each request one event counts, at
//! every moment.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::events::{event_with, lines};
use crate::support::server::{Client, Server, assert_verifies};

/// Events of one body.
const EVENTS: u32 = 40;

fn body(source: &str, requests: std::ops::Range<u32>) -> String {
    let event = |number: u32| {
        let id = format!("{source}-{number}");
        let cost = format!("0.0000000000{:02}", number % 100);
        event_with(
            &id,
            json!({
                "source": source, "request_id": format!("r{number}"), "input_tokens": number,
                "actual_api_cost": cost, "conversation_id": format!("{source}-{}", number % 5),
            }),
        )
    };
    lines(&requests.map(event).collect::<Vec<Value>>())
}

/// How many requests each source counts for. Fails where one counts twice.
async fn counted(client: &Client) -> BTreeMap<String, u64> {
    let twice = client
        .sql(
            "SELECT request_id, sum(CAST(quantity AS BIGINT)) AS n FROM usage_events \
             GROUP BY request_id HAVING sum(CAST(quantity AS BIGINT)) <> 1",
        )
        .await;
    assert!(twice.is_empty(), "{twice:?}");
    let listed = client
        .sql(
            "SELECT event.event_id FROM usage_events AS event JOIN sightings AS sighting \
             ON event.source = sighting.source AND event.event_id = sighting.event_id \
             GROUP BY event.event_id HAVING sum(CAST(event.quantity AS BIGINT)) <> 0",
        )
        .await;
    assert!(listed.is_empty(), "{listed:?}");
    let rows = client
        .sql(
            "SELECT source, sum(CAST(quantity AS BIGINT)) AS n FROM usage_events GROUP BY source \
             HAVING sum(CAST(quantity AS BIGINT)) <> 0",
        )
        .await;
    let count = |row: &Value| {
        (row["source"].as_str().expect("a source").to_owned(), row["n"].as_u64().expect("n"))
    };
    rows.iter().map(count).collect()
}

/// Resends everything and checks what is left of it.
async fn settle(folder: &std::path::Path, requests: u32) {
    let server = Server::start(folder, &[]).await;
    counted(&server.client).await;
    for source in ["codex", "api"] {
        let (status, answer) = server.client.send(body(source, 0..requests)).await.expect("sent");
        assert_eq!(status, 200, "{answer}");
    }
    let all = BTreeMap::from([("api".to_owned(), u64::from(requests))]);
    assert_eq!(counted(&server.client).await, all);
    let listed = server.client.sql("SELECT count(*) AS n FROM sightings").await;
    assert_eq!(listed[0]["n"], requests);
    let path = "/api/platform/analytics/summary?date_from=2026-11-01&date_to=2026-11-30";
    let summary = server.client.get(path).await;
    let conversations = requests.min(5);
    assert_eq!(summary["total_events"], requests);
    assert_eq!(summary["total_conversations"], conversations, "{summary}");
    assert!(server.stop().await, "a clean stop");
    assert_verifies(folder);
}

/// Ends the server at `point` while the second half of its requests get a
/// higher source, the first events being hot or flushed.
async fn crash_at(point: &str, flushed: bool) {
    let folder = tempfile::tempdir().expect("folder");
    let crash = [("SPENDLAKE_TEST_CRASH_AT", point)];
    let environment: &[_] = if flushed { &[] } else { &crash };
    let mut server = Server::start(folder.path(), environment).await;
    let (_, answer) = server.client.send(body("codex", 0..EVENTS)).await.expect("sent");
    assert_eq!(answer["accepted"], EVENTS, "{answer}");
    if flushed {
        // Stopping flushes.
        assert!(server.stop().await, "a clean stop");
        server = Server::start(folder.path(), &crash).await;
    }
    let sent = server.client.send(body("api", EVENTS / 2..EVENTS)).await;
    if let Some((status, answer)) = sent {
        // The crash comes with the next flush.
        assert_eq!((status, &answer["accepted"]), (200, &json!(EVENTS / 2)), "{answer}");
    }
    server.ended().await;
    let server = Server::start(folder.path(), &[]).await;
    let counted = counted(&server.client).await;
    let high = counted.get("api").copied().unwrap_or_default();
    assert!(high == 0 || high == u64::from(EVENTS / 2), "{counted:?}");
    drop(server);
    settle(folder.path(), EVENTS).await;
}

/// One test a place, named after it.
macro_rules! crash_points {
    ($($name:ident: $point:literal, $flushed:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            crash_at($point, $flushed).await;
        })+
    };
}

crash_points! {
    crash_after_the_append_of_what_supersedes_hot_events: "after_wal_append:2", false;
    crash_after_the_fsync_of_what_supersedes_hot_events: "after_fsync:2", false;
    crash_between_the_commits_of_sightings_and_events: "between_table_commits", false;
    crash_before_the_truncation_of_what_superseded_hot_events: "before_truncate", false;
    crash_after_the_append_of_what_supersedes_flushed_events: "after_wal_append", true;
    crash_between_the_frame_and_the_commit_that_it_asks_for: "before_superseding", true;
    crash_between_the_commit_of_superseding_rows_and_their_sums: "after_superseding", true;
    crash_between_superseding_sums_and_their_publication: "after_superseding_rollup", true;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_sources_compete_leave_one_event_of_each_request() {
    const KILLS: u32 = 12;
    let seed = std::env::var("SPENDLAKE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or(20_261_124);
    println!("SPENDLAKE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("folder");
    let environment = [("SPENDLAKE_FLUSH_ROWS_MAX", "60")];
    let mut next = 0;
    for _ in 0..KILLS {
        let mut server = Server::start(folder.path(), &environment).await;
        counted(&server.client).await;
        let client = server.client.clone();
        let first = next;
        let load = tokio::spawn(async move {
            let mut from = first;
            loop {
                if client.send(body("codex", from..from + 10)).await.is_none() {
                    return from + 10;
                }
                // Some that came with this body, and some that are flushed.
                let late = from.saturating_sub(40);
                if client.send(body("api", late..from + 5)).await.is_none() {
                    return from + 10;
                }
                from += 10;
            }
        });
        tokio::time::sleep(Duration::from_millis(random.random_range(50..900))).await;
        server.kill();
        next = load.await.expect("the load");
    }
    println!("{next} requests");
    settle(folder.path(), next).await;
}
