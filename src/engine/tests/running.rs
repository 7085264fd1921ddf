//! Statements side by side: who runs, who waits, who is stopped.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use super::super::{Engine, StatementState};
use super::fixture::{engine, row, rows, view};
use crate::access::{Domain, Grant, Origin, Permissions, Principal, Role};
use crate::error::ErrorKind;
use crate::flush::View;

/// Never ends, and never has a row.
const ENDLESS: &str = "SELECT count(*) FROM range(1, 9000000000000000) a, range(1, 900000000000) b";

/// Never ends, and always has more rows.
const ROWS: &str = "SELECT value FROM range(1, 9000000000000000)";

fn analyst(id: &str) -> Principal {
    let grant = Grant::new(Role::Analyst, Domain::Platform).expect("a grant");
    Principal::new(id, id, Origin::Token, vec![grant], Permissions::ALL)
}

/// Waits until `done`, at most ten seconds.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true");
}

/// Waits until every place is free.
pub(super) async fn idle(engine: &Engine) {
    until("a free engine", || engine.places.counts() == (0, 0)).await;
}

fn empty_view(folder: &std::path::Path) -> Arc<View> {
    view(folder, Vec::new(), Vec::new(), Vec::new(), &[])
}

#[tokio::test]
async fn dropping_the_rows_stops_the_work_and_frees_the_place() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_concurrency_max = 1);
    let view = empty_view(folder.path());
    let me = analyst("me");
    let mut stream = engine.sql(Arc::clone(&view), &me, &ROWS.into()).await.expect("stream");
    let id = stream.id().to_owned();
    assert!(stream.next().await.expect("a batch").expect("rows").num_rows() > 0);
    assert_eq!(engine.places.counts(), (1, 0));
    drop(stream);
    idle(&engine).await;
    let info = engine.statement(&me, &id).expect("remembered");
    assert_eq!(info.state, StatementState::Cancelled);
    assert_eq!(row(&engine, &view, "SELECT 1").await, "1");
}

#[tokio::test]
async fn giving_up_before_the_first_row_stops_the_work_too() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = empty_view(folder.path());
    let mut stream = engine.sql(view, &analyst("me"), &ENDLESS.into()).await.expect("stream");
    assert!(tokio::time::timeout(Duration::from_millis(50), stream.next()).await.is_err());
    drop(stream);
    idle(&engine).await;
}

/// Joins that pair rows for hours and keep none of the pairs, so that nothing
/// ever comes out of them.
const FRUITLESS: [&str; 5] = [
    "SELECT count(*) FROM range(1, 1000000) a, range(1, 1000000) b \
     WHERE a.value * b.value % 7 = 3",
    "SELECT count(*) FROM range(1, 1000000) a JOIN range(1, 1000000) b ON a.value + b.value < 0",
    "SELECT count(*) FROM range(1, 300000) a LEFT JOIN range(1, 300000) b \
     ON a.value % 1 = b.value % 1 AND a.value + b.value < 0",
    "SELECT count(*) FROM range(1, 1000000) a \
     WHERE EXISTS (SELECT 1 FROM range(1, 1000000) b WHERE a.value + b.value < 0)",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
];

#[tokio::test]
async fn a_join_without_a_pair_lets_go_of_its_thread_when_it_is_stopped() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_threads_max = 1);
    let view = empty_view(folder.path());
    let me = analyst("me");
    for text in FRUITLESS {
        let mut stream = engine.sql(Arc::clone(&view), &me, &text.into()).await.expect("a stream");
        let first = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
        assert!(first.is_err(), "{text} ended: {first:?}");
        drop(stream);
        let next = tokio::time::timeout(Duration::from_secs(5), row(&engine, &view, "SELECT 1"));
        assert_eq!(next.await.unwrap_or_else(|_| panic!("the thread is held by {text}")), "1");
    }
}

#[tokio::test]
async fn a_join_without_a_pair_ends_at_its_time() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| {
        (config.query_threads_max, config.query_seconds_max) = (1, 1);
    });
    let view = empty_view(folder.path());
    for text in FRUITLESS {
        let error = rows(&engine, &view, text).await.expect_err("no end");
        assert!(error.to_string().contains("query_seconds_max"), "{text}: {error}");
        let next = tokio::time::timeout(Duration::from_secs(5), row(&engine, &view, "SELECT 1"));
        assert_eq!(next.await.unwrap_or_else(|_| panic!("the thread is held by {text}")), "1");
    }
}

#[tokio::test]
async fn a_statement_that_waits_leaves_no_trace_when_dropped() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_concurrency_max = 1);
    let view = empty_view(folder.path());
    let me = analyst("me");
    let running = engine.sql(Arc::clone(&view), &me, &ENDLESS.into()).await.expect("stream");
    let statement = "SELECT 1".into();
    let waiting = engine.sql(Arc::clone(&view), &me, &statement);
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    assert_eq!(engine.places.counts(), (1, 0));
    assert_eq!(engine.statements(&me).len(), 1);
    drop(running);
    idle(&engine).await;
}

