//! Random histories of events, copies, voids, replacements, repricings,
//! closes, forgettings, moves and restarts agree with a list of lines that are
//! added up in a loop.

mod ledger;
mod steps;

use rand::SeedableRng;
use rand::rngs::StdRng;

use steps::History;

/// Runs histories; `SPENDLAKE_TEST_SEED` changes all of them.
async fn agree(first: u64, histories: u64) {
    let seed = std::env::var("SPENDLAKE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or(20_261_124);
    println!("SPENDLAKE_TEST_SEED={seed}");
    for number in first..first + histories {
        println!("history {number}");
        let mut history = History::new(StdRng::seed_from_u64(seed + number)).await;
        for _ in 0..25 {
            history.step().await;
            history.check().await;
        }
        history.app.assert_verifies().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_agree_with_a_ledger() {
    agree(0, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_random_histories_agree_with_a_ledger() {
    agree(12, 12).await;
}
