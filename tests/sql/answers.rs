//! Whole answers.

use std::io::Cursor;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{ask, request};
use crate::support::app::TestApp;
use crate::support::events::{event, lines};

const ROWS: &str = "SELECT value AS n, CAST(value AS DECIMAL(20, 3)) / 8 AS amount, \
     CASE WHEN value = 2 THEN NULL ELSE 'a,\"b\"' END AS word FROM range(1, 20001) ORDER BY 1";

fn check_batches(batches: &[RecordBatch]) {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 20_000);
    let sum: i64 = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .sum();
    assert_eq!(sum, 20_000 * 20_001 / 2);
    let first = &batches[0];
    let amounts = first.column(1).as_primitive::<Decimal128Type>();
    assert_eq!(amounts.value_as_string(0).trim_end_matches('0'), "0.125");
    assert!(first.column(2).is_null(1) && !first.column(2).is_null(0));
}

fn check_objects(rows: &[Value]) {
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[0], json!({"n": 1, "amount": "0.125", "word": "a,\"b\""}));
    assert_eq!(rows[1]["word"], Value::Null);
    assert_eq!(rows[19_999]["n"], 20_000);
}

fn check_csv(body: &[u8]) {
    let mut reader = csv::Reader::from_reader(body);
    assert_eq!(*reader.headers().expect("a header"), vec!["n", "amount", "word"]);
    let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("records");
    assert_eq!(records.len(), 20_000);
    assert_eq!(records[0], vec!["1", "0.125", "a,\"b\""]);
    assert_eq!(&records[1][2], "");
}

