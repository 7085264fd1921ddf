//! The queue against a list and a loop.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NO_BOUNDS: QueueBounds = QueueBounds { requests: usize::MAX, rows: usize::MAX };

fn drain<T>(queue: &mut FairQueue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn a_small_sender_overtakes_a_flood() {
    let mut queue = FairQueue::new(NO_BOUNDS);
    for number in 0..100 {
        queue.push("flood", 5_000, ("flood", number)).expect("place");
    }
    for number in 0..3 {
        queue.push("small", 10, ("small", number)).expect("place");
    }
    let order = drain(&mut queue);
    assert_eq!(order[..3], [("small", 0), ("small", 1), ("small", 2)]);
    assert_eq!(order.len(), 103);
}

#[test]
fn equal_senders_alternate_by_rows_and_not_by_requests() {
    let mut queue = FairQueue::new(NO_BOUNDS);
    for _ in 0..10 {
        queue.push("large requests", 1_000, "large").expect("place");
        queue.push("small requests", 500, "small").expect("place");
    }
    let order: Vec<_> = drain(&mut queue).into_iter().take(6).collect();
    assert_eq!(order, ["large", "small", "small", "large", "small", "small"]);
}

#[test]
fn one_lane_gets_half_and_a_newcomer_always_finds_a_place() {
    let mut queue = FairQueue::new(QueueBounds { requests: 12, rows: usize::MAX });
    let fill = |queue: &mut FairQueue<()>, lane: &str| {
        let full = (0..).find_map(|_| queue.push(lane, 1, ()).err());
        full.expect("full").1
    };
    assert_eq!(fill(&mut queue, "a"), Full::Requests { lane: true });
    assert_eq!(queue.stats().requests, 6);
    fill(&mut queue, "b");
    assert_eq!(queue.stats().requests, 9);
    for newcomer in ["c", "d", "e"] {
        queue.push(newcomer, 1, ()).expect("place");
    }
    assert_eq!(queue.push("f", 1, ()), Err(((), Full::Requests { lane: false })));
}

#[test]
fn rows_are_bounded_too_and_an_empty_queue_takes_any_request() {
    let mut queue = FairQueue::new(QueueBounds { requests: 100, rows: 1_000 });
    queue.push("a", 50_000, ()).expect("an empty queue");
    assert_eq!(queue.push("b", 1, ()), Err(((), Full::Rows { lane: false })));
    assert_eq!(queue.pop(), Some(()));
    queue.push("a", 400, ()).expect("place");
    assert_eq!(queue.push("a", 200, ()), Err(((), Full::Rows { lane: true })));
    queue.push("a", 100, ()).expect("half");
    queue.push("b", 500, ()).expect("the other half");
}

#[derive(Debug, Clone)]
enum Step {
    Push { lane: usize, rows: usize },
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop_oneof![0..20_usize, 0..5_000_usize];
    prop_oneof![
        3 => (0..4_usize, rows).prop_map(|(lane, rows)| Step::Push { lane, rows }),
        2 => Just(Step::Pop),
    ]
}

/// A request of the model: lane, number, rows.
type Waiting = (usize, usize, usize);

fn check_bounds(model: &[Waiting], bounds: QueueBounds) -> Result<(), TestCaseError> {
    let rows: usize = model.iter().map(|(_, _, rows)| rows).sum();
    // Alone in the queue, a request may have any size.
    prop_assert!(model.len() <= bounds.requests.max(1));
    prop_assert!(model.len() <= 1 || rows <= bounds.rows.max(model[0].2));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_each_lane_keeps_its_order(
        steps in vec(step(), 1..200),
        requests in 1..40_usize,
        rows in 1..20_000_usize,
    ) {
        let bounds = QueueBounds { requests, rows };
        let mut queue = FairQueue::new(bounds);
        let mut model: Vec<Waiting> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { lane, rows } => {
                    let taken = queue.push(&lane.to_string(), rows, (lane, number)).is_ok();
                    prop_assert!(taken || !model.is_empty(), "an empty queue refused");
                    if taken {
                        model.push((lane, number, rows.max(1)));
                    }
                }
                Step::Pop => {
                    let popped = queue.pop();
                    prop_assert_eq!(popped.is_none(), model.is_empty());
                    if let Some((lane, number)) = popped {
                        let first = model.iter().position(|waiting| waiting.0 == lane);
                        let first = model.remove(first.expect("a request of that lane"));
                        prop_assert_eq!(first.1, number);
                    }
                }
            }
            check_bounds(&model, bounds)?;
            let stats = queue.stats();
            prop_assert_eq!(stats.requests, model.len());
            prop_assert_eq!(stats.rows, model.iter().map(|waiting| waiting.2).sum::<usize>());
        }
        let mut left: Vec<_> = drain(&mut queue);
        left.sort_unstable();
        let mut expected: Vec<_> = model.iter().map(|waiting| (waiting.0, waiting.1)).collect();
        expected.sort_unstable();
        prop_assert_eq!(left, expected);
        prop_assert_eq!(queue.stats(), QueueStats::default());
    }

    #[test]
    fn a_light_request_waits_for_at_most_one_turn_of_each_other_lane(
        heavy in vec((0..4_usize, 1..6_000_usize), 1..60),
        popped_before in 0..60_usize,
        rows in 1..=TURN_ROWS,
    ) {
        let mut queue = FairQueue::new(NO_BOUNDS);
        for (lane, rows) in &heavy {
            queue.push(&lane.to_string(), *rows, (*lane, *rows)).expect("place");
        }
        for _ in 0..popped_before {
            queue.pop();
        }
        const LIGHT: usize = 99;
        queue.push("light", rows, (LIGHT, rows)).expect("place");
        let largest = heavy.iter().map(|(_, rows)| *rows).max().expect("one at least");
        let mut before = [0; 4];
        while let Some((lane, rows)) = queue.pop().filter(|(lane, _)| *lane != LIGHT) {
            before[lane] += rows;
        }
        for rows in before {
            prop_assert!(rows < TURN_ROWS + largest, "{rows} rows of one lane came first");
        }
    }
}

#[test]
fn who_is_not_ready_is_passed_over_and_keeps_its_turn() {
    let mut queue = FairQueue::new(NO_BOUNDS);
    for (tenant, item) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1")] {
        queue.push(tenant, TURN_ROWS, item).expect("place");
    }
    assert_eq!(queue.pop_where(|tenant| tenant != "a"), Some("b1"));
    assert_eq!(queue.pop_where(|tenant| tenant == "nobody"), None);
    assert_eq!(drain(&mut queue), ["c1", "a1", "a2"]);
}

#[test]
fn what_is_dropped_leaves_its_room_and_its_lane() {
    let bounds = QueueBounds { requests: 3, rows: usize::MAX };
    let mut queue = FairQueue::new(bounds);
    queue.push("a", TURN_ROWS, 1).expect("place");
    queue.push("b", TURN_ROWS, 2).expect("place");
    queue.retain(|item| *item != 1);
    assert_eq!(queue.stats(), QueueStats { requests: 1, rows: TURN_ROWS, lanes: 1 });
    queue.push("c", TURN_ROWS, 3).expect("the room of what was dropped");
    assert_eq!(drain(&mut queue), [2, 3]);
}
