//! Which kinds of statements are run: each refusal has its test.

use super::fixture::{engine, random_events, rows, view};
use crate::error::ErrorKind;

/// Asserts that `text` is refused as `Invalid` with a message that names its
/// kind, and that nothing of it happened.
async fn assert_refused(text: &str, named: &str) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(1, 3, 1)]);
    for text in [text.to_owned(), format!("{text};"), format!("EXPLAIN {text}")] {
        let error = rows(&engine, &view, &text).await.expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
    }
    let message = rows(&engine, &view, text).await.expect_err(text).to_string();
    assert!(message.contains(named), "{text}: {message}");
    assert_eq!(
        rows(&engine, &view, "SELECT count(*) FROM usage_events").await.expect("rows"),
        ["3"]
    );
}

macro_rules! refused {
    ($($name:ident: $text:literal, $named:literal;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                assert_refused($text, $named).await;
            }
        )+
    };
}

refused! {
    create_table_is_refused: "CREATE TABLE t (a INT)", "CREATE TABLE is not run";
    create_table_as_is_refused: "CREATE TABLE t AS SELECT 1", "CREATE TABLE is not run";
    create_view_is_refused: "CREATE VIEW v AS SELECT 1", "CREATE VIEW is not run";
    create_schema_is_refused: "CREATE SCHEMA s", "CREATE SCHEMA is not run";
    create_function_is_refused:
        "CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN $1", "CREATE FUNCTION is not run";
    create_external_table_is_refused:
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL is not run";
    alter_table_is_refused: "ALTER TABLE usage_events ADD COLUMN a INT", "ALTER TABLE is not run";
    drop_table_is_refused: "DROP TABLE usage_events", "DROP TABLE is not run";
    insert_is_refused: "INSERT INTO usage_events SELECT * FROM usage_events", "INSERT is not run";
    update_is_refused: "UPDATE usage_events SET source = 'x'", "UPDATE is not run";
    delete_is_refused: "DELETE FROM usage_events", "DELETE is not run";
    truncate_is_refused: "TRUNCATE TABLE usage_events", "TRUNCATE is not run";
    copy_to_a_file_is_refused: "COPY (SELECT 1) TO '/tmp/x.parquet'", "COPY is not run";
    set_is_refused: "SET datafusion.execution.batch_size = 1", "SET is not run";
    prepare_is_refused: "PREPARE p AS SELECT 1", "PREPARE is not run";
    execute_is_refused: "EXECUTE p", "EXECUTE is not run";
    deallocate_is_refused: "DEALLOCATE p", "DEALLOCATE is not run";
    begin_is_refused: "BEGIN", "BEGIN is not run";
    start_transaction_is_refused: "START TRANSACTION", "is not run";
    commit_is_refused: "COMMIT", "COMMIT is not run";
    rollback_is_refused: "ROLLBACK", "ROLLBACK is not run";
}

#[tokio::test]
async fn reset_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let error = rows(&engine, &view, "RESET datafusion.execution.batch_size").await;
    assert!(error.expect_err("refused").to_string().contains("RESET is not run"));
}

#[tokio::test]
async fn a_query_that_hides_a_change_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[&random_events(1, 3, 1)]);
    for text in [
        "WITH gone AS (DELETE FROM usage_events RETURNING *) SELECT * FROM gone",
        "WITH more AS (INSERT INTO usage_events SELECT * FROM usage_events) SELECT 1",
        "SELECT * INTO copied FROM usage_events",
        "EXPLAIN ANALYZE DELETE FROM usage_events",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    ] {
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
    }
    assert_eq!(
        rows(&engine, &view, "SELECT count(*) FROM usage_events").await.expect("rows"),
        ["3"]
    );
}

#[tokio::test]
async fn several_statements_are_refused_before_the_first_runs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    for text in ["SELECT 1; SELECT 2", "SELECT 1; DROP TABLE usage_events"] {
        let error = rows(&engine, &view, text).await.expect_err(text);
        assert!(error.to_string().contains("2 statements; send one at a time"), "{error}");
    }
    assert_eq!(rows(&engine, &view, "SELECT 1;").await.expect("a closing semicolon"), ["1"]);
}
