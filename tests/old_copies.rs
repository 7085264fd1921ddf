//! An event is stored once, also while the memory of keys forgets it.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};

/// Three maintenance ticks: the memory forgets in one of them.
const SENDING: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_sent_while_its_key_is_forgotten_is_a_duplicate() {
    let app = TestApp::new().await;
    let copy = || lines(&[event_with("once", json!({"event_time": "2026-11-24T09:00:00Z"}))]);
    app.store(copy()).await;
    app.app.flush().await.expect("flushed");
    app.clock.advance(TimeDelta::days(41));
    let (start, mut sends) = (Instant::now(), 0);
    while start.elapsed() < SENDING {
        for answer in join_all((0..3).map(|_| app.post(copy(), None))).await {
            sends += 1;
            let json = answer.json();
            assert_eq!(json["duplicate"], 1, "copy {sends}, {:?}: {json}", start.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_forgotten_event_is_a_duplicate_after_the_time_zone_changed() {
    let app = TestApp::new().await;
    let late = json!({"event_time": "2026-11-20T23:30:00Z"});
    let copy = || lines(&[event_with("once", late.clone())]);
    app.store(copy()).await;
    app.app.flush().await.expect("flushed");
    let zone = json!({"name": "Acme", "time_zone": "Europe/Berlin"});
    app.put(&format!("/api/organizations/{ORGANIZATION}"), zone).await;
    app.clock.advance(TimeDelta::days(80));
    let start = Instant::now();
    while start.elapsed() < SENDING {
        let answer = app.post(copy(), None).await.json();
        assert_eq!(answer["duplicate"], 1, "{:?}: {answer}", start.elapsed());
    }
}
