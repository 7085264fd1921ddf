//! The real binary's doors of SQL, as it opens them itself: whom they let in,
//! and what becomes of who hangs up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

use super::listening::certificate;
use crate::flight::door::{client_of, sql, status};
use crate::pg_wire::fixture::{code, column};
use crate::support::events::event;
use crate::support::server::{ADMIN_TOKEN, Server, free_address, run};

const COUNT: &str = "SELECT count(*) AS n FROM usage_events";
const ENDLESS: &str = "SELECT count(*) FROM range(1, 900000000000) a WHERE a.value % 7 = 8";

struct Doors {
    server: Server,
    pg: SocketAddr,
    flight: SocketAddr,
    /// A token of an analyst: its id and its secret.
    id: String,
    secret: String,
    _folder: tempfile::TempDir,
}

impl Doors {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (pg, flight) = (free_address(), free_address());
        let (pg_text, flight_text) = (pg.to_string(), flight.to_string());
        let listen = [
            ("SPENDLAKE_PG_LISTEN", pg_text.as_str()),
            ("SPENDLAKE_FLIGHT_LISTEN", flight_text.as_str()),
        ];
        let server = Server::start(folder.path(), &listen).await;
        let url = |path: &str| format!("{}{path}", server.client.url);
        let stored = server.client.http.post(url("/api/events")).body(event("1").to_string());
        assert_eq!(stored.send().await.expect("an answer").status().as_u16(), 200);
        let grants = json!([{"role": "analyst", "over": "platform"}]);
        let asked = server.client.http.post(url("/api/tokens"));
        let asked = asked.json(&json!({"name": "reports", "grants": grants}));
        let made: Value = asked.send().await.expect("an answer").json().await.expect("a token");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (id, secret) = (text(&made["token"]["id"]), text(&made["secret"]));
        Self { server, pg, flight, id, secret, _folder: folder }
    }

    async fn log_in(&self, secret: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        self.connect(secret).await.map(|(client, _)| client)
    }

    /// A login, and what holds its connection.
    async fn connect(
        &self,
        secret: &str,
    ) -> Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.pg.port()).user(&self.id).password(secret);
        let (client, connection) = config.dbname("spendlake").connect(NoTls).await?;
        let holding = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok((client, holding))
    }

    /// Waits until so many statements are open.
    async fn until_open(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let url = format!("{}/api/sql/statements", self.server.client.url);
        loop {
            let list = self.server.client.http.get(&url).send().await.expect("an answer");
            let list: Value = list.json().await.expect("statements");
            let states = list["items"].as_array().expect("a list").iter();
            let open =
                states.filter(|one| ["waiting", "running"].iter().any(|s| one["state"] == *s));
            if open.count() == count {
                return;
            }
            assert!(Instant::now() < deadline, "{list}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_every_door_until_it_is_revoked_and_no_other_does() {
    let doors = Doors::open().await;
    let forged = format!("{}x", &doors.secret[..doors.secret.len() - 1]);
    let pg = doors.log_in(&doors.secret).await.expect("a login");
    assert_eq!(column(&pg, COUNT).await, ["1"]);
    let error = doors.log_in(&forged).await.expect_err("refused");
    assert_eq!(code(&error), "28P01");
    let mut flight = client_of(doors.flight);
    flight.set_token(doors.secret.clone());
    assert_eq!(sql(&mut flight, COUNT).await.num_rows(), 1);
    let mut other = client_of(doors.flight);
    other.set_token(forged);
    let error = other.execute(COUNT.to_owned(), None).await.expect_err("refused");
    assert_eq!(status(&error).code(), tonic::Code::Unauthenticated);

    let url = format!("{}/api/tokens/{}", doors.server.client.url, doors.id);
    let revoked = doors.server.client.http.delete(url).send().await.expect("an answer");
    assert!(revoked.status().is_success(), "{}", revoked.status());
    assert!(pg.simple_query(COUNT).await.is_err());
    assert!(doors.log_in(&doors.secret).await.is_err());
    let error = flight.execute(COUNT.to_owned(), None).await.expect_err("refused");
    assert_eq!(status(&error).code(), tonic::Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_frees_the_place_of_its_statement() {
    let doors = Doors::open().await;
    let http = doors.server.client.url.strip_prefix("http://").expect("plain").to_owned();
    let body = json!({"query": ENDLESS}).to_string();
    let head = format!(
        "POST /api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&http).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    doors.until_open(1).await;
    drop(stream);
    doors.until_open(0).await;

    let (pg, holding) = doors.connect(&doors.secret).await.expect("a login");
    let asked = tokio::spawn(async move { pg.simple_query(ENDLESS).await.map(drop) });
    doors.until_open(1).await;
    holding.abort();
    doors.until_open(0).await;
    assert!(asked.await.expect("no panic").is_err(), "nobody answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_no_door_speaks_plain() {
    let (data, files) =
        (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let (certificate, key) = certificate(files.path());
    let (pg, flight) = (free_address(), free_address());
    let (pg_text, flight_text) = (pg.to_string(), flight.to_string());
    let settings = [
        ("SPENDLAKE_TLS_CERTIFICATE", certificate.as_str()),
        ("SPENDLAKE_TLS_KEY", key.as_str()),
        ("SPENDLAKE_PG_LISTEN", pg_text.as_str()),
        ("SPENDLAKE_FLIGHT_LISTEN", flight_text.as_str()),
    ];
    let _server = Server::spawn(data.path(), &settings).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pg.port()).user("init").password(ADMIN_TOKEN);
    let error = config.connect(NoTls).await.err().expect("refused");
    assert_eq!(code(&error), "28000", "{error}");
    // It does speak TLS: `S` answers the request for it.
    let mut stream = TcpStream::connect(pg).await.expect("a connection");
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'S');
    let mut plain = client_of(flight);
    plain.set_token(ADMIN_TOKEN.to_owned());
    assert!(plain.execute(COUNT.to_owned(), None).await.is_err());
}

#[test]
fn off_loopback_no_door_opens_without_an_admin_and_tls() {
    let folder = tempfile::tempdir().expect("folder");
    for door in ["--pg-listen", "--flight-listen"] {
        let output = run(folder.path(), &["serve", "--listen", "127.0.0.1:0", door, "0.0.0.0:0"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{door}");
        assert!(text.contains("there is no administrator yet"), "{door}: {text}");
    }
}
