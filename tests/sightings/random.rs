//! Random arrivals against the model.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::world::{SOURCES, Seen, World};
use crate::support::app::TestApp;

const SEQUENCES: u64 = 12;
const STEPS: usize = 25;
/// Few requests, so that nearly every event competes.
const REQUESTS: u32 = 12;

fn event(random: &mut StdRng, next: &mut u32) -> Seen {
    *next += 1;
    let (source, _) = SOURCES[random.random_range(0..SOURCES.len())];
    let request = random.random_bool(0.9).then(|| random.random_range(0..REQUESTS).to_string());
    let id = format!("e{next}");
    Seen { source: source.to_owned(), request, id, salt: random.random_range(0..100_000) }
}

async fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let without_cube = random.random_bool(0.3);
    let mut app = TestApp::with(|config| {
        if without_cube {
            config.rollup_cache_bytes_max = 0;
        }
    })
    .await;
    let (mut world, mut next, mut sent) = (World::default(), 0, Vec::<Seen>::new());
    for _ in 0..STEPS {
        match random.random_range(0..10) {
            0..6 => {
                let mut events: Vec<Seen> =
                    (0..random.random_range(1..6)).map(|_| event(&mut random, &mut next)).collect();
                if !sent.is_empty() && random.random_bool(0.3) {
                    events.push(sent[random.random_range(0..sent.len())].clone());
                }
                world.send(&app, &events).await;
                sent.extend(events);
            }
            6..8 => app.app.flush().await.expect("flushed"),
            8 => drop(app.app.compact().await.expect("compacted")),
            _ => app.restart().await,
        }
        world.check(&app).await;
    }
    world.send(&app, &sent).await;
    world.check(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_the_highest_source_counts_and_of_equals_the_first() {
    let seed = std::env::var("SPENDLAKE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let first: u64 = seed.unwrap_or(20_261_124);
    let last = if seed.is_some() { first + 1 } else { first + SEQUENCES };
    for seed in first..last {
        println!("SPENDLAKE_TEST_SEED={seed}");
        run(seed).await;
    }
}