fn check(format: &str, body: Vec<u8>) {
    match format {
        "ndjson" => {
            let text = String::from_utf8(body).expect("text");
            let object = |line| serde_json::from_str::<Value>(line).expect("an object");
            check_objects(&text.lines().map(object).collect::<Vec<_>>());
        }
        "json" => check_objects(&serde_json::from_slice::<Vec<Value>>(&body).expect("an array")),
        "csv" => check_csv(&body),
        "arrow" => {
            let reader = StreamReader::try_new(Cursor::new(body), None).expect("a stream");
            check_batches(&reader.collect::<Result<Vec<_>, _>>().expect("batches"));
        }
        _ => {
            let file = bytes::Bytes::from(body);
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a file");
            let reader = reader.build().expect("a reader");
            check_batches(&reader.collect::<Result<Vec<_>, _>>().expect("batches"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_is_read_back_by_its_own_reader() {
    let app = TestApp::new().await;
    for (format, media_type) in [
        ("ndjson", "application/x-ndjson"),
        ("json", "application/json"),
        ("csv", "text/csv"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ] {
        let asked = ask(&app, &json!({"query": ROWS, "format": format})).await;
        let accepted = app.request(request(&json!({"query": ROWS}), Some(media_type))).await;
        for answer in [asked, accepted] {
            assert_eq!(answer.status, 200, "{format}: {}", answer.text());
            let content_type = answer.headers["content-type"].to_str().expect("text");
            assert!(content_type.starts_with(media_type), "{format}: {content_type}");
            assert_eq!(answer.headers["cache-control"], "no-store");
            assert_eq!(answer.headers["x-statement-id"].len(), 36);
            check(format, answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_wish_the_answer_is_ndjson_and_the_body_beats_the_header() {
    let app = TestApp::new().await;
    let query = json!({"query": "SELECT 1 AS one"});
    assert_eq!(ask(&app, &query).await.text(), "{\"one\":1}\n");
    let any = app.request(request(&query, Some("*/*"))).await;
    assert_eq!(any.text(), "{\"one\":1}\n");
    let both = json!({"query": "SELECT 1 AS one", "format": "csv"});
    assert_eq!(app.request(request(&both, Some("application/json"))).await.text(), "one\n1\n");
    let none = app.request(request(&query, Some("image/png"))).await;
    assert_eq!(none.status, 400, "{}", none.text());
    assert_eq!(none.json()["parameter"], "Accept");
    let unknown = ask(&app, &json!({"query": "SELECT 1", "format": "xml"})).await;
    assert_eq!((unknown.status, unknown.json()["parameter"].clone()), (400, json!("format")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_rows_is_whole_in_each_format() {
    let app = TestApp::new().await;
    let query = "SELECT 1 AS one WHERE false";
    for (format, body) in [("ndjson", ""), ("json", "[]\n"), ("csv", "one\n")] {
        let answer = ask(&app, &json!({"query": query, "format": format})).await;
        assert_eq!((answer.status, answer.text()), (200, body.to_owned()), "{format}");
    }
    let arrow = ask(&app, &json!({"query": query, "format": "arrow"})).await;
    let reader = StreamReader::try_new(Cursor::new(arrow.body), None).expect("a stream");
    assert_eq!(reader.schema().field(0).name(), "one");
    let parquet = ask(&app, &json!({"query": query, "format": "parquet"})).await;
    let file = bytes::Bytes::from(parquet.body);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a file");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_parameters_are_values_and_never_text_of_the_statement() {
    let app = TestApp::new().await;
    app.store(lines(&[event("it's"), event("b"), event("c")])).await;
    let rows = |query: &'static str, parameters: Value| {
        let body = json!({"query": query, "parameters": parameters, "format": "json"});
        let app = &app;
        async move {
            let answer = ask(app, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        }
    };
    let by_id = "SELECT event_id FROM usage_events WHERE event_id = $1";
    assert_eq!(rows(by_id, json!(["it's"])).await, json!([{"event_id": "it's"}]));
    assert_eq!(rows(by_id, json!(["' OR 1=1 --"])).await, json!([]));
    assert_eq!(rows(by_id, json!(["x'; DROP TABLE usage_events; --"])).await, json!([]));
    assert_eq!(rows(by_id, json!([null])).await, json!([]));
    let all = "SELECT count(*) AS n FROM usage_events WHERE usage_date <= $1 AND $2";
    assert_eq!(rows(all, json!(["2099-01-01", true])).await, json!([{"n": 3}]));
    // The digits of the literal, where a float would have 0.30000000000000004.
    let body =
        r#"{"query": "SELECT 0.0 + $1 + $2 AS sum", "parameters": [0.1, 0.2], "format": "json"}"#;
    let answer = app.send("POST", "/api/sql", serde_json::from_str(body).expect("JSON")).await;
    assert_eq!(answer.json(), json!([{"sum": "0.3"}]), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named() {
    let app = TestApp::new().await;
    let by_tokens = "SELECT event_id FROM usage_events WHERE input_tokens > $1";
    for (query, parameters, named) in [
        (by_tokens, json!([]), "$1 has no value"),
        (by_tokens, json!([1, 2]), "there is no parameter $2"),
        (by_tokens, json!(["many"]), "$1 is \"many\"; its place needs a number"),
        (by_tokens, json!([[1]]), "$1 is an array"),
        (by_tokens, json!([{"a": 1}]), "$1 is an object"),
    ] {
        let answer = ask(&app, &json!({"query": query, "parameters": parameters})).await;
        assert_eq!(answer.status, 400, "{parameters}: {}", answer.text());
        let detail = answer.json()["detail"].to_string().replace("\\\"", "\"");
        assert!(detail.contains(named), "{parameters}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_show_answer_rows_like_any_statement() {
    let app = TestApp::new().await;
    app.store(lines(&[event("a")])).await;
    for query in [
        "EXPLAIN SELECT count(*) FROM usage_events",
        "EXPLAIN ANALYZE SELECT count(*) FROM usage_events",
        "SHOW TABLES",
        "DESCRIBE usage_events",
        "SHOW COLUMNS FROM usage_events",
    ] {
        let answer = ask(&app, &json!({"query": query, "format": "json"})).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert!(!answer.json().as_array().expect("rows").is_empty(), "{query}");
    }
    let query = "EXPLAIN SELECT * FROM usage_events WHERE event_id = $1";
    let explained = ask(&app, &json!({"query": query, "parameters": ["a"]})).await;
    assert_eq!(explained.status, 200, "{}", explained.text());
}
