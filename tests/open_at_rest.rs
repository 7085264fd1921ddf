//! Another Delta reader sees the same totals in the same files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use spendlake::model::Money;

use crate::support::app::TestApp;
use crate::support::events::{event_with, lines};
use crate::support::server::repository_path;

/// The reader, pinned.
const PACKAGES: [&str; 2] = ["deltalake==1.6.6", "pyarrow==26.0.1"];

/// Runs to the end, and fails with what the command said.
fn run(what: &str, command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{errors}", output.status);
    output.stdout
}

/// A Python that can read Delta tables: installed once below the target
/// folder, and used again while its packages are those of [`PACKAGES`].
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("open_at_rest_venv");
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

/// What the other reader finds in `usage_events`.
fn read_totals(data_dir: &Path) -> Value {
    let mut command = Command::new(python());
    command.arg(repository_path("tests/open_at_rest/totals.py"));
    let table = data_dir.join("lake/usage_events");
    serde_json::from_slice(&run("totals.py", command.arg(table))).expect("JSON")
}

/// Costs of many digits, some unknown, over three organizations and many days.
fn batch(first: u64) -> String {
    let events: Vec<Value> = (first..first + 60)
        .map(|number| {
            let cost = format!("0.{:012}", number * 7_919_123 % 1_000_000_000_000);
            event_with(
                &format!("e{number}"),
                json!({
                    "organization_id": format!("0190a3c2-7b1e-7c00-8000-00000000000{}", number % 3 + 1),
                    "event_time": format!("2026-11-{:02}T{:02}:30:00Z", number % 20 + 1, number % 24),
                    "conversation_id": format!("c{}", number % 17),
                    "user_id": format!("u{}", number % 5),
                    "model": if number % 4 == 0 { "house-model" } else { "gpt-4o" },
                    "actual_api_cost": if number % 3 == 0 { json!(cost) } else { Value::Null },
                    "cache_read_tokens": number * 3,
                    "cache_write_1h_tokens": number,
                }),
            )
        })
        .collect();
    lines(&events)
}

async fn assert_same_totals(app: &TestApp) -> u64 {
    let found = read_totals(app.data_dir());
    let path = "/api/platform/analytics/summary?date_from=2026-10-01&date_to=2026-12-31";
    let summary = app.json(path).await;
    for (name, value) in found.as_object().expect("an object") {
        match name.as_str() {
            "files" => {}
            "total_cost" | "actual_api_cost" => {
                let money =
                    |value: &Value| Money::parse(value.as_str().expect("text")).expect("money");
                assert_eq!(money(&summary[name]), money(value), "{name}");
            }
            _ => assert_eq!(&summary[name], value, "{name}"),
        }
    }
    found["files"].as_u64().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_delta_reader_sees_the_totals_of_the_api_before_and_after_compaction() {
    let app = TestApp::new().await;
    for part in 0..3 {
        app.store(batch(part * 60)).await;
        app.app.flush().await.expect("flushed");
    }
    let files = assert_same_totals(&app).await;
    app.app.compact().await.expect("compacted");
    let compacted = assert_same_totals(&app).await;
    assert!(compacted < files, "{files} files became {compacted}");
    app.store(batch(500)).await;
    app.app.flush().await.expect("flushed");
    assert!(assert_same_totals(&app).await > compacted);
}
