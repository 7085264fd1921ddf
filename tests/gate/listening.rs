//! Where the real binary listens, how it is reached, and by whom.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::events::event;
use crate::support::server::{ADMIN_TOKEN, Server, http_client, run};

/// A certificate for `localhost` in `folder`: paths of certificate and key.
pub(super) fn certificate(folder: &Path) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    (write("certificate.pem", made.cert.pem()), write("key.pem", made.signing_key.serialize_pem()))
}

#[test]
fn off_loopback_it_does_not_listen_without_an_admin_and_tls() {
    let folder = tempfile::tempdir().expect("folder");
    let refused = |arguments: &[&str]| {
        let output = run(folder.path(), arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let everywhere = ["serve", "--listen", "0.0.0.0:0"];
    let text = refused(&everywhere);
    assert!(text.contains("there is no administrator yet"), "{text}");
    assert!(text.contains("SPENDLAKE_INIT_ADMIN_TOKEN_FILE"), "{text}");
    let token = folder.path().join("token.txt");
    std::fs::write(&token, ADMIN_TOKEN).expect("written");
    let file = token.display().to_string();
    let with_admin = [&everywhere[..], &["--init-admin-token-file", file.as_str()]].concat();
    let text = refused(&with_admin);
    assert!(text.contains("tls_certificate") && text.contains("behind_proxy"), "{text}");
    let text = refused(&[&everywhere[..], &["--insecure-anonymous"]].concat());
    assert!(text.contains("insecure_anonymous"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_admin_it_serves_this_machine_and_answers_nobody_else() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path(), &[("SPENDLAKE_INIT_ADMIN_TOKEN", "")]).await;
    let url = |path: &str| format!("{}{path}", server.client.url);
    let anybody = http_client(None);
    let status = |path: &'static str| {
        let asked = anybody.get(url(path)).send();
        async move { asked.await.expect("an answer").status().as_u16() }
    };
    assert_eq!(status("/readyz").await, 200);
    assert_eq!(status("/api/organizations").await, 401);
    assert_eq!(status("/metrics").await, 401);
    let path = folder.path().join("operator-token");
    let token = std::fs::read_to_string(&path).expect("the operator's token");
    let operator = http_client(Some(&token));
    let answer = operator.get(url("/api/organizations")).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert!(server.stop().await, "a clean stop");
    assert!(!path.exists(), "the token goes with the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_token_is_made_anew_at_each_start() {
    let folder = tempfile::tempdir().expect("folder");
    let mut first = Server::start(folder.path(), &[]).await;
    let path = folder.path().join("operator-token");
    let before = std::fs::read_to_string(&path).expect("a token");
    first.kill();
    assert!(path.exists(), "nobody was there to remove it");
    let second = Server::start(folder.path(), &[]).await;
    assert_ne!(std::fs::read_to_string(&path).expect("a token"), before);
    let old = http_client(Some(&before));
    let url = format!("{}/api/organizations", second.client.url);
    assert_eq!(old.get(url).send().await.expect("an answer").status().as_u16(), 401);
}

fn run_with(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spendlake"))
        .args(arguments)
        .env("SPENDLAKE_LOG", "warn")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_clients_with_the_operator_and_with_the_command_line_elsewhere() {
    let (data, files) =
        (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let (certificate, key) = certificate(files.path());
    let tls =
        [("SPENDLAKE_TLS_CERTIFICATE", certificate.as_str()), ("SPENDLAKE_TLS_KEY", key.as_str())];
    let server = Server::spawn(data.path(), &tls).await;
    assert!(server.client.url.starts_with("https://127.0.0.1:"), "{}", server.client.url);
    let port = server.client.url.rsplit(':').next().expect("a port");
    let by_name = format!("https://localhost:{port}");

    let pem = std::fs::read(&certificate).expect("a certificate");
    let root = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    let trusting = reqwest::Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .build()
        .expect("a client");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let asked = trusting.get(format!("{by_name}/readyz")).send().await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the server did not become ready");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let post = trusting.post(format!("{by_name}/api/events")).bearer_auth(ADMIN_TOKEN);
    let answer = post.body(event("1").to_string()).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
    let stranger = http_client(None).get(format!("{by_name}/readyz")).send().await;
    assert!(stranger.is_err(), "who does not trust the certificate does not go on");
    let plain = http_client(None).get(format!("http://127.0.0.1:{port}/readyz")).send().await;
    assert!(plain.is_err(), "plain HTTP is not spoken");

    let count = ["sql", "--format", "csv", "SELECT count(*) AS n FROM usage_events"];
    let output = run(data.path(), &count);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n1\n", "{said}");
    let elsewhere =
        [&count[..], &["--server", by_name.as_str(), "--ca-certificate", certificate.as_str()]]
            .concat();
    let output = run_with(&[("SPENDLAKE_TOKEN", ADMIN_TOKEN)], &elsewhere);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n1\n", "{said}");
    let output = run_with(&[("SPENDLAKE_TOKEN", "not-the-token-that-opens-anything")], &elsewhere);
    assert!(!output.status.success());
}

#[test]
fn the_command_line_elsewhere_guards_its_token_and_knows_its_limits() {
    let token = [("SPENDLAKE_TOKEN", "slk_secret")];
    let output = run_with(&token, &["sql", "SELECT 1", "--server", "http://192.0.2.1:8787"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("use https"), "{text}");
    assert!(!text.contains("slk_secret"), "{text}");
    let output = run_with(&[], &["verify", "--server", "https://spend.example"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("leave --server out"), "{text}");
}
