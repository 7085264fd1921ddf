//! Statements: answers, limits, cancellation.

use std::time::Duration;

use arrow_flight::sql::{
    Any, CommandStatementIngest, CommandStatementSubstraitPlan, ProstMessageExt, SubstraitPlan,
    TableDefinitionOptions,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor,
    FlightInfo,
};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use futures::{StreamExt, stream};
use prost::Message;
use tonic::Code;

use super::door::{Client, Door, rows, sql, status};
use crate::support::app::TestApp;
use crate::support::events::{event, event_with, lines};

/// Never ends by itself within a test.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a(n), \
                    generate_series(1, 1000000) AS b(n) WHERE (a.n * b.n) % 7 = 3";

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_record_batches_with_exact_money() {
    let door = Door::open().await;
    let cost = serde_json::json!({"total_cost": "0.000000000001"});
    door.app.store(lines(&[event_with("a", cost.clone()), event_with("b", cost)])).await;
    let mut client = door.analyst();
    let batch =
        sql(&mut client, "SELECT event_id, charged_cost FROM usage_events ORDER BY 1").await;
    assert_eq!(
        batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("a"), Some("b")]
    );
    assert_eq!(*batch.column(1).data_type(), DataType::Decimal128(18, 12));
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().values(), &[1, 1]);
    let none = sql(&mut client, "SELECT event_id FROM usage_events WHERE event_id = 'c'").await;
    assert_eq!(none.num_rows(), 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_runs_over_what_holds_when_its_ticket_is_redeemed() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let text = "SELECT count(*) AS n FROM usage_events";
    let info = client.execute(text.to_owned(), None).await.expect("a ticket");
    door.app.store(event("a").to_string()).await;
    let batch = rows(&mut client, info).await.expect("rows");
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let info = client.execute("SELECT 1 AS one".to_owned(), None).await.expect("a ticket");
    rows(&mut client, info.clone()).await.expect("rows");
    let error = rows(&mut client, info).await.expect_err("used");
    assert_eq!(status(&error).code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_comes_in_messages_that_every_client_takes() {
    let door = Door::open().await;
    // This client takes 4 MiB at most. One row among small ones has 3 MiB.
    let mut client = door.analyst();
    let text = "SELECT value AS n, 'a small row' AS t FROM generate_series(1, 100000) \
                WHERE value <> 500 \
                UNION ALL SELECT 500, string_agg(repeat('x', 1000), '') FROM generate_series(1, 3000) \
                ORDER BY 1";
    let batch = sql(&mut client, text).await;
    assert_eq!(batch.num_rows(), 100_000);
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    assert!((1..=100_000).eq(numbers.values().iter().copied()), "every row, in order");
    let text =
        "SELECT string_agg(repeat('0123456789', 200), '') AS t FROM generate_series(1, 10000)";
    let info = client.execute(text.to_owned(), None).await.expect("a ticket");
    let status = status(&rows(&mut client, info).await.expect_err("too large"));
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("a row has about 2000"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_text_gets_wrong_is_said_before_anything_runs() {
    let door = Door::open().await;
    let mut client = door.analyst();
    for (text, word) in [
        ("SELECT nonexistent FROM usage_events", "nonexistent"),
        ("DELETE FROM usage_events", "only reads"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "only reads"),
        ("SELECT 1; SELECT 2", "one at a time"),
        ("SELECT $1 + 1", "prepare it"),
    ] {
        let error = client.execute(text.to_owned(), None).await.expect_err(text);
        let status = status(&error);
        assert_eq!(status.code(), Code::InvalidArgument, "{text}");
        assert!(status.message().contains(word), "{text}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_among_the_rows_ends_the_stream_with_it() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let text = "SELECT 1 / (value - 90000) AS n FROM generate_series(1, 100000)";
    let info = client.execute(text.to_owned(), None).await.expect("a ticket");
    let status = status(&rows(&mut client, info).await.expect_err("a division by zero"));
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().to_lowercase().contains("divi"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_at_its_time_limit_ends_with_an_error_that_names_the_setting() {
    let app = TestApp::with(|config| config.query_seconds_max = 1).await;
    let door = Door::over(app, None).await;
    let mut client = door.analyst();
    let info = client.execute(LONG.to_owned(), None).await.expect("a ticket");
    let status = status(&rows(&mut client, info).await.expect_err("too long"));
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("query_seconds_max"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_ingestion_substrait_and_transactions_are_refused() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let update = client.execute_update("DELETE FROM usage_events".to_owned(), None).await;
    refused(update.expect_err("an update"), "read-only");
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions::default()),
        table: "mine".to_owned(),
        ..Default::default()
    };
    let batch = sql(&mut client, "SELECT 1 AS one").await;
    let ingest = client.execute_ingest(command, stream::iter([Ok(batch)])).await;
    refused(ingest.expect_err("an ingestion"), "read-only");
    refused(client.begin_transaction().await.expect_err("a transaction"), "read-only");
    let in_one = client.execute("SELECT 1".to_owned(), Some("1".into())).await;
    refused(in_one.expect_err("a transaction"), "read-only");
    let plan = CommandStatementSubstraitPlan {
        plan: Some(SubstraitPlan { plan: "x".into(), version: String::new() }),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(plan.as_any().encode_to_vec());
    let error = client.inner_mut().get_flight_info(authorized(descriptor)).await;
    let status = error.expect_err("a plan");
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("Substrait"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_is_an_invalid_argument() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let descriptor = FlightDescriptor::new_cmd(vec![0xff; 40]);
    let error = client.inner_mut().get_flight_info(authorized(descriptor)).await;
    assert_eq!(error.expect_err("nonsense").code(), Code::InvalidArgument);
    let unknown = Any { type_url: "type.googleapis.com/unknown".to_owned(), value: "".into() };
    let descriptor = FlightDescriptor::new_cmd(unknown.encode_to_vec());
    let error = client.inner_mut().get_flight_info(authorized(descriptor)).await;
    assert_eq!(error.expect_err("unknown").code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_waits_is_cancelled_and_gone() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let info = client.execute("SELECT 1 AS one".to_owned(), None).await.expect("a ticket");
    assert_eq!(cancel(&mut client, &info).await, CancelStatus::Cancelled);
    let error = rows(&mut client, info.clone()).await.expect_err("gone");
    assert_eq!(status(&error).code(), Code::NotFound);
    assert_eq!(cancel(&mut client, &info).await, CancelStatus::NotCancellable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_is_cancelled_and_frees_its_place() {
    let app = TestApp::with(|config| config.query_concurrency_max = 1).await;
    let door = Door::over(app, None).await;
    let mut client = door.analyst();
    let info = client.execute(LONG.to_owned(), None).await.expect("a ticket");
    let (mut other, running) = (client.clone(), info.clone());
    let reader = tokio::spawn(async move { rows(&mut other, running).await });
    // It may not have begun yet; once it runs, the ticket is used up.
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if cancel(&mut client, &info).await == CancelStatus::Cancelled {
            break;
        }
    }
    let error = reader.await.expect("no panic").expect_err("cancelled");
    let code = status(&error).code();
    assert!(matches!(code, Code::Cancelled | Code::NotFound), "{code:?}");
    sql(&mut client, "SELECT 1 AS one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_place() {
    let app = TestApp::with(|config| config.query_concurrency_max = 1).await;
    let door = Door::over(app, None).await;
    let mut client = door.analyst();
    let text = "SELECT value AS n, repeat('x', 1000) AS t FROM generate_series(1, 100000000)";
    let info = client.execute(text.to_owned(), None).await.expect("a ticket");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let mut stream = client.do_get(ticket).await.expect("a stream");
    stream.next().await.expect("a message").expect("rows");
    drop(stream);
    sql(&mut client, "SELECT 1 AS one").await;
}

fn refused(error: arrow_flight::error::FlightError, word: &str) {
    let status = status(&error);
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    assert!(status.message().contains(word), "{status}");
}

/// A request of the lower client, which adds no credential by itself.
fn authorized<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = "Bearer ada.signed.token".parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    request
}

async fn cancel(client: &mut Client, info: &FlightInfo) -> CancelStatus {
    let request = CancelFlightInfoRequest { info: Some(info.clone()) };
    let body = request.encode_to_vec().into();
    let action = Action { r#type: "CancelFlightInfo".to_owned(), body };
    let mut results = client.do_action(action).await.expect("an answer");
    let result = results.message().await.expect("a message").expect("a result");
    let result = CancelFlightInfoResult::decode(&*result.body).expect("a result");
    CancelStatus::try_from(result.status).expect("a status")
}
