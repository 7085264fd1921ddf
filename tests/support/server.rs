//! The real binary, serving on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running `spendlake serve`. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) client: Client,
}

/// Who talks to a server: a super admin, by a token that outlives its restarts.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

/// The super admin's token of every server that these tests start.
pub(crate) const ADMIN_TOKEN: &str = "a-token-that-only-the-tests-know-0001";

impl Default for Client {
    fn default() -> Self {
        Self { url: String::new(), http: http_client(Some(ADMIN_TOKEN)) }
    }
}

/// An HTTP client that shows this token.
pub(crate) fn http_client(token: Option<&str>) -> reqwest::Client {
    // reqwest takes the process's provider of cryptography.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let bearer = token.map(|token| format!("Bearer {token}").parse().expect("a header"));
    let headers = bearer.map(|value| (reqwest::header::AUTHORIZATION, value));
    let builder = reqwest::Client::builder().default_headers(headers.into_iter().collect());
    builder.build().expect("a client")
}

/// An address of this machine where nothing listens now.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// How long a server may say that it is busy.
const BUSY_SECONDS_MAX: u64 = 10;

/// How long a start may take before the test gives up.
const START_SECONDS_MAX: u64 = 60;

impl Server {
    /// Starts on a free port, with `environment` added, and waits until ready.
    pub(crate) async fn start(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::spawn(data_dir, environment).await.ready().await
    }

    /// The same on a port that others already know.
    pub(crate) async fn start_on(data_dir: &Path, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        Self::spawn_on(data_dir, &listen, &[]).await.ready().await
    }

    async fn ready(self) -> Self {
        let mut server = self;
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !server.client.is_ready().await {
            assert!(server.is_running(), "the server ended while starting");
            if Instant::now() > deadline {
                let url = format!("{}/readyz", server.client.url);
                let answer = match server.client.http.get(url).send().await {
                    Ok(answer) => answer.text().await,
                    Err(error) => Err(error),
                };
                panic!("the server did not become ready: {answer:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// Starts, and waits only until it listens.
    pub(crate) async fn spawn(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::spawn_on(data_dir, "127.0.0.1:0", environment).await
    }

    async fn spawn_on(data_dir: &Path, listen: &str, environment: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_spendlake"))
            .args(["serve", "--listen", listen, "--data-dir"])
            .arg(data_dir)
            .args(["--flush-interval-seconds", "1"])
            .env("SPENDLAKE_LOG", "warn")
            .env("SPENDLAKE_INIT_ADMIN_TOKEN", ADMIN_TOKEN)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut server = Self { child, client: Client::default() };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if let Some(running) = spendlake::app::running_server(data_dir) {
                server.client.url = running.url();
                return server;
            }
            assert!(server.is_running(), "the server ended before it listened");
            assert!(Instant::now() < deadline, "the server did not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child's state").is_none()
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while self.is_running() {
            assert!(Instant::now() < deadline, "the server did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the server to stop as an operator would, and waits for it.
    pub(crate) async fn stop(mut self) -> bool {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(status.success());
        self.ended().await;
        self.child.wait().expect("the exit status").success()
    }
}

impl Client {
    async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Sends NDJSON; the status and the answer, or `None` when the connection
    /// broke before an answer came.
    pub(crate) async fn send(&self, body: String) -> Option<(u16, Value)> {
        let request = self.http.post(format!("{}/api/events", self.url)).body(body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// The rows of a SQL statement.
    pub(crate) async fn sql(&self, query: &str) -> Vec<Value> {
        let body = serde_json::json!({"query": query, "format": "json"});
        let deadline = Instant::now() + Duration::from_secs(BUSY_SECONDS_MAX);
        loop {
            let request = self.http.post(format!("{}/api/sql", self.url)).json(&body);
            let answer = request.send().await.expect("an answer to SQL");
            let status = answer.status();
            let text = answer.text().await.expect("the answer's body");
            // Rows that are rewritten meanwhile are to be asked for again.
            if status.as_u16() == 503 && Instant::now() < deadline {
                continue;
            }
            assert!(status.is_success(), "{query}: {text}");
            return serde_json::from_str(&text).expect("a JSON array of rows");
        }
    }

    /// A route's JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.expect("answer");
        let status = answer.status();
        let text = answer.text().await.expect("the answer's body");
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the binary to its end.
pub(crate) fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spendlake"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .env("SPENDLAKE_LOG", "warn")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// Runs `spendlake verify` and fails with its output when anything differs.
pub(crate) fn assert_verifies(data_dir: &Path) {
    let output = run(data_dir, &["verify"]);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "verify: {text}");
}

/// A file of the repository.
pub(crate) fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
