//! Answers that break off: over a real connection, in each format.

use std::io::Cursor;

use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{BREAKS_OFF, ask};
use crate::support::app::TestApp;
use crate::support::server::Server;

/// What came of an answer, and whether its end did.
struct Received {
    statement_id: String,
    body: Vec<u8>,
    whole: bool,
}

async fn receive(server: &Server, body: &Value) -> Received {
    let url = format!("{}/api/sql", server.client.url);
    let mut answer = server.client.http.post(url).json(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "it breaks off after its beginning");
    let statement_id = answer.headers()["x-statement-id"].to_str().expect("text").to_owned();
    let mut received = Received { statement_id, body: Vec::new(), whole: false };
    loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => received.body.extend_from_slice(&bytes),
            Ok(None) => {
                received.whole = true;
                return received;
            }
            Err(_) => return received,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    for format in ["ndjson", "json", "csv", "arrow", "parquet"] {
        let whole = json!({"query": "SELECT value FROM range(1, 50000)", "format": format});
        assert!(receive(&server, &whole).await.whole, "{format}: a whole answer has its end");
        let broken = receive(&server, &json!({"query": BREAKS_OFF, "format": format})).await;
        assert!(!broken.whole, "{format}: the connection breaks before the end");
        let id = &broken.statement_id;
        let statement = server.client.get(&format!("/api/sql/statements/{id}")).await;
        assert_eq!(statement["state"], "failed", "{format}: {statement}");
        assert!(statement["error"].to_string().contains("ivide by zero"), "{format}: {statement}");
        let body = broken.body;
        match format {
            "ndjson" => {
                let text = String::from_utf8(body).expect("text");
                let last: Value =
                    serde_json::from_str(text.lines().last().expect("a line")).expect("an object");
                assert_eq!(last["error"]["status"], 400, "{last}");
                assert!(last["error"]["detail"].to_string().contains("ivide by zero"), "{last}");
            }
            "json" => assert!(serde_json::from_slice::<Value>(&body).is_err()),
            "csv" => assert!(body.len() > 1000 || body.is_empty()),
            "arrow" => {
                // What there is can be read; the end of the stream is missing.
                let reader = StreamReader::try_new(Cursor::new(&body), None).expect("a stream");
                let rows: usize = reader.map_while(Result::ok).map(|batch| batch.num_rows()).sum();
                assert!(rows < 299_999, "{rows}");
                assert!(!body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
            }
            _ => {
                let file = bytes::Bytes::from(body);
                assert!(ParquetRecordBatchReaderBuilder::try_new(file).is_err());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_first_row_is_a_problem_with_its_status() {
    let app = TestApp::with(|config| config.query_rows_max = 100).await;
    for (query, status, named) in [
        ("SELECT 1 / (value - value) FROM range(1, 10)", 400, "ivide by zero"),
        ("SELECT value FROM range(0, 101)", 422, "query_rows_max"),
        ("SELECT nothing FROM usage_events", 400, "nothing"),
    ] {
        for format in ["ndjson", "json", "csv", "arrow", "parquet"] {
            let answer = ask(&app, &json!({"query": query, "format": format})).await;
            assert_eq!(answer.status, status, "{query} {format}: {}", answer.text());
            assert!(answer.json()["detail"].to_string().contains(named), "{}", answer.text());
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
    }
    let enough = ask(&app, &json!({"query": "SELECT value FROM range(0, 100)"})).await;
    assert_eq!(enough.text().lines().count(), 100);
}
