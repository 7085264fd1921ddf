use std::sync::Mutex as SyncMutex;

use super::*;

fn places(change: impl FnOnce(&mut PlaceBounds)) -> Places {
    let mut bounds =
        PlaceBounds { running: 1, running_of_one: 1, waiting: 64, wait: Duration::from_secs(60) };
    change(&mut bounds);
    Places::new(bounds, MemoryBounds { whole: 1 << 20, of_one: 1 << 20 })
}

/// Lets every other task run as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn principals_are_served_in_turn_whoever_asked_more() {
    let places = places(|_| {});
    let first = places.take("somebody").await.expect("a place");
    let order = Arc::new(SyncMutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for (principal, name) in
        [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]
    {
        let (places, order) = (places.clone(), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let place = places.take(principal).await.expect("a place");
            order.lock().expect("order").push(name);
            drop(place);
        }));
        settle().await;
    }
    assert_eq!(places.counts(), (1, 6));
    drop(first);
    for task in waiting {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("order"), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    assert_eq!(places.counts(), (0, 0));
}

#[tokio::test]
async fn one_principal_leaves_places_to_others() {
    let places = places(|bounds| {
        bounds.running = 3;
        bounds.running_of_one = 2;
    });
    let first = places.take("a").await.expect("a place");
    let _second = places.take("a").await.expect("a place");
    let mut third = Box::pin(places.take("a"));
    assert!(futures::poll!(&mut third).is_pending(), "a has two places");
    let _other = places.take("b").await.expect("the place that a may not take");
    drop(first);
    third.await.expect("the place that a left");
}

#[tokio::test]
async fn a_wait_ends_and_names_the_settings() {
    let places = places(|bounds| bounds.wait = Duration::from_secs(1));
    let _running = places.take("a").await.expect("a place");
    let error = places.take("b").await.expect_err("no place came");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.retry_after_seconds(), Some(RETRY_SECONDS));
    let message = error.to_string();
    assert!(message.contains("waited 1 seconds") && message.contains("query_wait_seconds_max"));
    assert!(message.contains("query_concurrency_per_principal_max"), "{message}");
    assert_eq!(places.counts(), (1, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_the_greedy_first() {
    let places = places(|bounds| bounds.waiting = 3);
    let _running = places.take("a").await.expect("a place");
    let mut waits: Vec<_> = ["b", "c"].map(|one| Box::pin(places.take(one))).into();
    for wait in &mut waits {
        assert!(futures::poll!(wait).is_pending());
    }
    let error = places.take("b").await.expect_err("beyond the share of b");
    assert!(error.to_string().contains("your share"), "{error}");
    let mut last = Box::pin(places.take("d"));
    assert!(futures::poll!(&mut last).is_pending());
    let error = places.take("e").await.expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("query_queue_max 3"), "{error}");
    // Who stops waiting makes room at once.
    drop(waits);
    assert_eq!(places.counts(), (1, 1));
    let mut late = Box::pin(places.take("e"));
    assert!(futures::poll!(&mut late).is_pending());
}

#[tokio::test]
async fn without_a_queue_nobody_waits() {
    let places = places(|bounds| bounds.waiting = 0);
    let running = places.take("a").await.expect("a place");
    assert_eq!(places.take("b").await.expect_err("no queue").kind(), ErrorKind::Busy);
    drop(running);
    places.take("b").await.expect("a place");
}

#[tokio::test]
async fn a_place_for_somebody_who_went_away_goes_to_the_next() {
    let places = places(|_| {});
    let running = places.take("a").await.expect("a place");
    let mut gone = Box::pin(places.take("b"));
    let mut next = Box::pin(places.take("c"));
    assert!(futures::poll!(&mut gone).is_pending());
    assert!(futures::poll!(&mut next).is_pending());
    // The place is handed over, but nobody looks any more.
    drop(running);
    drop(gone);
    next.await.expect("a place");
    assert_eq!(places.counts(), (0, 0));
}

#[tokio::test]
async fn the_statements_of_one_principal_share_one_memory() {
    let places = places(|bounds| {
        bounds.running = 3;
        bounds.running_of_one = 2;
    });
    let (first, second) = (places.take("a").await, places.take("a").await);
    let (first, second) = (first.expect("a place"), second.expect("a place"));
    let other = places.take("b").await.expect("a place");
    assert!(Arc::ptr_eq(&first.memory, &second.memory));
    assert!(!Arc::ptr_eq(&first.memory, &other.memory));
}
