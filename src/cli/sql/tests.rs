use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use futures::{StreamExt, TryStreamExt, stream};

use super::format::{Format, RowWriter, Written};
use super::prompt::{Command, parse};
use super::source::remote_rows;
use crate::cli::remote::Remote;

fn batch() -> RecordBatch {
    let cost = Decimal128Array::from(vec![Some(36_300_000_000), None]);
    let cost = cost.with_precision_and_scale(18, 12).expect("decimal");
    RecordBatch::try_from_iter([
        ("model", Arc::new(StringArray::from(vec!["a,b", "c"])) as ArrayRef),
        ("events", Arc::new(Int64Array::from(vec![12, 3]))),
        ("cost", Arc::new(cost)),
    ])
    .expect("batch")
}

fn written(format: Format, batches: &[RecordBatch], table_rows_max: usize) -> (String, Written) {
    let mut bytes = Vec::new();
    let mut writer = RowWriter::new(format, &mut bytes, table_rows_max);
    for batch in batches {
        assert!(writer.write(batch).expect("write"));
    }
    let written = writer.finish().expect("finish");
    (String::from_utf8(bytes).expect("text"), written)
}

#[test]
fn csv_has_one_header_over_several_batches() {
    let (text, _) = written(Format::Csv, &[batch().slice(0, 0), batch(), batch().slice(1, 1)], 9);
    assert_eq!(text, "model,events,cost\n\"a,b\",12,0.036300000000\nc,3,\nc,3,\n");
}

#[test]
fn json_is_one_array_over_several_batches_and_money_is_text() {
    let (text, _) = written(Format::Json, &[batch(), batch().slice(1, 1)], 9);
    let value: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!(
        value,
        serde_json::json!([
            {"model": "a,b", "events": 12, "cost": "0.036300000000"},
            {"model": "c", "events": 3, "cost": null},
            {"model": "c", "events": 3, "cost": null},
        ])
    );
    assert_eq!(written(Format::Json, &[batch().slice(0, 0)], 9).0, "[]\n");
}

#[test]
fn ndjson_is_one_object_a_line() {
    let (text, _) = written(Format::Ndjson, &[batch(), batch()], 9);
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn a_table_aligns_numbers_right_and_counts_what_it_hides() {
    let (text, written) = written(Format::Table, &[batch(), batch()], 3);
    assert_eq!(written, Written { rows: 4, hidden: 1 });
    assert!(text.contains("     12 ") && text.contains("NULL"), "{text}");
}

#[test]
fn dot_commands_are_read_and_wrong_ones_named() {
    assert_eq!(parse(".mode CSV").expect("mode"), Command::Mode(Format::Csv));
    assert_eq!(parse(" .quit ").expect("quit"), Command::Quit);
    assert_eq!(parse(" ; ").expect("nothing"), Command::Nothing);
    let describe = Command::Statement(Cow::Borrowed("DESCRIBE usage_events"));
    assert_eq!(parse(".schema usage_events").expect("schema"), describe);
    for line in [".mode xml", ".schema a;b", ".tables now", ".nothing"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

/// A server that answers `/api/sql` with `bytes`, seven at a time.
async fn answering(bytes: Vec<u8>) -> Remote {
    let pieces: Vec<Bytes> = bytes.chunks(7).map(Bytes::copy_from_slice).collect();
    let answer = move || async move {
        Body::from_stream(stream::iter(pieces).map(Ok::<_, std::convert::Infallible>))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    let router = Router::new().route("/api/sql", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Remote::new(address).expect("client")
}

fn stream_of(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).expect("writer");
    for batch in batches {
        writer.write(batch).expect("write");
    }
    writer.into_inner().expect("stream")
}

#[tokio::test]
async fn an_answer_of_a_server_is_read_while_it_arrives_in_pieces() {
    let remote = answering(stream_of(&[batch(), batch().slice(1, 1)])).await;
    let rows = remote_rows(&remote, "SELECT 1", &[]).await.expect("answer");
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    assert_eq!(batches, [batch(), batch().slice(1, 1)]);
}

#[tokio::test]
async fn an_answer_without_rows_still_names_its_columns() {
    let remote = answering(stream_of(&[])).await;
    let rows = remote_rows(&remote, "SELECT 1", &[]).await.expect("answer");
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    assert_eq!((batches.len(), batches[0].num_rows(), batches[0].num_columns()), (1, 0, 3));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let mut bytes = stream_of(&[batch(), batch()]);
    bytes.truncate(bytes.len() - 100);
    let rows = remote_rows(&answering(bytes).await, "SELECT 1", &[]).await.expect("answer");
    assert!(rows.try_collect::<Vec<RecordBatch>>().await.is_err());
}
