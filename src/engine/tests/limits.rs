//! Reaching a limit is an answer that names the setting.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::fixture::{engine, random_events, row, rows, view};
use super::running::idle;
use crate::access::Principal;
use crate::engine::deep::CHAIN_MAX;
use crate::error::ErrorKind;

const ENDLESS: &str = "SELECT sum(value) FROM generate_series(1, 1000000000000)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_end_is_stopped_by_the_time_limit() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_seconds_max = 1);
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let endless = [
        ENDLESS,
        "SELECT count(*) FROM range(1, 9000000000000000) a, range(1, 9000000000000000) b",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 0 FROM n) SELECT count(*) FROM n",
    ];
    for text in endless {
        let started = Instant::now();
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{text}: {}", error.full_message());
        assert!(error.to_string().contains("query_"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{text}: {:?}", started.elapsed());
    }
    // What was stopped left its place.
    assert_eq!(row(&engine, &view, "SELECT 1").await, "1");
    idle(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_too_large_for_memory_names_the_setting() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| {
        config.query_memory_bytes_max = 4 << 20;
        config.query_memory_per_principal_bytes_max = 8 << 20;
        config.query_spill_bytes_max = 8 << 20;
        config.query_seconds_max = 60;
    });
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    for (text, setting) in [
        (
            "SELECT array_length(array_agg(value)) FROM generate_series(1, 20000000)",
            "query_memory_bytes_max",
        ),
        ("SELECT value FROM generate_series(1, 20000000) ORDER BY value % 7, value DESC", "query_"),
    ] {
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{text}: {}", error.full_message());
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_beyond_memory_spills_into_the_data_folder() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let left_over = folder.path().join("tmp/sql/left-over");
    fs::create_dir_all(&left_over).expect("create");
    let engine = engine(folder.path(), |config| {
        config.query_memory_bytes_max = 256 << 20;
        config.query_memory_per_principal_bytes_max = 256 << 20;
    });
    assert!(!left_over.exists(), "the spill folder is emptied at the start");
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let text = "SELECT lpad(cast(value AS varchar), 200, '-') AS wide FROM generate_series(1, 1200000) \
                ORDER BY value % 7, value DESC";
    let mut stream =
        engine.sql(Arc::clone(&view), &Principal::operator(), &text.into()).await.expect("stream");
    let mut count = 0;
    while let Some(batch) = stream.next().await {
        count += batch.map_err(|error| error.full_message()).expect("rows").num_rows();
    }
    assert_eq!(count, 1_200_000);
    // Its memory is free before the same statement runs again.
    drop(stream);
    let analyzed = rows(&engine, &view, &format!("EXPLAIN ANALYZE {text}")).await.expect("plan");
    let analyzed = analyzed.join(" ");
    let spills = analyzed.split("spill_count=").nth(1).expect("the sort's metrics");
    assert!(!spills.starts_with("0,"), "the sort did not spill: {analyzed}");
}

/// `step` of `s`, so many times, each over what the one before made.
fn repeated(count: usize, step: &str) -> String {
    let first = "WITH q0 AS (SELECT user_id AS s FROM usage_events)".to_owned();
    let all = (1..=count).fold(first, |all, at| {
        let before = at - 1;
        format!("{all}, q{at} AS (SELECT {step} AS s FROM q{before})")
    });
    format!("{all} SELECT count(s) FROM q{count}")
}

#[tokio::test]
async fn values_that_are_joined_are_measured_before_they_are() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(3, 20, 2)]);
    for step in [
        "s || s",
        "concat(s, s, s)",
        "concat_ws('-', s, s)",
        "[s, s]",
        "encode(s || s, 'hex')",
        "array_to_string([s, s, s], ',')",
        "overlay(s placing s from 1 for 0)",
    ] {
        let text = repeated(28, step);
        let error = rows(&engine, &view, &text).await.expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{step}: {}", error.full_message());
        assert!(error.to_string().contains("at once") || step.contains('['), "{step}: {error}");
    }
    for step in
        ["struct(s, s)", "(s, s)", "named_struct('a', s, 'b', s)", "map([1], [s])", "row(s, s)"]
    {
        let error = rows(&engine, &view, &repeated(28, step)).await.expect_err(step);
        assert!(error.to_string().contains("makes records"), "{step}: {error}");
    }
    let long = format!("SELECT '{}' FROM usage_events", "x".repeat(5_000));
    let joins = format!("SELECT 'a'{} FROM usage_events", " || user_id".repeat(65));
    let columns = (0..1_665).map(|number| format!("user_id AS u{number}"));
    let wide = columns.collect::<Vec<_>>().join(", ");
    let wide = format!("SELECT {wide} FROM usage_events");
    for (text, expected) in [
        (long, "has 5000 bytes; 4096 are the most"),
        (joins, "65 times; 64 are the most"),
        (wide, "1665 columns; 1664 are the most"),
    ] {
        let error = rows(&engine, &view, &text).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
    // As many words as drivers ask PostgreSQL about, and more than anybody does.
    let words = |count: usize| {
        let words = (0..count).map(|number| format!("'keyword{number:03}'"));
        format!("SELECT array_length([{}])", words.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(row(&engine, &view, &words(450)).await, "450");
    assert!(rows(&engine, &view, &words(900)).await.is_err());
    for (text, expected) in [
        ("SELECT 'a' || 1 || NULL || 'b'", "null"),
        ("SELECT 'a' || 1 || 'b' || true", "a1btrue"),
        (
            "SELECT concat('a', NULL, 2), concat_ws('-', 'a', NULL, 'b'), [1, 2] || 3",
            "a2 a-b [1, 2, 3]",
        ),
        ("SELECT min(user_id || '/' || status) FROM usage_events", "user-0-1/active"),
        (
            "SELECT count(DISTINCT (CASE WHEN user_id || model_name LIKE '%opus' THEN 1 END)) FROM usage_events",
            "1",
        ),
        ("SELECT struct(1, 'a')['c1'], encode('ab', 'hex'), map(['k'], [1])['k']", "a 6162 1"),
    ] {
        assert_eq!(row(&engine, &view, text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn functions_that_grow_are_measured_before_they_run() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(3, 20, 2)]);
    for text in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT length(repeat(repeat('x', 30000000), 60))",
        "SELECT length(lpad('x', 2000000000))",
        "SELECT length(rpad(model_name, 1000000 * 1000)) FROM usage_events",
        // A text that was made counts by its length, not by the view of it.
        "SELECT max(length(repeat(repeat(model_name, 5000), 300))) FROM usage_events",
        "SELECT array_length(array_repeat(1, 1000000000))",
        "SELECT array_length(array_resize([1], 1000000000, 0))",
        "SELECT length(replace(repeat('a', 2000), 'a', repeat('b', 2000)))",
        "SELECT length(regexp_replace(repeat('a', 2000), 'a', repeat('b', 2000), 'g'))",
        // For a row of many this much is little, for all of a batch it is not.
        "SELECT repeat('x', 250000)",
        "SELECT levenshtein('a', 'b')",
        "SELECT generate_series(1, 10000000000)",
        "SELECT range(1, 10000000000)",
    ] {
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
    }
    let long = "CASE WHEN event_id = (SELECT min(event_id) FROM usage_events) \
                THEN repeat(model_name, 2000) ELSE '' END";
    for (text, function) in [
        ("array_resize([model_name], 400, repeat(model_name, 5000))".to_owned(), "array_resize"),
        (
            "array_to_string(array_resize([model_name], 45, repeat(model_name, 5000)), '')".into(),
            "array_to_string",
        ),
        // One row is long in both, the others are empty.
        (format!("replace({long}, 'a', {long})"), "replace"),
    ] {
        let text = format!("SELECT count({text}) FROM usage_events");
        let error = rows(&engine, &view, &text).await.expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
        assert!(error.full_message().contains(&format!("{function}: ")), "{text}: {error}");
    }
    let calls = (0..17).map(|number| format!("length(repeat('x', {number}))"));
    let many = format!("SELECT {}", calls.collect::<Vec<_>>().join(", "));
    let error = rows(&engine, &view, &many).await.expect_err("too many calls");
    assert!(error.to_string().contains("17 times; 16 are the most"), "{error}");
    let small = "SELECT repeat('ab', 3), lpad('7', 3, '0'), array_length(array_repeat('x', 4)), \
                 list_repeat(1, 2), (SELECT max(length(rpad(event_id, 300))) FROM usage_events), \
                 (SELECT count(*) FROM generate_series(1, 5))";
    assert_eq!(row(&engine, &view, small).await, "ababab 007 4 [1, 1] 300 5");
}

/// A query over the one before it, whose number it is told.
type Again = fn(usize) -> String;

#[tokio::test]
async fn queries_that_name_each_other_twice_are_counted_before_they_are_written_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(3, 20, 2)]);
    let doubled = |count: usize, again: Again| {
        let first = "q0 AS (SELECT row_number() OVER () AS x FROM usage_events)".to_owned();
        let later = (1..=count).map(|at| format!("q{at} AS ({})", again(at - 1)));
        let all: Vec<String> = std::iter::once(first).chain(later).collect();
        format!("WITH {} SELECT count(*) FROM q{count}", all.join(", "))
    };
    let ways: [(Again, &str); 3] = [
        (|before| format!("SELECT a.x FROM q{before} a JOIN q{before} b ON a.x = b.x"), "20"),
        (|before| format!("SELECT x FROM q{before} UNION ALL SELECT x FROM q{before}"), "160"),
        (|before| format!("SELECT x FROM q{before} WHERE x IN (SELECT x FROM q{before})"), "20"),
    ];
    // Names that differ in case are others, where they stand in quotes.
    let mut cased = "WITH \"Q0\" AS (SELECT event_id x FROM usage_events)".to_owned();
    for at in 1..=12 {
        let (before, once) = (at - 1, format!("SELECT x FROM q{at}"));
        cased += &format!(", q{at} AS (SELECT x FROM \"Q{before}\")");
        cased += &format!(", \"Q{at}\" AS ({once} UNION ALL {once} UNION ALL {once})");
    }
    let cased = format!("{cased} SELECT count(*) FROM \"Q12\"");
    let error = rows(&engine, &view, &cased).await.expect_err("too many");
    assert!(error.to_string().contains("more than 1000 times"), "{error}");
    for (again, thrice) in ways {
        let error = rows(&engine, &view, &doubled(40, again)).await.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{}", error.full_message());
        assert!(error.to_string().contains("more than 1000 times"), "{error}");
        assert_eq!(row(&engine, &view, &doubled(3, again)).await, thrice);
    }
}

