//! Ad-hoc SQL reads the lake and nothing else.

use std::fs;
use std::sync::Arc;

use super::fixture::{engine, random_events, row, rows, three_part_view, view};
use crate::error::ErrorKind;

#[tokio::test]
async fn statements_that_write_or_reach_files_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(1, 30, 2);
    let view = three_part_view(folder.path(), [&events[..10], &events[10..20], &events[20..]]);
    let secret = folder.path().join("secret.csv");
    fs::write(&secret, "a\n1\n").expect("write");
    let (secret, out) = (secret.display(), folder.path().join("out.parquet"));
    let target = out.display();
    let statements = [
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{secret}'"),
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM \"{secret}\""),
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT * FROM read_parquet('{secret}')"),
        format!("SELECT * FROM parquet_metadata('{secret}')"),
        format!("COPY (SELECT 1) TO '{target}' STORED AS PARQUET"),
        format!("COPY usage_events TO '{target}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{target}' STORED AS PARQUET"),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "CREATE SCHEMA s".to_owned(),
        "CREATE DATABASE d".to_owned(),
        "CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN $1".to_owned(),
        "DROP TABLE usage_events".to_owned(),
        "DROP VIEW usage_daily".to_owned(),
        "INSERT INTO usage_events SELECT * FROM usage_events".to_owned(),
        "DELETE FROM usage_events".to_owned(),
        "UPDATE usage_events SET source = 'x'".to_owned(),
        "TRUNCATE TABLE usage_events".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "RESET datafusion.execution.batch_size".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "EXECUTE p".to_owned(),
        "BEGIN".to_owned(),
        "COMMIT".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        String::new(),
        "SELEC 1".to_owned(),
        "SELECT nothing FROM usage_events".to_owned(),
        "SELECT * FROM usage_events_uncovered".to_owned(),
        "SELECT * FROM usage_daily_files".to_owned(),
    ];
    for text in &statements {
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
    }
    assert!(!out.exists(), "nothing was written");
    assert_eq!(row(&engine, &view, "SELECT count(*) FROM usage_events").await, "30");
}

#[tokio::test]
async fn messages_name_what_is_wrong_on_one_line() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(1, 30, 2);
    let view = three_part_view(folder.path(), [&events[..10], &events[10..20], &events[20..]]);
    for (text, named) in [
        ("SELECT organisation_id FROM usage_events", "organisation_id"),
        ("SELECT * FROM usage_event", "usage_event"),
        ("SELECT 1 +", "Expected"),
        ("SELECT cast(model_name AS bigint) FROM usage_events", "Cannot cast"),
        ("SELECT 1 / (quantity - quantity) FROM usage_events", "ivide by zero"),
        ("DROP TABLE usage_events", "only reads"),
        ("SELECT 1; SELECT 2; SELECT 3", "3 statements"),
    ] {
        let error = rows(&engine, &view, text).await.expect_err(text);
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {message}");
        assert!(message.contains(named), "{text}: {message}");
        assert!(!message.contains('\n') && !message.contains("backtrace"), "{text}: {message}");
    }
}

#[tokio::test]
async fn statements_about_the_tables_work() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(1, 30, 2);
    let view = three_part_view(folder.path(), [&events[..10], &events[10..20], &events[20..]]);
    let all = |text: &'static str| rows(&engine, &view, text);
    let plan =
        all("EXPLAIN SELECT sum(events) FROM user_daily_stats WHERE usage_date = '2026-01-01'")
            .await;
    assert!(plan.expect("plan").join(" ").contains("DataSourceExec"));
    let plan = all("EXPLAIN ANALYZE SELECT count(event_id) FROM usage_events").await;
    assert!(plan.expect("plan").join(" ").contains("output_rows"));
    let tables = all("SHOW TABLES").await.expect("tables").join("\n");
    assert!(tables.contains("organization_monthly_stats") && !tables.contains("usage_daily_files"));
    assert_eq!(all("DESCRIBE usage_events").await.expect("columns").len(), 32);
    let columns =
        all("SELECT data_type FROM information_schema.columns WHERE column_name = 'profit_amount'")
            .await;
    assert_eq!(columns.expect("columns"), vec!["Decimal128(38, 12)"; 10]);
}

#[tokio::test]
async fn our_own_sessions_see_the_same_tables() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(1, 8, 1)]);
    let session = engine.session(&view).expect("session");
    let frame =
        session.sql("SELECT event_id FROM usage_events WHERE quantity <> $1").await.expect("plan");
    let frame = frame
        .with_param_values(vec![datafusion::scalar::ScalarValue::Int8(Some(0))])
        .expect("bound");
    assert_eq!(frame.count().await.expect("count"), 8);
    assert!(Arc::strong_count(&view) > 1, "the session holds its view");
}
