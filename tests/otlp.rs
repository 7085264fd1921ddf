//! OTLP over HTTP: the protocol's own answers, and the real SDK as a sender.

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::body::Body;
use axum::http::{Request, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::ORGANIZATION;
use crate::support::server::{ADMIN_TOKEN, Server, repository_path};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json; charset=utf-8";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(repository_path("tests/fixtures/otlp").join(name)).expect("a fixture")
}

async fn post(app: &TestApp, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, content_type)
        .header("x-spendlake-organization", ORGANIZATION)
        .body(Body::from(body));
    app.request(request.expect("a request")).await
}

/// `google.rpc.Status`, as a client reads it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// A Claude Code log of two calls, of which the second counts -1 tokens.
fn half_wrong() -> Vec<u8> {
    let call = |id: &str, tokens: &str| {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        json!({"timeUnixNano": "1795510800000000000", "attributes": [
            text("event.name", "claude_code.api_request"), text("request_id", id),
            text("model", "claude-sonnet-4-5"), text("input_tokens", tokens),
            text("output_tokens", "1"),
        ]})
    };
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [call("a", "1"), call("b", "-1")]}]}]})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_success_is_an_empty_message_in_the_requests_encoding() {
    let app = TestApp::new().await;
    for (path, name) in [
        ("/v1/logs", "claude_code_logs"),
        ("/v1/traces", "gen_ai_traces"),
        ("/v1/metrics", "claude_code_metrics"),
    ] {
        let answer = post(&app, path, PROTOBUF, fixture(&format!("{name}.pb"))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.headers[header::CONTENT_TYPE], PROTOBUF);
        assert!(answer.body.is_empty(), "{path}: {:?}", answer.body);
        let answer = post(&app, path, JSON, fixture(&format!("{name}.json"))).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    }
    // The same events came in both encodings: the second time as duplicates.
    let rows = app
        .sql("SELECT source, count(*) AS n FROM usage_events GROUP BY source ORDER BY source")
        .await;
    assert_eq!(
        rows,
        [json!({"source": "claude-code", "n": 2}), json!({"source": "gen-ai", "n": 4})]
    );
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_counted_in_a_partial_success_and_kept() {
    let app = TestApp::new().await;
    let answer = post(&app, "/v1/logs", JSON, half_wrong()).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "1");
    let message = partial["errorMessage"].as_str().expect("a message");
    assert!(message.contains("record 2: input_tokens"), "{message}");
    let rows = app.sql("SELECT event_id, source, reason FROM rejected_events").await;
    assert_eq!(rows, [json!({"event_id": "b", "source": "claude-code", "reason": "out_of_range"})]);
    assert_eq!(app.sql("SELECT event_id FROM usage_events").await, [json!({"event_id": "a"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_a_refused_record_in_protobuf_too() {
    let app = TestApp::new().await;
    let first = String::from_utf8(fixture("claude_code_logs.json")).expect("UTF-8");
    let changed = first.replace("\"345\"", "\"346\"").into_bytes();
    assert_eq!(post(&app, "/v1/logs", JSON, changed).await.status, 200);
    let answer = post(&app, "/v1/logs", PROTOBUF, fixture("claude_code_logs.pb")).await;
    let response = ExportLogsServiceResponse::decode(answer.body.as_slice()).expect("a response");
    let partial = response.partial_success.expect("a partial success");
    assert_eq!(partial.rejected_log_records, 1);
    assert!(partial.error_message.contains("req_011CUwAxz"), "{}", partial.error_message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_answered_with_a_status_message() {
    let app = TestApp::new().await;
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        let answer = post(&app, path, PROTOBUF, b"\xff\xff".to_vec()).await;
        assert_eq!(
            (answer.status, &answer.headers[header::CONTENT_TYPE]),
            (400, &PROTOBUF.parse().expect("a header"))
        );
        let status = RpcStatus::decode(answer.body.as_slice()).expect("a status");
        assert_eq!(status.code, 3, "{}", status.message);
        let answer = post(&app, path, JSON, b"{".to_vec()).await;
        assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!(3)));
        let answer = post(&app, path, "text/plain", Vec::new()).await;
        assert_eq!((answer.status, answer.json()["code"].clone()), (415, json!(3)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_not_to_be_sent_again_and_a_busy_server_is() {
    let small = TestApp::with(|config| config.body_bytes_max = 100).await;
    let answer = post(&small, "/v1/logs", JSON, half_wrong()).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (413, json!(8)));
    let busy = TestApp::with(|config| config.hot_rows_max = 0).await;
    let answer = post(&busy, "/v1/logs", JSON, half_wrong()).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!(14)));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test(flavor = "multi_thread")]
async fn marked_text_of_every_exporter_reaches_no_file() {
    let app = TestApp::new().await;
    for name in ["claude_code_logs", "codex_logs", "gemini_cli_logs", "gen_ai_traces"] {
        let path = if name.ends_with("traces") { "/v1/traces" } else { "/v1/logs" };
        let text = String::from_utf8(fixture(&format!("{name}.json"))).expect("UTF-8");
        let refused = text.replace("\"model\"", "\"m\"").replace(".model\"", ".m\"");
        for body in [text, refused] {
            assert_eq!(post(&app, path, JSON, body.into_bytes()).await.status, 200, "{name}");
        }
    }
    // The log's bytes are uncompressed; the lake's are asked through SQL.
    assert_no_mark(app.data_dir());
    app.app.flush().await.expect("flushed");
    for table in ["usage_events", "rejected_events"] {
        let rows = app.sql(&format!("SELECT * FROM {table}")).await;
        assert!(rows.len() > 5, "{table}: {rows:?}");
        assert!(!Value::from(rows).to_string().contains("MARKED"), "{table}");
    }
}

fn assert_no_mark(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_no_mark(&path);
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let found = bytes.windows(6).any(|window| window == b"MARKED");
        assert!(!found, "{} holds marked text", path.display());
    }
}

/// The sender, pinned.
const PACKAGES: [&str; 2] =
    ["opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"];

/// Runs to the end, and fails with what the command said.
fn run(what: &str, command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{errors}", output.status);
    output.stdout
}

/// A Python with the SDK: installed once below the target folder, and used
/// again while its packages are those of [`PACKAGES`].
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("otel_sdk_venv");
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return python;
    }
    let needs = "this test needs python3 with venv, and the package index";
    run(needs, Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    run(needs, install.args(PACKAGES));
    std::fs::write(&installed, wanted).expect("the note of what is installed");
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_sdk_sends_what_the_api_then_answers() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let url = server.client.url.clone();
    let output = tokio::task::spawn_blocking(move || {
        let mut client = Command::new(python());
        run(
            "otel_sdk.py",
            client.arg(repository_path("tests/clients/otel_sdk.py")).args([&url, ADMIN_TOKEN]),
        )
    });
    let report: Value = serde_json::from_slice(&output.await.expect("run")).expect("JSON");
    assert_eq!(report["protobuf"]["total_events"], "400");
    assert_eq!(report["json"]["total_events"], "400");
    assert_eq!(server.client.sql("SELECT 1 FROM rejected_events").await, [] as [Value; 0]);
}
