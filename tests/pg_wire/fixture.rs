//! The program in this process, served to PostgreSQL clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pgwire::api::auth::sasl::scram::gen_salted_password;
use serde_json::json;
use spendlake::access::{
    Domain, Grant, Origin, Permission, Permissions, Principal, Role, SCRAM_ITERATIONS,
    ScramVerifier,
};
use spendlake::config::Config;
use spendlake::error::{Error, ErrorKind, Result};
use spendlake::pg_wire::{Logins, PgServer, PgTls};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::events::{event_with, lines};

/// An analyst of everything.
pub(crate) const ANALYST: &str = "tok_analyst";
/// May read usage, but no SQL.
pub(crate) const READER: &str = "tok_reader";

/// A few tokens, in memory.
#[derive(Debug, Default)]
pub(crate) struct TestLogins {
    tokens: BTreeMap<&'static str, (String, Arc<Principal>)>,
    revoked: Mutex<BTreeSet<String>>,
}

impl TestLogins {
    fn new() -> Self {
        let mut logins = Self::default();
        let sql = Permissions::of(&[Permission::RunSql, Permission::ReadUsage]);
        logins.add(ANALYST, Domain::Platform, sql);
        logins.add(READER, Domain::Platform, Permissions::of(&[Permission::ReadUsage]));
        logins
    }

    fn add(&mut self, id: &'static str, domain: Domain, scopes: Permissions) {
        let grants = vec![Grant::new(Role::Analyst, domain).expect("a grant")];
        let principal = Principal::new(id, id, Origin::Token, grants, scopes);
        self.tokens.insert(id, (token_of(id), Arc::new(principal)));
    }

    /// The token holds no longer.
    pub(crate) fn revoke(&self, id: &str) {
        self.revoked.lock().expect("a lock").insert(id.to_owned());
    }
}

impl Logins for TestLogins {
    fn scram(&self, id: &str) -> Result<ScramVerifier> {
        let salt = b"0123456789abcdef".to_vec();
        let token = self.tokens.get(id).map_or("nobody knows this", |(token, _)| token);
        let rounds = usize::try_from(SCRAM_ITERATIONS).expect("rounds");
        let salted_password = gen_salted_password(token, &salt, rounds);
        Ok(ScramVerifier { salt, salted_password })
    }

    fn knows(&self, id: &str) -> Result<bool> {
        Ok(self.tokens.contains_key(id))
    }

    fn principal(&self, id: &str) -> Result<Arc<Principal>> {
        let revoked = self.revoked.lock().expect("a lock").contains(id);
        let found = self.tokens.get(id).filter(|_| !revoked);
        found.map(|(_, principal)| Arc::clone(principal)).ok_or_else(|| {
            Error::new(ErrorKind::Unauthenticated, "the token does not hold any more")
        })
    }
}

/// The token of this id.
pub(crate) fn token_of(id: &str) -> String {
    format!("secret of {id}")
}

/// A served program.
pub(crate) struct Served {
    pub(crate) app: TestApp,
    pub(crate) address: SocketAddr,
    pub(crate) logins: Arc<TestLogins>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}, None).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config), tls: Option<PgTls>) -> Self {
        Self::serving(change, tls, |server| server).await
    }

    pub(crate) async fn serving(
        change: impl FnOnce(&mut Config),
        tls: Option<PgTls>,
        adjust: impl FnOnce(PgServer) -> PgServer,
    ) -> Self {
        let app = TestApp::with(change).await;
        let logins = Arc::new(TestLogins::new());
        let known: Arc<dyn Logins> = Arc::<TestLogins>::clone(&logins);
        let server = adjust(app.app.pg_server(known, None, tls).expect("a server"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let task = Some(tokio::spawn(server.serve(listener, stop.clone())));
        Self { app, address, logins, stop, task }
    }

    /// Two priced events and one of unknown cost.
    pub(crate) async fn with_events() -> Self {
        let served = Self::new().await;
        served.store_events().await;
        served
    }

    pub(crate) async fn store_events(&self) {
        let events = [
            event_with(
                "1",
                json!({"actual_api_cost": "0.000013500001", "charged_cost": "0.75",
                       "tags": {"project": "a \"b\""}}),
            ),
            event_with(
                "2",
                json!({"user_id": "bob", "charged_cost": "999999.000000000001",
                       "event_time": "2026-11-21T08:00:00.123456Z", "duration_ms": 12}),
            ),
            event_with("3", json!({"user_id": "eve", "model": "house-model"})),
        ];
        self.app.store(lines(&events)).await;
    }

    pub(crate) fn config(&self, id: &str, token: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user(id).password(token);
        config.dbname("spendlake");
        config
    }

    pub(crate) async fn log_in(
        &self,
        id: &str,
        token: &str,
    ) -> std::result::Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(id, token).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A connection of the analyst.
    pub(crate) async fn client(&self) -> Client {
        self.log_in(ANALYST, &token_of(ANALYST)).await.expect("a login")
    }

    /// Stops the server and waits for it.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.expect("the server ends");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The SQLSTATE of a fault.
pub(crate) fn code(error: &tokio_postgres::Error) -> String {
    let code = error.code().map(|code| code.code().to_owned());
    code.unwrap_or_else(|| format!("no SQLSTATE: {error:?}"))
}

/// The rows of a simple query, as texts; `None` is null.
pub(crate) async fn texts(client: &Client, query: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(query).await;
    let messages = messages.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    });
    rows.collect()
}

/// The first column of the rows.
pub(crate) async fn column(client: &Client, query: &str) -> Vec<String> {
    let rows = texts(client, query).await.into_iter();
    rows.filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// The SQLSTATE that a simple query fails with.
pub(crate) async fn refusal(client: &Client, query: &str) -> String {
    match client.simple_query(query).await {
        Ok(_) => panic!("{query} was run"),
        Err(error) => code(&error),
    }
}
