//! The real LiteLLM proxy logs its calls to a running Spendlake, which is
//! killed and started again in the middle: events, tokens and costs are
//! LiteLLM's own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use spendlake::model::Money;

use crate::support::events::ORGANIZATION;
use crate::support::files::assert_absent;
use crate::support::server::{ADMIN_TOKEN, Server, assert_verifies, repository_path};

/// The proxy, pinned: its payload is read as this version writes it.
const PACKAGE: &str = "litellm[proxy]==1.106.2";

/// How long LiteLLM may take to deliver what it logged.
const DELIVERY_SECONDS_MAX: u64 = 120;

/// A Python with the proxy, installed once below the target folder.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("litellm_venv");
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == PACKAGE) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = command.output().expect("python3 with venv, and the package index");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]);
    run(&mut install);
    std::fs::write(&installed, PACKAGE).expect("the note of what is installed");
    python
}

/// A running proxy that makes calls when told to. Dropping it stops it.
struct Proxy {
    child: Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
    folder: PathBuf,
}

impl Proxy {
    fn start(folder: &Path, endpoint: &str) -> Self {
        let mut child = Command::new(python())
            .arg(repository_path("tests/clients/litellm_proxy.py"))
            .arg(folder)
            .args([endpoint, ORGANIZATION, ADMIN_TOKEN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut proxy = Self { child, answers, folder: folder.to_owned() };
        assert_eq!(proxy.answer(), "ready");
        proxy
    }

    fn answer(&mut self) -> String {
        let log = || std::fs::read_to_string(self.folder.join("proxy.log")).unwrap_or_default();
        let answer = self.answers.next().unwrap_or_else(|| panic!("the client ended\n{}", log()));
        answer.expect("an answer")
    }

    /// Has `count` calls made, without waiting for them.
    fn ask(&mut self, count: u32) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "calls {count}").expect("the client listens");
    }

    fn call(&mut self, count: u32) {
        self.ask(count);
        assert_eq!(self.answer(), format!("made {count}"));
    }

