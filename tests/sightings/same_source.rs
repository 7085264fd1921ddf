//! Events of one source never compete: its ids tell them apart.

use serde_json::json;

use super::world::{Seen, World};
use super::{ORGANIZATION, event_with, send};
use crate::support::app::TestApp;

fn low(range: std::ops::Range<u32>) -> Vec<Seen> {
    range.map(|n| Seen::of("codex", "r", &format!("low-{n}"))).collect()
}

fn high(range: std::ops::Range<u32>) -> Vec<Seen> {
    range.map(|n| Seen::of("litellm", "r", &format!("high-{n}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_calls_of_a_source_that_repeats_its_request_ids_count() {
    let mut app = TestApp::new().await;
    let mut world = World::default();
    world.send(&app, &low(0..3)).await;
    world.send(&app, &low(3..4)).await;
    app.app.flush().await.expect("flushed");
    world.send(&app, &low(4..5)).await;
    app.restart().await;
    world.send(&app, &low(4..6)).await;
    let summary = app.json("/api/platform/analytics/summary?range=30d").await;
    assert_eq!(summary["total_events"], 6, "{summary}");
    world.check(&app).await;
}

/// More than the memory keeps of one request, partly hot and partly in files,
/// with a restart in between or not: all of them give way.
#[tokio::test(flavor = "multi_thread")]
async fn all_calls_of_a_source_give_way_to_a_higher_one() {
    for restarted in [false, true] {
        for flushed in [0, 1, 12, 20] {
            let mut app = TestApp::new().await;
            let mut world = World::default();
            for (number, event) in (0..).zip(low(0..20)) {
                if number == flushed {
                    app.app.flush().await.expect("flushed");
                }
                world.send(&app, &[event]).await;
            }
            if restarted {
                // Without a stop, which flushes: what was hot is replayed.
                app.reopen().await;
            }
            world.send(&app, &high(0..2)).await;
            world.check(&app).await;
            world.send(&app, &high(2..4)).await;
            world.send(&app, &low(20..22)).await;
            world.check(&app).await;
            app.restart().await;
            world.send(&app, &[low(0..22), high(0..4)].concat()).await;
            world.check(&app).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_event_is_restored_beside_others_of_its_source() {
    let app = TestApp::new().await;
    let of = |id: &str, tokens: u32| {
        event_with(id, json!({"source": "codex", "request_id": "r", "input_tokens": tokens}))
    };
    app.store(of("a", 1).to_string()).await;
    app.store(of("b", 2).to_string()).await;
    let name = json!({"organization_id": ORGANIZATION, "source": "codex", "event_id": "a"});
    let void = json!({"events": [name], "reason": "a test"});
    assert_eq!(send(&app, "/api/events/void", &void).await.json()["voided"], 1);
    let third = app.post(of("c", 3).to_string(), None).await.json();
    assert_eq!(third["accepted"], 1, "{third}");
    let replace = json!({"events": [of("a", 4)], "reason": "a test"});
    let answer = send(&app, "/api/events/replace", &replace).await.json();
    assert_eq!(answer["results"][0]["status"], "restored", "{answer}");
    let summary = app.json("/api/platform/analytics/summary?range=30d").await;
    assert_eq!((&summary["total_events"], &summary["input_tokens"]), (&json!(3), &json!(9)));
    app.assert_verifies().await;
}