#[tokio::test]
async fn a_statement_can_be_stopped_by_its_id_while_it_runs_or_waits() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = Arc::new(engine(folder.path(), |config| config.query_concurrency_max = 1));
    let view = empty_view(folder.path());
    let run = |text: &'static str| {
        let (engine, view) = (Arc::clone(&engine), Arc::clone(&view));
        tokio::spawn(async move {
            let stream = engine.sql(view, &analyst("me"), &text.into()).await?;
            stream.try_collect::<Vec<_>>().await
        })
    };
    let (first, second) = (run(ENDLESS), run(ENDLESS));
    let me = analyst("me");
    until("two statements", || engine.statements(&me).len() == 2).await;
    until("one that runs", || engine.places.counts() == (1, 1)).await;
    let states: Vec<_> = engine.statements(&me).iter().map(|one| one.state).collect();
    assert!(states.contains(&StatementState::Waiting), "{states:?}");
    assert!(engine.statements(&analyst("other")).is_empty());
    for statement in engine.statements(&me) {
        engine.cancel(&me, &statement.id).await.expect("its own");
    }
    for task in [first, second] {
        let error = task.await.expect("no panic").expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.full_message());
    }
    idle(&engine).await;
    assert!(engine.statements(&me).is_empty());
}

#[tokio::test]
async fn one_principal_never_keeps_another_waiting() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| {
        config.query_concurrency_max = 3;
        config.query_concurrency_per_principal_max = 2;
        config.query_wait_seconds_max = 1;
    });
    let view = empty_view(folder.path());
    let greedy = analyst("greedy");
    let endless = ENDLESS.into();
    let start = || engine.sql(Arc::clone(&view), &greedy, &endless);
    let _running = (start().await.expect("first"), start().await.expect("second"));
    let error = start().await.expect_err("the third waits in vain");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("query_concurrency_per_principal_max"), "{error}");
    assert_eq!(row(&engine, &view, "SELECT 1").await, "1");
}

#[tokio::test]
async fn an_answer_of_too_many_rows_is_an_error_and_not_a_part() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_rows_max = 10);
    let view = empty_view(folder.path());
    let all = rows(&engine, &view, "SELECT value FROM range(0, 10)").await.expect("ten rows");
    assert_eq!(all.len(), 10);
    let error = rows(&engine, &view, "SELECT value FROM range(0, 11)").await.expect_err("eleven");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("10 rows") && error.to_string().contains("query_rows_max"));
    let counted = row(&engine, &view, "SELECT count(*) FROM range(0, 11)").await;
    assert_eq!(counted, "11", "rows that are not answered are not counted");
}

#[tokio::test]
async fn a_principal_reaches_its_share_of_memory_by_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| {
        config.query_memory_per_principal_bytes_max = 4 << 20;
        config.query_spill_bytes_max = 8 << 20;
    });
    let view = empty_view(folder.path());
    let text = "SELECT array_length(array_agg(value)) FROM generate_series(1, 20000000)";
    let error = rows(&engine, &view, text).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{}", error.full_message());
    assert!(error.to_string().contains("query_memory_per_principal_bytes_max"), "{error}");
}

#[tokio::test]
async fn our_own_questions_have_memory_when_statements_took_all_of_theirs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = empty_view(folder.path());
    let place = engine.places.take("greedy").await.expect("a place");
    let taken = datafusion::execution::memory_pool::MemoryConsumer::new("all");
    let taken = taken.register(&place.memory());
    taken.try_grow(512 << 20).expect("the share");
    let session = engine.session(&view).expect("session");
    let pool = &session.runtime_env().memory_pool;
    assert_eq!(pool.reserved(), 0);
    let own = datafusion::execution::memory_pool::MemoryConsumer::new("own").register(pool);
    own.try_grow(1 << 30).expect("all of the memory of dashboards");
}

#[tokio::test]
async fn who_may_not_run_sql_is_refused_at_every_entrance() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = empty_view(folder.path());
    let grant = Grant::new(Role::Ingest, Domain::Platform).expect("a grant");
    let nobody = Principal::new("i", "ingest", Origin::Token, vec![grant], Permissions::ALL);
    let error = engine.sql(Arc::clone(&view), &nobody, &"SELECT 1".into()).await.expect_err("sql");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("sql:read"), "{error}");
    let error = engine.describe(view, &nobody, "SELECT 1").await.expect_err("describe");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn statements_run_on_the_threads_of_sql() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_threads_max = 1);
    let name = engine.spawn(async { std::thread::current().name().map(str::to_owned) });
    assert_eq!(name.await.expect("no panic").as_deref(), Some("spendlake-sql"));
    let view = empty_view(folder.path());
    let plan = rows(&engine, &view, "EXPLAIN SELECT value, count(*) FROM range(1, 9) GROUP BY 1");
    let plan = plan.await.expect("plan").join(" ");
    assert!(!plan.contains("partitions=2") && !plan.contains("RepartitionExec"), "{plan}");
}