    /// What LiteLLM itself says of each attempt.
    fn figures(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("figures.jsonl")).expect("figures");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The end of its input is what the client stops at.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits until LiteLLM logs nothing more and Spendlake counts as many events as
/// that, and says what both hold. LiteLLM logs a call after it has answered it.
async fn stored(server: &Server, proxy: &Proxy) -> (Vec<Value>, Vec<Value>) {
    let deadline = Instant::now() + Duration::from_secs(DELIVERY_SECONDS_MAX);
    let mut logged = 0;
    let query = "SELECT event_id, model_name, status, cost_source, \
                 CAST(actual_api_cost AS VARCHAR) AS cost, cache_read_tokens, cache_write_tokens, \
                 cache_write_1h_tokens, reasoning_tokens, output_tokens, request_id, user_id, \
                 input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens AS prompt \
                 FROM usage_events ORDER BY event_id";
    loop {
        let figures = proxy.figures();
        let rows = server.client.sql(query).await;
        let settled = figures.len() == logged && rows.len() == logged;
        if settled || Instant::now() > deadline {
            return (rows, figures);
        }
        logged = figures.len();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Attempts, prompt and completion tokens, and cost in picodollars; the cost
/// is `None` when one of them is unpriced.
type Sums = BTreeMap<(String, String), (u64, i64, i64, Option<i128>)>;

fn add(sums: &mut Sums, key: (String, String), tokens: [i64; 2], cost: Option<i128>) {
    let sum = sums.entry(key).or_insert((0, 0, 0, Some(0)));
    sum.0 += 1;
    sum.1 += tokens[0];
    sum.2 += tokens[1];
    sum.3 = sum.3.zip(cost).map(|(sum, cost)| sum + cost);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn count(value: &Value) -> i64 {
    value.as_i64().expect("a count")
}

fn picos(literal: &str) -> i128 {
    Money::parse(literal).expect("money").0.picos()
}

/// LiteLLM's figures by model and status. The one exception of ours: a cost of
/// 0 of the model that LiteLLM does not know is unknown.
fn expected(figures: &[Value]) -> Sums {
    let mut sums = Sums::new();
    for figure in figures {
        let (_, model) =
            figure["model"].as_str().and_then(|name| name.split_once('/')).expect("a model");
        let failed = figure["status"] == "failure";
        let status = if failed { "failed" } else { "completed" };
        // The literal as LiteLLM wrote it: the shortest that is this float.
        let literal = figure["response_cost"].to_string();
        let unknown = model == "house-model-7" || figure["model_group"] == "flaky";
        let cost = (!unknown).then(|| picos(&literal));
        let tokens = [count(&figure["prompt_tokens"]), count(&figure["completion_tokens"])];
        add(&mut sums, (model.to_owned(), status.to_owned()), tokens, cost);
    }
    sums
}

fn found(rows: &[Value]) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        let tokens = [count(&row["prompt"]), count(&row["output_tokens"])];
        let cost = row["cost"].as_str().map(picos);
        add(&mut sums, (text(&row["model_name"]), text(&row["status"])), tokens, cost);
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_of_a_real_proxy_are_what_litellm_says_they_are() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let mut server = Server::start(data.path(), &[]).await;
    let port = server.client.url.rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.expect("a port");
    let endpoint = format!("{}/api/integrations/litellm", server.client.url);
    let mut proxy = tokio::task::block_in_place(|| Proxy::start(work.path(), &endpoint));

    tokio::task::block_in_place(|| proxy.call(400));
    // Killed while calls are made; LiteLLM tries again until it is back.
    proxy.ask(100);
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let server = Server::start_on(data.path(), port).await;
    assert_eq!(tokio::task::block_in_place(|| proxy.answer()), "made 100");
    tokio::task::block_in_place(|| proxy.call(500));

    // Each failed attempt is logged beside the call that replaced it.
    let (rows, figures) = stored(&server, &proxy).await;
    assert!(figures.len() > 1_000, "{} attempts", figures.len());
    drop(proxy);
    assert_eq!(rows.len(), figures.len(), "events and attempts");
    assert_eq!(found(&rows), expected(&figures));
    assert_classes(&rows);
    proxy_log_tells_of_retries(work.path());
    let refused = server.client.sql("SELECT message FROM rejected_events").await;
    assert!(refused.is_empty(), "{refused:?}");
    assert!(duplicates(&server).await > 0, "copies were sent and not counted");
    let words = ["hello there", "call 17", "RateLimitError"];
    // Files of the lake are compressed: their rows are asked for instead.
    for table in ["usage_events", "rejected_events"] {
        let rows = server.client.sql(&format!("SELECT * FROM {table}")).await;
        let text = Value::from(rows).to_string();
        assert!(!words.iter().any(|words| text.contains(words)), "{table}");
    }
    assert_absent(data.path(), &words);
    assert!(server.stop().await, "a clean stop");
    assert_verifies(data.path());
}

/// LiteLLM found nobody while Spendlake was away, and tried again.
fn proxy_log_tells_of_retries(folder: &Path) {
    let log = std::fs::read_to_string(folder.join("proxy.log")).expect("the proxy's log");
    assert!(log.contains("Generic API Logger - retrying request"), "{log}");
}

/// How many copies the server was sent since it started.
async fn duplicates(server: &Server) -> u64 {
    let request = server.client.http.get(format!("{}/metrics", server.client.url)).send();
    let page = request.await.expect("an answer").text().await.expect("text");
    let name = "spendlake_events_total{status=\"duplicate\"} ";
    let value = page.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The providers' cached tokens came through LiteLLM in their classes.
fn assert_classes(rows: &[Value]) {
    let cached = |model: &str| {
        let found = rows
            .iter()
            .find(|row| row["model_name"] == model && count(&row["cache_read_tokens"]) > 0);
        found.unwrap_or_else(|| panic!("no cached call of {model}")).clone()
    };
    let claude = cached("claude-sonnet-4-5");
    let names = ["cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "prompt"];
    assert_eq!(names.map(|name| count(&claude[name])), [9107, 188, 1000, 21 + 9107 + 1188]);
    // 21×3 + 9107×0.3 + 188×3.75 + 1000×6 + 393×15 microdollars
    assert_eq!(picos(&text(&claude["cost"])), picos("0.0153951"));
    let gpt = cached("gpt-4o");
    assert_eq!(names.map(|name| count(&gpt[name])), [1920, 0, 0, 2006]);
    assert_eq!((count(&gpt["output_tokens"]), count(&gpt["reasoning_tokens"])), (300, 128));
    // 86×2.5 + 1920×1.25 + 300×10 microdollars
    assert_eq!(picos(&text(&gpt["cost"])), picos("0.005615"));
    for call in [claude, gpt] {
        assert!(text(&call["request_id"]).starts_with("req_"), "the provider's request id: {call}");
    }
    let unpriced = rows.iter().filter(|row| row["cost_source"] == "unpriced");
    let models: std::collections::BTreeSet<_> =
        unpriced.map(|row| text(&row["model_name"])).collect();
    assert_eq!(models.into_iter().collect::<Vec<_>>(), ["gpt-4o-mini", "house-model-7"]);
}
