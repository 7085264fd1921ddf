//! Prepared statements and their parameters.

use std::sync::Arc;

use arrow_flight::sql::{CommandPreparedStatementUpdate, ProstMessageExt as _};
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use prost::Message as _;
use spendlake::access::Domain;
use tonic::Code;

use super::door::{Door, rows, status};
use crate::support::events::{event_with, lines};

fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    let columns = columns.into_iter().enumerate();
    let columns = columns.map(|(at, column)| (format!("{at}"), column));
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn number(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_runs_again_with_other_values() {
    let door = Door::open().await;
    let user = |id: &str, user: &str| event_with(id, serde_json::json!({"user_id": user}));
    door.app.store(lines(&[user("a", "ada"), user("b", "ada"), user("c", "bob")])).await;
    let mut client = door.analyst();
    let query = "SELECT count(*) AS n FROM usage_events WHERE user_id = $1 AND input_tokens >= $2";
    let mut prepared = client.prepare(query.to_owned(), None).await.expect("prepared");
    let parameters = prepared.parameter_schema().expect("a schema").fields().clone();
    let described: Vec<_> =
        parameters.iter().map(|one| (one.name().as_str(), one.data_type().clone())).collect();
    assert_eq!(described, [("$1", DataType::Utf8), ("$2", DataType::Int64)]);
    assert_eq!(prepared.dataset_schema().expect("a schema").field(0).name(), "n");
    for (user, least, expected) in
        [("ada", 0, 2), ("bob", 0, 1), ("bob", 1_000_000, 0), ("' OR 1 = 1 --", 0, 0)]
    {
        prepared.set_parameters(values(vec![text(user), number(least)])).expect("set");
        let info = prepared.execute().await.expect("a ticket");
        let batch = rows(&mut client, info).await.expect("rows");
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), expected, "{user}");
    }
    prepared.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_amount_keeps_every_digit() {
    let door = Door::open().await;
    let cost = |id: &str, cost: &str| event_with(id, serde_json::json!({"total_cost": cost}));
    let events = [cost("a", "0.000000000001"), cost("b", "0.000000000002")];
    door.app.store(lines(&events)).await;
    let mut client = door.analyst();
    let query = "SELECT event_id FROM usage_events WHERE charged_cost > $1";
    let mut prepared = client.prepare(query.to_owned(), None).await.expect("prepared");
    let money = Decimal128Array::from(vec![1]).with_precision_and_scale(18, 12).expect("money");
    prepared.set_parameters(values(vec![Arc::new(money)])).expect("set");
    let info = prepared.execute().await.expect("a ticket");
    let batch = rows(&mut client, info).await.expect("rows");
    assert_eq!(batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_must_fit_the_statement() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let query = "SELECT event_id FROM usage_events WHERE user_id = $1";
    let mut prepared = client.prepare(query.to_owned(), None).await.expect("prepared");
    let unbound = status(&prepared.execute().await.expect_err("nothing is bound"));
    assert_eq!(unbound.code(), Code::InvalidArgument);
    assert!(unbound.message().contains("takes 1 parameters"), "{unbound}");
    prepared.set_parameters(values(vec![text("a"), text("b")])).expect("set");
    let many = status(&prepared.execute().await.expect_err("too many"));
    assert!(many.message().contains("the statement takes 1"), "{many}");
    let two: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    prepared.set_parameters(values(vec![two])).expect("set");
    let rows = status(&prepared.execute().await.expect_err("two rows"));
    assert!(rows.message().contains("exactly one row"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_reads_is_prepared_and_an_update_of_it_is_refused() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let error = client.prepare("DELETE FROM usage_events".to_owned(), None).await;
    assert_eq!(status(&error.expect_err("a change")).code(), Code::InvalidArgument);
    // The client's own call shows no credential where its others do.
    let update = CommandPreparedStatementUpdate { prepared_statement_handle: Bytes::from("h") };
    let descriptor = FlightDescriptor::new_cmd(update.as_any().encode_to_vec());
    let data = FlightData::new().with_descriptor(descriptor);
    let mut request = tonic::Request::new(futures::stream::iter([data]));
    let shown = format!("Bearer {}", door.people.analyst("eve", Domain::Platform));
    request.metadata_mut().insert("authorization", shown.parse().expect("a header"));
    let refused = client.inner_mut().do_put(request).await.expect_err("an update");
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_statement_is_unknown() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let prepared = client.prepare("SELECT 1 AS one".to_owned(), None).await.expect("prepared");
    let mut copy = prepared.clone();
    let info = copy.execute().await.expect("a ticket");
    assert_eq!(rows(&mut client, info).await.expect("rows").num_rows(), 1);
    prepared.close().await.expect("closed");
    assert_eq!(status(&copy.execute().await.expect_err("closed")).code(), Code::NotFound);
}
