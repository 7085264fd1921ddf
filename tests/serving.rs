//! The real binary: start, health, stop, and what it refuses.

use std::process::Command;

use crate::support::app::TestApp;
use crate::support::events::{event, lines};
use crate::support::server::{Client, Server, repository_path, run};

#[tokio::test(flavor = "multi_thread")]
async fn ready_comes_after_the_replay_and_the_health_routes_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let mut server = Server::start(folder.path(), &[]).await;
    server.client.send(event("a").to_string()).await.expect("an answer");
    server.kill();
    let server = Server::start(folder.path(), &[]).await;
    let rows = server.client.sql("SELECT count(*) AS n FROM usage_events").await;
    assert_eq!(rows[0]["n"], 1, "the acknowledged event was replayed");
    let text = |path: &str| {
        let request = server.client.http.get(format!("{}{path}", server.client.url)).send();
        async move { request.await.expect("an answer").text().await.expect("text") }
    };
    assert_eq!(text("/healthz").await, "ok\n");
    assert_eq!(text("/readyz").await, "ready\n");
    server.client.send(event("b").to_string()).await.expect("an answer");
    let metrics = text("/metrics").await;
    for name in [
        "spendlake_events_total{status=\"accepted\"} 1",
        "spendlake_hot_rows",
        "spendlake_wal_bytes",
        "spendlake_wal_sync_seconds_bucket",
        "spendlake_group_commit_seconds_bucket",
        "spendlake_request_seconds_bucket{route=\"/api/events\"",
        "spendlake_rollup_cache_bytes",
    ] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
    assert!(server.stop().await, "a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_everything_in_the_lake() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    server.client.send(lines(&[event("a"), event("b")])).await.expect("an answer");
    assert!(server.stop().await);
    let log: Vec<_> = std::fs::read_dir(folder.path().join("wal")).expect("a folder").collect();
    assert!(log.is_empty(), "{log:?}");
    let output =
        run(folder.path(), &["sql", "--format", "csv", "SELECT count(*) AS n FROM usage_events"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_import_find_the_running_server() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, lines(&[event("a"), event("b")])).expect("a file");
    let output = run(folder.path(), &["import", &file.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output =
        run(folder.path(), &["sql", "--format", "csv", "SELECT count(*) AS n FROM usage_events"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n2\n");
    drop(server);
}

#[test]
fn a_reachable_address_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let output = run(folder.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("there is no administrator yet"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_who_holds_the_data() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let output = run(folder.path(), &["verify"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&server.client.url), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_unpriced_models_beside_a_running_server() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let mut event = crate::support::events::event("call-1");
    event["model"] = "house-model-7".into();
    let stored = server.client.send(event.to_string()).await.expect("an answer");
    assert_eq!(stored.0, 200, "{}", stored.1);
    let output = run(folder.path(), &["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("/house-model-7 (1 events)"), "{text}");
}

#[test]
fn a_misspelt_setting_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    let output = Command::new(env!("CARGO_BIN_EXE_spendlake"))
        .args(["doctor", "--data-dir"])
        .arg(folder.path())
        .env("SPENDLAKE_FLUSH_ROW_MAX", "1")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("SPENDLAKE_FLUSH_ROW_MAX"), "{text}");
}

/// The committed document is what the code generates; SPENDLAKE_TEST_UPDATE=1
/// writes it anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_the_committed_one() {
    let app = TestApp::new().await;
    let served = app.json("/api/openapi.json").await;
    let text = serde_json::to_string_pretty(&served).expect("JSON") + "\n";
    let path = repository_path("docs/openapi.json");
    if std::env::var_os("SPENDLAKE_TEST_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/openapi.json is stale; run with SPENDLAKE_TEST_UPDATE=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[]).await;
    let Client { url, http } = &server.client;
    let request = http.get(format!("{url}/nowhere")).header("x-request-id", "mine");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let generated = http.get(format!("{url}/healthz")).send().await.expect("an answer");
    assert!(generated.headers().contains_key("x-request-id"));
}
