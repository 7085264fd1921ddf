//! The PostgreSQL protocol: SQL for every tool that speaks to PostgreSQL. One
//! session for each connection, the engine's own read-only door behind it.

mod asking;
mod cancel;
mod catalog_questions;
mod column_names;
mod command;
mod connection;
mod encode;
mod fault;
mod frontend;
mod lex;
mod login;
mod nested;
mod numeric;
mod parameters;
mod placeholders;
mod query;
mod rewording;
mod rows;
mod run;
mod session;
mod settings;
mod startup;
mod time;
mod types;
mod wire;
mod words;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::{Authenticator, Principal, ScramVerifier, Shares};
use crate::api::{ClientAddress, FailedAttempts};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use crate::flush::View;
use cancel::Cancels;
use catalog_questions::Questions;

pub use startup::PgTls;

/// How long statements that run may go on once the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a transaction may last, or a view be held without one.
const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(600);
/// How long to wait when no more connections can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the current view; fails while the server cannot answer yet.
pub type TakeView = dyn Fn() -> Result<Arc<View>> + Send + Sync;

/// Whose token it is that a client logs in with.
pub trait Logins: fmt::Debug + Send + Sync {
    /// What SCRAM checks the token of this id by; an id that is not known has
    /// one as well, that nothing fits.
    fn scram(&self, token_id: &str) -> Result<ScramVerifier>;

    /// Whether there is a token of this id, or was one.
    fn knows(&self, token_id: &str) -> Result<bool>;

    /// Whose the token is now; `Unauthenticated` once it does not hold any more.
    fn principal(&self, token_id: &str) -> Result<Arc<Principal>>;
}

impl Logins for Authenticator {
    fn scram(&self, token_id: &str) -> Result<ScramVerifier> {
        Self::scram(self, token_id)
    }

    fn knows(&self, token_id: &str) -> Result<bool> {
        self.knows_token(token_id)
    }

    fn principal(&self, token_id: &str) -> Result<Arc<Principal>> {
        self.token_principal(token_id)
    }
}

/// What the protocol's server is made of.
pub struct PgParts {
    /// Runs the statements.
    pub engine: Arc<Engine>,
    /// Called once a transaction, or a statement outside of one.
    pub view: Box<TakeView>,
    /// Who may log in.
    pub logins: Arc<dyn Logins>,
    /// Whom everybody is taken for where nobody is asked who they are.
    pub anyone: Option<Arc<Principal>>,
    /// The server's certificate. With one, nothing is taken unencrypted.
    pub tls: Option<PgTls>,
    /// Where failed logins are noted.
    pub failures: Arc<FailedAttempts>,
}

/// What all connections share.
pub(crate) struct PgDoor {
    engine: Arc<Engine>,
    view: Box<TakeView>,
    logins: Arc<dyn Logins>,
    anyone: Option<Arc<Principal>>,
    tls: Option<PgTls>,
    requires_tls: bool,
    failures: Arc<FailedAttempts>,
    questions: Questions,
    cancels: Arc<Cancels>,
    /// Connections of each principal.
    shares: Arc<Shares>,
    idle_time_max: Duration,
    statement_time_max: Duration,
    transaction_time_max: Duration,
}

/// A server of the PostgreSQL protocol.
#[derive(Debug)]
pub struct PgServer {
    door: PgDoor,
    connections_max: usize,
}

impl PgServer {
    /// By the limits of `config`.
    pub fn new(config: &Config, parts: PgParts) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let door = PgDoor {
            engine: parts.engine,
            view: parts.view,
            logins: parts.logins,
            anyone: parts.anyone,
            requires_tls: parts.tls.is_some(),
            tls: parts.tls,
            failures: parts.failures,
            questions: Questions::new(),
            cancels: Arc::new(Cancels::default()),
            shares: Shares::of(config.pg_connections_max),
            idle_time_max: seconds(config.pg_idle_seconds_max),
            statement_time_max: seconds(config.query_seconds_max),
            transaction_time_max: TRANSACTION_TIME_MAX,
        };
        Self { door, connections_max: config.pg_connections_max }
    }

    /// With transactions that last so long at most, for tests.
    #[must_use]
    pub fn with_transaction_time_max(mut self, most: Duration) -> Self {
        self.door.transaction_time_max = most;
        self
    }

    /// Serves connections of `listener` until `stop`; then lets what runs
    /// finish within a bounded time.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let door = Arc::new(self.door);
        let places = Arc::new(Semaphore::new(self.connections_max));
        // Of each network, those that did not log in yet.
        let newcomers = Shares::of(self.connections_max);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let (tcp, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, most likely: those of others close in time.
                    tracing::warn!(%error, "cannot accept a PostgreSQL connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let address = unmapped(peer.ip());
            let place = Arc::clone(&places).try_acquire_owned().ok();
            let newcomer = newcomers.take(&ClientAddress(Some(address)).network());
            let (Some(place), Some(newcomer)) = (place, newcomer) else {
                connections.spawn(refuse(tcp, self.connections_max));
                continue;
            };
            let (door, stop) = (Arc::clone(&door), stop.clone());
            connections.spawn(async move {
                connection::serve(door, tcp, (address, newcomer), stop).await;
                drop(place);
            });
        }
        let finish = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME_MAX, finish).await.is_err() {
            connections.shutdown().await;
        }
    }
}

/// The address as others write it: IPv4 stays that on a socket for both.
fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Tells a client that there is no place, in the words of the protocol; it
/// needs not have said anything yet.
async fn refuse(mut tcp: TcpStream, most: usize) {
    // Closing with something unread would take the answer back.
    let _ = tokio::time::timeout(ACCEPT_PAUSE, tcp.read(&mut [0; 1024])).await;
    let message = format!(
        "{most} connections are open, or a quarter of them from one network that did not log in \
         yet, the most allowed (pg_connections_max); try again later"
    );
    let mut wire = wire::Wire::new(Box::new(tcp));
    let _ = wire.put(&fault::Fault::fatal("53300", message).to_message());
    wire.close().await;
}

impl fmt::Debug for PgDoor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PgDoor")
            .field("logins", &self.logins)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PgParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PgParts")
            .field("logins", &self.logins)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
