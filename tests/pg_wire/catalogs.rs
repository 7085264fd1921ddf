//! What tools ask of the catalogs before they ask for anything else.

use tokio_postgres::Client;

use super::fixture::{ANALYST, Served, column, texts};

async fn found(client: &Client, query: &str) -> Vec<Vec<String>> {
    let rows = texts(client, query).await.into_iter();
    rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_knows_who_where_and_what_it_is() {
    let served = Served::new().await;
    let client = served.client().await;
    let query = "SELECT current_user, session_user, current_database(), current_schema(), \
                 version(), current_setting('server_version_num'), pg_backend_pid() > 0, \
                 pg_is_in_recovery()";
    let row = found(&client, query).await.remove(0);
    assert_eq!(row[..4], [ANALYST, ANALYST, "spendlake", "public"]);
    assert!(row[4].starts_with("PostgreSQL 15."), "{row:?}");
    assert_eq!(row[5..], ["150008", "t", "f"]);
}

/// psql 15: `\dt`.
const PSQL_TABLES: &str = r#"SELECT n.nspname as "Schema",
  c.relname as "Name",
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END as "Type",
  pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r','p','')
      AND n.nspname <> 'pg_catalog'
      AND n.nspname !~ '^pg_toast'
      AND n.nspname <> 'information_schema'
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 1,2;"#;

#[tokio::test(flavor = "multi_thread")]
async fn psql_lists_tables() {
    let served = Served::new().await;
    let client = served.client().await;
    let rows = found(&client, PSQL_TABLES).await;
    let row = rows.iter().find(|row| row[1] == "usage_events").expect("usage_events");
    assert_eq!(*row, ["public", "usage_events", "table", "spendlake"]);
    assert!(rows.iter().all(|row| row[2] == "table"), "{rows:?}");
    // What only our own views use is not listed.
    assert!(!rows.iter().any(|row| row[1] == "usage_daily_files"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_a_table() {
    let served = Served::new().await;
    let client = served.client().await;
    let oids = column(
        &client,
        "SELECT c.oid, n.nspname, c.relname
FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.~) '^(usage_events)$' COLLATE pg_catalog.default
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 2, 3;",
    )
    .await;
    let [oid] = oids.as_slice() else { panic!("{oids:?}") };
    let columns = format!(
        "SELECT a.attname,
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
   FROM pg_catalog.pg_attrdef d
   WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
  a.attnotnull,
  (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
   WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
  a.attidentity,
  a.attgenerated
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;"
    );
    let rows = found(&client, &columns).await;
    let kind = |name: &str| {
        rows.iter().find(|row| row[0] == name).map(|row| row[1].clone()).expect("a column")
    };
    assert_eq!(kind("event_id"), "text");
    assert_eq!(kind("event_time"), "timestamp with time zone");
    assert_eq!(kind("usage_date"), "date");
    assert_eq!(kind("input_tokens"), "bigint");
    assert_eq!(kind("charged_cost"), "numeric");
    assert_eq!(kind("quantity"), "smallint");
    assert_eq!(kind("tags"), "text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_same_number_in_every_session() {
    let served = Served::new().await;
    let query = "SELECT oid FROM pg_catalog.pg_class WHERE relname = 'usage_events'";
    let first = column(&served.client().await, query).await;
    let named = "SELECT 'usage_events'::regclass::oid";
    assert_eq!(column(&served.client().await, named).await, first);
    let attributes = "SELECT DISTINCT attrelid FROM pg_catalog.pg_attribute a \
                      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
                      WHERE c.relname = 'usage_events'";
    assert_eq!(column(&served.client().await, attributes).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_over_our_tables_are_asked_as_they_are() {
    let served = Served::with_events().await;
    let client = served.client().await;
    // The library would make the subquery null.
    let query = "SELECT (SELECT max(user_id) FROM usage_events) AS last, current_user \
                 FROM usage_events LIMIT 1";
    assert_eq!(found(&client, query).await, [["eve", ANALYST]]);
}
