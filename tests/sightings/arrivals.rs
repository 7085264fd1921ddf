//! Every order in which three sources can tell of one request.

use crate::support::app::TestApp;

use super::world::{Seen, World};

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// What happens between two arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Flush,
    Restart,
}

fn sources() -> [Seen; 3] {
    [Seen::of("litellm", "r", "gateway"), Seen::of("api", "r", "own"), Seen::of("codex", "r", "x")]
}

/// An event that competes with nobody, in the conversation of each.
fn bystanders() -> Vec<Seen> {
    let alone = |event: Seen| Seen { request: None, id: format!("alone-{}", event.id), ..event };
    sources().map(alone).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sources_in_one_body_count_once_in_every_order() {
    let app = TestApp::new().await;
    let mut world = World::default();
    for (number, order) in ORDERS.into_iter().enumerate() {
        let events = order.map(|place| {
            let event = sources()[place].clone();
            let id = format!("{}-{number}", event.id);
            Seen { request: Some(number.to_string()), id, ..event }
        });
        world.send(&app, &events).await;
        world.check(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sources_one_after_the_other_count_once_in_every_order() {
    for without_cube in [false, true] {
        for between in [Between::Nothing, Between::Flush, Between::Restart] {
            let mut app = TestApp::with(|config| {
                if without_cube {
                    config.rollup_cache_bytes_max = 0;
                }
            })
            .await;
            let mut world = World::default();
            world.send(&app, &bystanders()).await;
            for (number, order) in ORDERS.into_iter().enumerate() {
                for place in order {
                    let event = sources()[place].clone();
                    let id = format!("{}-{number}", event.id);
                    let event = Seen { request: Some(number.to_string()), id, ..event };
                    world.send(&app, std::slice::from_ref(&event)).await;
                    world.check(&app).await;
                    match between {
                        Between::Nothing => {}
                        Between::Flush => app.app.flush().await.expect("flushed"),
                        Between::Restart => app.restart().await,
                    }
                    world.send(&app, &[event]).await;
                    world.check(&app).await;
                }
            }
            app.app.flush().await.expect("flushed");
            app.app.compact().await.expect("compacted");
            app.restart().await;
            world.check(&app).await;
            app.app.rebuild_rollup().await.expect("rebuilt");
            world.check(&app).await;
        }
    }
}

/// Some losers are hot and others in the lake, and all give way at once.
#[tokio::test(flavor = "multi_thread")]
async fn hot_and_flushed_events_give_way_together() {
    let mut app = TestApp::new().await;
    let mut world = World::default();
    let of = |source: &str, number: u32| {
        Seen::of(source, &format!("r{number}"), &format!("{source}-{number}"))
    };
    let low = |range: std::ops::Range<u32>| range.map(|n| of("codex", n)).collect::<Vec<_>>();
    world.send(&app, &low(0..10)).await;
    app.app.flush().await.expect("flushed");
    world.send(&app, &low(10..20)).await;
    let high: Vec<Seen> = (5..25).map(|n| of("api", n)).collect();
    world.send(&app, &high).await;
    world.check(&app).await;
    let highest: Vec<Seen> = (0..25).map(|n| of("litellm", n)).collect();
    world.send(&app, &highest).await;
    world.check(&app).await;
    app.restart().await;
    world.check(&app).await;
    world.send(&app, &highest).await;
    world.check(&app).await;
}

/// Bodies of several senders in one group of the writer, or in several.
#[tokio::test(flavor = "multi_thread")]
async fn senders_at_the_same_time_leave_one_event_of_each_request() {
    let app = TestApp::new().await;
    for round in 0..20 {
        let bodies = ["codex", "api", "litellm", "gemini-cli"].map(|source| {
            let event = |n: u32| Seen::of(source, &format!("{round}-{n}"), &format!("{round}-{n}"));
            let events: Vec<_> = (0..10).map(|n| event(n).wire()).collect();
            app.post(crate::support::events::lines(&events), None)
        });
        for answer in futures::future::join_all(bodies).await {
            let json = answer.json();
            assert_eq!((answer.status, &json["rejected"]), (200, &serde_json::json!(0)), "{json}");
        }
        if round % 3 == 0 {
            app.app.flush().await.expect("flushed");
        }
    }
    let rows = app
        .sql(
            "SELECT source, sum(CAST(quantity AS BIGINT)) AS n FROM usage_events GROUP BY source \
             HAVING sum(CAST(quantity AS BIGINT)) <> 0",
        )
        .await;
    assert_eq!(rows, [serde_json::json!({"source": "litellm", "n": 200})]);
    let listed = app.sql("SELECT count(*) AS n FROM sightings").await;
    assert_eq!(listed[0]["n"], 600);
    app.assert_verifies().await;
}
