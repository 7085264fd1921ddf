//! Every answer of the whole engine equals that of a list and a loop, to the
//! last digit, whatever happened in between.

mod events;
mod filters;
mod questions;
mod sequence;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use sequence::{Aggregates, Progress, run};

/// Sequences of each of the four tests.
const SEQUENCES: u64 = 50;

/// Runs sequences `first` and on. `SPENDLAKE_TEST_SEED` changes all of them,
/// `SPENDLAKE_TEST_SEQUENCE` runs one.
async fn agree(first: u64, aggregates: Aggregates) {
    let variable = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = variable("SPENDLAKE_TEST_SEED").unwrap_or(20_261_124);
    let only = variable("SPENDLAKE_TEST_SEQUENCE");
    println!("SPENDLAKE_TEST_SEED={seed}");
    let (mut questions, mut about_events) = (0, 0);
    for number in first..first + SEQUENCES {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let progress = Progress::default();
        let one = run(seed.wrapping_add(number), aggregates, Arc::clone(&progress));
        // The cause was printed already; this names the way back to it.
        let Ok(asked) = AssertUnwindSafe(one).catch_unwind().await else {
            let place = progress.lock().expect("progress").clone();
            panic!(
                "SPENDLAKE_TEST_SEED={seed} SPENDLAKE_TEST_SEQUENCE={number}, {aggregates:?}: \
                 the engine differs from the model in {place}"
            );
        };
        questions += asked.questions;
        about_events += asked.about_events;
    }
    println!("{about_events} of {questions} questions were about any event");
    assert!(about_events * 2 > questions || only.is_some(), "{about_events} of {questions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_in_memory_answer_like_a_naive_model() {
    agree(0, Aggregates::InMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_in_files_answer_like_a_naive_model() {
    agree(SEQUENCES, Aggregates::InFiles).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_in_memory_answer_like_a_naive_model_in_other_sequences() {
    agree(2 * SEQUENCES, Aggregates::InMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_in_files_answer_like_a_naive_model_in_other_sequences() {
    agree(3 * SEQUENCES, Aggregates::InFiles).await;
}
