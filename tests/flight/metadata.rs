//! What a client asks about the server and its tables.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{Empty, IpcMessage};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use futures::TryStreamExt;

use super::door::{Client, Door, rows};

fn texts(batch: &RecordBatch, column: usize) -> Vec<String> {
    let column = batch.column(column).as_string::<i32>();
    column.iter().map(|text| text.expect("a text").to_owned()).collect()
}

async fn tables(client: &mut Client, asked: CommandGetTables) -> RecordBatch {
    let info = client.get_tables(asked).await.expect("a ticket");
    rows(client, info).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_with_their_columns() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let info = client.get_catalogs().await.expect("a ticket");
    assert_eq!(texts(&rows(&mut client, info).await.expect("rows"), 0), ["spendlake"]);
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.expect("a ticket");
    assert_eq!(texts(&rows(&mut client, info).await.expect("rows"), 1), ["public"]);
    let info = client.get_table_types().await.expect("a ticket");
    assert_eq!(texts(&rows(&mut client, info).await.expect("rows"), 0), ["TABLE", "VIEW"]);

    let all = texts(&tables(&mut client, CommandGetTables::default()).await, 2);
    for name in ["usage_events", "usage_daily", "organizations", "model_prices", "conversations"] {
        assert!(all.iter().any(|known| known == name), "no {name} in {all:?}");
    }
    assert!(!all.iter().any(|name| name == "usage_daily_net"), "internal views are not named");
    let asked = CommandGetTables {
        table_name_filter_pattern: Some("usage_event_".to_owned()),
        include_schema: true,
        ..Default::default()
    };
    let one = tables(&mut client, asked).await;
    assert_eq!(
        (texts(&one, 2), texts(&one, 3)),
        (vec!["usage_events".into()], vec!["TABLE".into()])
    );
    let bytes = one.column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(bytes.into())).expect("a schema");
    let money = schema.field_with_name("charged_cost").expect("a column");
    assert_eq!(*money.data_type(), DataType::Decimal128(18, 12));
    let views =
        CommandGetTables { table_types: vec!["VIEW".to_owned()], ..CommandGetTables::default() };
    assert!(texts(&tables(&mut client, views).await, 2).contains(&"user_daily_stats".to_owned()));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_that_it_only_reads() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let asked = vec![SqlInfo::FlightSqlServerReadOnly, SqlInfo::FlightSqlServerName];
    let info = client.get_sql_info(asked).await.expect("a ticket");
    let batch = rows(&mut client, info).await.expect("rows");
    let values = batch.column(1).as_union();
    assert_eq!(batch.num_rows(), 2);
    let shown = datafusion::arrow::util::display::array_value_to_string;
    let shown = [shown(values, 0).expect("a value"), shown(values, 1).expect("a value")];
    assert_eq!(shown, ["{string_value=Spendlake}", "{bool_value=true}"]);
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo::default()).await;
    let info = info.expect("a ticket");
    assert!(texts(&rows(&mut client, info).await.expect("rows"), 0).contains(&"decimal".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_declares_a_key() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let mut infos = Vec::new();
    infos.push(client.get_primary_keys(CommandGetPrimaryKeys::default()).await);
    infos.push(client.get_exported_keys(CommandGetExportedKeys::default()).await);
    infos.push(client.get_imported_keys(CommandGetImportedKeys::default()).await);
    infos.push(client.get_cross_reference(CommandGetCrossReference::default()).await);
    for (info, columns) in infos.into_iter().zip([6, 13, 13, 13]) {
        let batch = rows(&mut client, info.expect("a ticket")).await.expect("rows");
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, columns));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_can_be_asked_for_without_a_ticket() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let query = "SELECT event_id, charged_cost FROM usage_events".to_owned();
    let info = client.execute(query, None).await.expect("a ticket");
    let descriptor = info.flight_descriptor.clone().expect("a descriptor");
    let authorized = |message| {
        let mut request = tonic::Request::new(message);
        let value = "Bearer ada.signed.token".parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
        request
    };
    let asked = client.inner_mut().get_schema(authorized(descriptor.clone())).await;
    let schema = Schema::try_from(asked.expect("a schema").into_inner()).expect("a schema");
    assert_eq!(schema, info.try_decode_schema().expect("a schema"));
    let polled = client.inner_mut().poll_flight_info(authorized(descriptor)).await;
    let polled = polled.expect("an answer").into_inner();
    assert!(polled.flight_descriptor.is_none(), "there is nothing to wait for");
    rows(&mut client, polled.info.expect("a ticket")).await.expect("rows");
    let mut request = tonic::Request::new(Empty {});
    let value = "Bearer ada.signed.token".parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    let actions = client.inner_mut().list_actions(request).await.expect("actions").into_inner();
    let actions: Vec<_> = actions.map_ok(|one| one.r#type).try_collect().await.expect("actions");
    assert!(actions.contains(&"CancelFlightInfo".to_owned()), "{actions:?}");
    assert!(!actions.iter().any(|name| name.contains("Transaction")), "{actions:?}");
}
