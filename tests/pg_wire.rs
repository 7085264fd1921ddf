//! The PostgreSQL protocol, spoken by a real client library.

mod attempts;
mod catalogs;
pub(crate) mod fixture;
mod tenants;
mod tls;

use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use rust_decimal::Decimal;
use serde_json::json;
use tokio_postgres::types::Type;

use crate::support::events::{event_with, lines};
use fixture::{Served, code, column, refusal, texts};

#[tokio::test(flavor = "multi_thread")]
async fn values_are_exact_in_the_text_format() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let rows = texts(
        &client,
        "SELECT event_id, actual_api_cost, charged_cost, event_time, usage_date, input_tokens, \
         duration_ms, quantity, tags FROM usage_events ORDER BY event_id",
    )
    .await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(rows[0][1], text("0.000013500001"));
    assert_eq!(rows[0][8], text(r#"{"project":"a \"b\""}"#));
    assert_eq!(
        rows[1][2..8],
        [
            text("999999.000000000001"),
            text("2026-11-21 08:00:00.123456+00"),
            text("2026-11-21"),
            text("1000"),
            text("12"),
            text("1"),
        ]
    );
    // An unknown cost is null, never 0.
    assert_eq!(rows[2][1..3], [None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_exact_in_the_binary_format() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let query = "SELECT charged_cost, event_time, usage_date, input_tokens, quantity, user_id, \
                 (charged_cost * charged_cost)::text AS squared, count(*) OVER () AS events, \
                 row_number() OVER (ORDER BY event_id) AS place, 0.1::double precision AS tenth, \
                 ARRAY['a', NULL, 'b'] AS words, true AS yes \
                 FROM usage_events WHERE event_id = $1";
    let row = client.query_one(query, &[&"2"]).await.expect("a row");
    let decimal = |text: &str| text.parse::<Decimal>().expect("a decimal");
    assert_eq!(row.get::<_, Decimal>(0), decimal("999999.000000000001"));
    let time: DateTime<Utc> = "2026-11-21T08:00:00.123456Z".parse().expect("a time");
    assert_eq!(row.get::<_, DateTime<Utc>>(1), time);
    assert_eq!(row.get::<_, NaiveDate>(2).to_string(), "2026-11-21");
    assert_eq!((row.get::<_, i64>(3), row.get::<_, i16>(4)), (1000, 1));
    assert_eq!(row.get::<_, &str>(5), "bob");
    assert_eq!(row.get::<_, &str>(6), "999998000001.000001999998000000000001");
    assert_eq!((row.get::<_, i64>(7), row.get::<_, i64>(8)), (1, 1));
    assert!((row.get::<_, f64>(9) - 0.1).abs() < f64::EPSILON && row.get::<_, bool>(11));
    assert_eq!(row.get::<_, Vec<Option<&str>>>(10), [Some("a"), None, Some("b")]);
    let unknown = client
        .query_one("SELECT charged_cost FROM usage_events WHERE event_id = $1", &[&"3"])
        .await
        .expect("a row");
    assert_eq!(unknown.get::<_, Option<Decimal>>(0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_type_of_their_place_or_the_one_that_the_client_says() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let text = "SELECT event_id FROM usage_events WHERE event_time > $1 AND input_tokens >= $2 \
                AND charged_cost > $3 ORDER BY 1 LIMIT $4::bigint";
    let statement = client.prepare(text).await.expect("prepared");
    let expected = [Type::TIMESTAMPTZ, Type::INT8, Type::NUMERIC, Type::INT8];
    assert_eq!(statement.params(), expected);
    let time: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().expect("a time");
    let least = "0.5".parse::<Decimal>().expect("a decimal");
    let rows = client.query(&statement, &[&time, &1_i64, &least, &10_i64]).await.expect("rows");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["2"]);

    let typed = "SELECT $1 + 1, $2, $3";
    let types = [Type::INT4, Type::NUMERIC, Type::TEXT];
    let statement = client.prepare_typed(typed, &types).await.expect("prepared");
    // The answer has 18 places; this client's numbers hold 28 digits.
    let number = "1234567890.123456789".parse::<Decimal>().expect("a decimal");
    let row = client.query_one(&statement, &[&41_i32, &number, &"it's; $1"]).await.expect("a row");
    assert_eq!(row.get::<_, Decimal>(1), number);
    assert_eq!(row.get::<_, &str>(2), "it's; $1");
    let named = "SELECT count(*) FROM usage_events WHERE user_id = ANY($1)";
    let statement = client.prepare_typed(named, &[Type::TEXT_ARRAY]).await.expect("prepared");
    let row = client.query_one(&statement, &[&vec!["ada", "eve"]]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_sees_one_snapshot_and_a_statement_outside_of_it_the_latest() {
    let served = Served::with_events().await;
    let (inside, outside) = (served.client().await, served.client().await);
    let count = "SELECT count(*) FROM usage_events";
    inside.simple_query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.expect("begun");
    assert_eq!(column(&inside, count).await, ["3"]);
    served.app.store(lines(&[event_with("4", json!({}))])).await;
    assert_eq!(column(&inside, count).await, ["3"]);
    assert_eq!(column(&outside, count).await, ["4"]);
    inside.simple_query("COMMIT").await.expect("committed");
    assert_eq!(column(&inside, count).await, ["4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_takes_nothing_but_its_end() {
    let served = Served::with_events().await;
    let client = served.client().await;
    client.simple_query("BEGIN; SAVEPOINT a").await.expect("begun");
    assert_eq!(refusal(&client, "SELECT nothing").await, "42703");
    assert_eq!(refusal(&client, "SELECT 1").await, "25P02");
    assert_eq!(code(&client.query("SELECT 1", &[]).await.expect_err("refused")), "25P02");
    client.simple_query("ROLLBACK TO SAVEPOINT a").await.expect("rolled back");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
    assert_eq!(refusal(&client, "ROLLBACK TO SAVEPOINT b").await, "3B001");
    client.simple_query("COMMIT").await.expect("ended");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
    // Outside of a transaction each fault stands for itself.
    assert_eq!(refusal(&client, "SELECT nothing").await, "42703");
    assert_eq!(column(&client, "SELECT 2").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_as_many_rows_as_are_asked_for() {
    let served = Served::with_events().await;
    let mut client = served.client().await;
    let transaction = client.transaction().await.expect("a transaction");
    let text = "SELECT value FROM generate_series(1, 1000) AS t(value) ORDER BY value";
    let portal = transaction.bind(text, &[]).await.expect("a portal");
    let mut seen = Vec::new();
    for asked in [1, 2, 500, 1000] {
        let rows = transaction.query_portal(&portal, asked).await.expect("rows");
        assert!(rows.len() <= usize::try_from(asked).expect("positive"));
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
    transaction.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_sql_goes_forward_until_its_transaction_ends() {
    let served = Served::with_events().await;
    let client = served.client().await;
    assert_eq!(refusal(&client, "DECLARE c CURSOR FOR SELECT 1").await, "25P01");
    let declare = "BEGIN; DECLARE c CURSOR FOR SELECT event_id FROM usage_events ORDER BY 1";
    client.simple_query(declare).await.expect("declared");
    assert_eq!(column(&client, "FETCH 2 FROM c").await, ["1", "2"]);
    assert_eq!(column(&client, "FETCH ALL FROM c").await, ["3"]);
    assert!(column(&client, "FETCH NEXT FROM c").await.is_empty());
    client.simple_query("CLOSE c; COMMIT").await.expect("closed");
    assert_eq!(refusal(&client, "FETCH 1 FROM c").await, "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_answer_in_order_until_the_first_fault() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let rows = texts(&client, "SELECT 1; ; SELECT 'a;b'; -- the end\nSHOW server_version").await;
    let rows: Vec<_> = rows.into_iter().flatten().flatten().collect();
    assert_eq!(rows[..2], ["1", "a;b"]);
    assert!(rows[2].starts_with("15."), "{rows:?}");
    assert!(client.simple_query(" ; -- nothing\n").await.is_ok());
    assert_eq!(refusal(&client, "SELECT 1; SELECT nothing; SELECT 2").await, "42703");
    let two = client.prepare("SELECT 1; SELECT 2").await.expect_err("refused");
    assert_eq!(code(&two), "42601");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_prepares_statements_too() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let prepare = "PREPARE p (text, numeric) AS \
                   SELECT event_id FROM usage_events WHERE user_id = $1 AND charged_cost > $2";
    client.simple_query(prepare).await.expect("prepared");
    assert_eq!(column(&client, "EXECUTE p ('bob', 0.5)").await, ["2"]);
    assert_eq!(refusal(&client, "EXECUTE p ('bob')").await, "42601");
    assert_eq!(refusal(&client, prepare).await, "42P05");
    client.simple_query("DEALLOCATE p").await.expect("forgotten");
    assert_eq!(refusal(&client, "EXECUTE p ('bob', 0.5)").await, "26000");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_belong_to_one_connection_and_change_how_times_are_written() {
    let served = Served::with_events().await;
    let (one, other) = (served.client().await, served.client().await);
    one.simple_query("SET TIME ZONE 'Asia/Tokyo'; SET statement_timeout = '1min'")
        .await
        .expect("set");
    let time = "SELECT event_time FROM usage_events WHERE event_id = '2'";
    assert_eq!(column(&one, time).await, ["2026-11-21 17:00:00.123456+09"]);
    assert_eq!(column(&other, time).await, ["2026-11-21 08:00:00.123456+00"]);
    assert_eq!(column(&other, "SHOW TimeZone").await, ["UTC"]);
    one.simple_query("DISCARD ALL").await.expect("discarded");
    assert_eq!(column(&one, "SHOW timezone").await, ["UTC"]);
    assert_eq!(column(&one, "SHOW transaction_read_only").await, ["on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_when_its_client_says_so_or_its_time_is_over() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let long = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b \
                WHERE a.value % 7 = b.value % 11";
    client.simple_query("SET statement_timeout = 200").await.expect("set");
    assert_eq!(refusal(&client, long).await, "57014");
    client.simple_query("SET statement_timeout = 0").await.expect("set");
    let cancel = client.cancel_token();
    let running = async { refusal(&client, long).await };
    let cancelling = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        cancel.cancel_query(tokio_postgres::NoTls).await.expect("asked");
    };
    let (code, ()) = tokio::join!(running, cancelling);
    assert_eq!(code, "57014");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_stream_while_they_are_made() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let text = "SELECT value, repeat('x', 1000) FROM generate_series(1, 20000) AS t(value)";
    let rows = client.query_raw(text, Vec::<i32>::new()).await.expect("rows");
    let count = rows.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("rows");
    assert_eq!(count, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_sqlstate() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let cases = [
        ("SELEC 1", "42601"),
        ("SELECT 1 FROM", "42601"),
        ("SELECT * FROM nothing", "42P01"),
        ("SELECT nothing FROM usage_events", "42703"),
        ("SELECT nothing()", "42883"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT user_id, count(*) FROM usage_events", "42803"),
        ("SHOW nothing", "42704"),
    ];
    for (query, expected) in cases {
        assert_eq!(refusal(&client, query).await, expected, "{query}");
    }
    let long = format!("SELECT 1 {}", " ".repeat(1 << 20));
    assert_eq!(refusal(&client, &long).await, "54000");
    assert_eq!(code(&client.prepare(&long).await.expect_err("refused")), "54000");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_stops_in_order() {
    let mut served = Served::with_events().await;
    let client = served.client().await;
    assert_eq!(column(&client, "SELECT count(*) FROM usage_events").await, ["3"]);
    served.stop().await;
    let error = client.simple_query("SELECT 1").await.expect_err("closed");
    assert!(client.is_closed() || code(&error) == "57P01", "{error:?}");
}
