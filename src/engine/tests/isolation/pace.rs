//! How long two lakes take for a statement, as far as somebody could tell them
//! apart by it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Outcome;

/// How often a statement is asked before two lakes are said to differ: some
/// answers depend on which of two tasks was faster, and every time on what
/// else the machine does.
pub(super) const ROUNDS: usize = 12;

/// What takes less is lost among what the machine does besides.
const FLOOR: Duration = Duration::from_millis(50);

/// So many times as long is another class.
const CLASS: u32 = 4;

/// The shortest and the longest time of one lake.
type Times = (Duration, Duration);

/// What two lakes answered to one statement, and how long each took.
#[derive(Debug)]
pub(super) struct Asked {
    pub of_first: BTreeSet<Outcome>,
    pub of_second: BTreeSet<Outcome>,
    pub times: [Times; 2],
}

impl Asked {
    /// What both answered.
    pub(super) fn same(&self) -> Option<&Outcome> {
        self.of_first.intersection(&self.of_second).next()
    }

    /// Whether one took so much longer, each time than the other at any time,
    /// that its rows show in it. On a busy machine both are slow now and then,
    /// and never by turns for long.
    pub(super) fn takes_another_time(&self) -> bool {
        let [first, second] = self.times;
        let is_longer = |longer: Times, other: Times| {
            longer.0 > FLOOR && longer.0 > other.1.saturating_mul(CLASS)
        };
        is_longer(first, second) || is_longer(second, first)
    }
}

/// Asks two lakes, each first by turns, until they agree or were asked often
/// enough. `any`: what they answer need not be the same.
pub(super) async fn ask_both(
    first: impl AsyncFn() -> Outcome,
    second: impl AsyncFn() -> Outcome,
    any: bool,
) -> Asked {
    let mut asked = Asked {
        of_first: BTreeSet::new(),
        of_second: BTreeSet::new(),
        times: [(Duration::MAX, Duration::ZERO); 2],
    };
    for round in 0..ROUNDS {
        for lake in [round % 2, (round + 1) % 2] {
            let begun = Instant::now();
            match lake {
                0 => asked.of_first.insert(first().await),
                _ => asked.of_second.insert(second().await),
            };
            let time = begun.elapsed();
            let (shortest, longest) = asked.times[lake];
            asked.times[lake] = (shortest.min(time), longest.max(time));
        }
        if (any || asked.same().is_some()) && !asked.takes_another_time() {
            break;
        }
    }
    asked
}

async fn quick() -> Outcome {
    Ok(Vec::new())
}

async fn slow() -> Outcome {
    tokio::time::sleep(FLOOR * 2).await;
    quick().await
}

#[tokio::test]
async fn a_lake_that_is_always_slower_is_seen() {
    assert!(ask_both(quick, slow, false).await.takes_another_time());
    assert!(ask_both(slow, quick, true).await.takes_another_time());
}

#[tokio::test]
async fn a_lake_that_was_slower_once_is_not() {
    let before = Cell::new(0);
    let slow_at_first = async || match before.replace(before.get() + 1) {
        0 => slow().await,
        _ => quick().await,
    };
    let asked = ask_both(quick, slow_at_first, false).await;
    assert_eq!(before.get(), 2, "it was asked again");
    assert!(!asked.takes_another_time());
}