#[tokio::test]
async fn a_statement_beyond_the_places_is_busy_until_one_is_dropped() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| {
        config.query_concurrency_max = 1;
        config.query_wait_seconds_max = 1;
    });
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let running = engine
        .sql(Arc::clone(&view), &Principal::operator(), &ENDLESS.into())
        .await
        .expect("stream");
    let error = rows(&engine, &view, "SELECT 1").await.expect_err("busy");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(error.to_string().contains("query_concurrency_max"), "{error}");
    drop(running);
    assert_eq!(row(&engine, &view, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_description_that_finds_no_place_names_the_setting() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |config| config.query_seconds_max = 1);
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let every = engine.describing.available_permits().try_into().expect("few");
    let taken = engine.describing.acquire_many(every).await.expect("every place");
    let operator = Principal::operator();
    let describe = || engine.describe(Arc::clone(&view), &operator, "SELECT 1");
    let error = describe().await.expect_err("no place");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(error.to_string().contains("query_seconds_max"), "{error}");
    drop(taken);
    describe().await.expect("a place");
}

#[tokio::test]
async fn what_an_error_repeats_is_cut() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let text =
        "SELECT CAST(string_agg(repeat('x', 1000), '') AS INT) FROM generate_series(1, 9000)";
    let error = rows(&engine, &view, text).await.expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.full_message();
    assert!(message.contains("Cannot cast string") && message.len() < 5_000, "{message:.200}");
}

#[tokio::test]
async fn a_chain_of_operators_runs_up_to_its_bound() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let chain = |links: usize| format!("SELECT 1{}", "+1".repeat(links));
    assert_eq!(row(&engine, &view, &chain(CHAIN_MAX)).await, "1001");
    let unions = format!("SELECT count(*) FROM (SELECT 1{})", " UNION ALL SELECT 1".repeat(500));
    assert_eq!(row(&engine, &view, &unions).await, "501");
    for text in [chain(400_000), format!("DELETE FROM t WHERE {}", chain(400_000))] {
        let error = rows(&engine, &view, &text).await.expect_err("too deep");
        assert!(error.to_string().contains("1000 operators in a row"), "{error}");
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_or_too_deep_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    let deep = format!("SELECT {}1{}", "(".repeat(2000), ")".repeat(2000));
    for text in [long, deep] {
        let error = rows(&engine, &view, &text).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{}", error.full_message());
    }
}
