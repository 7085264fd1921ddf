//! One connection, from the login to its end: reads messages, answers each.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{BackendKeyData, ParameterStatus, SecretKey};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::PgDoor;
use super::cancel::CancelKey;
use super::fault::{Fault, Outcome};
use super::frontend::Message;
use super::login::{LOGIN_TIME_MAX, User, fatal, log_in};
use super::rows::Guard;
use super::session::Session;
use super::settings::Settings;
use super::startup::{Opening, Start, open, options};
use super::wire::Wire;
use crate::access::Share;

/// A client that logged in.
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) door: Arc<PgDoor>,
    pub(super) user: User,
    pub(super) session: Session,
    key: CancelKey,
    _share: Option<Share>,
    /// After a fault of the extended protocol, until the next Sync.
    skips_to_sync: bool,
}

/// Serves one connection to its end; it is a newcomer until it logged in.
pub(super) async fn serve(
    door: Arc<PgDoor>,
    tcp: tokio::net::TcpStream,
    (address, newcomer): (IpAddr, Share),
    stop: CancellationToken,
) {
    // Answers are small and each is waited for.
    let _ = tcp.set_nodelay(true);
    let deadline = Instant::now() + LOGIN_TIME_MAX;
    let opening = timeout(LOGIN_TIME_MAX, open(tcp, door.tls.as_ref())).await;
    let (stream, start) = match opening {
        Ok(Ok(Opening::Start { stream, start })) => (stream, start),
        Ok(Ok(Opening::Cancel { id, secret })) => return door.cancels.cancel(id, secret),
        Ok(Ok(Opening::Nothing)) | Err(_) => return,
        Ok(Err(fault)) => {
            tracing::debug!(%address, %fault, "a PostgreSQL connection did not begin");
            return;
        }
    };
    let mut wire = Wire::new(stream);
    let begun = tokio::time::timeout_at(deadline, begin(&mut wire, &door, &start, address)).await;
    let begun = begun.unwrap_or_else(|_| Err(Fault::fatal("08006", "the login took too long")));
    match begun {
        Ok((user, session, key, share)) => {
            drop(newcomer);
            wire.accept_long_messages();
            let (_share, skips_to_sync) = (share, false);
            let mut connection =
                Connection { wire, door, user, session, key, _share, skips_to_sync };
            connection.run(&stop).await;
            connection.wire.close().await;
        }
        Err(fault) => {
            let _ = wire.put(&fatal(fault).to_message());
            wire.close().await;
        }
    }
}

/// Logs in, and tells the client what it needs to know.
async fn begin(
    wire: &mut Wire,
    door: &Arc<PgDoor>,
    start: &Start,
    address: IpAddr,
) -> Outcome<(User, Session, CancelKey, Option<Share>)> {
    let (user, share) = log_in(wire, door, start, address).await?;
    let mut settings = Settings::new(user.name(), start.is_encrypted);
    for (name, value) in &start.parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                for (name, value) in options(value)? {
                    settings.set_startup(&name, &value)?;
                }
            }
            name if name.starts_with("_pq_.") => {}
            name => settings.set_startup(name, value)?,
        }
    }
    let key = door.cancels.register(rand::random());
    for (name, value) in settings.reported() {
        tell(wire, name, value)?;
    }
    let secret = SecretKey::I32(key.secret());
    wire.put(&PgWireBackendMessage::BackendKeyData(BackendKeyData::new(key.id, secret)))?;
    let ready = ReadyForQuery::new(TransactionStatus::Idle);
    wire.put(&PgWireBackendMessage::ReadyForQuery(ready))?;
    wire.flush().await?;
    Ok((user, Session::new(settings), key, share))
}

/// Tells the client the value of a setting.
fn tell(wire: &mut Wire, name: &str, value: String) -> Outcome<()> {
    let status = ParameterStatus::new(name.to_owned(), value);
    wire.put(&PgWireBackendMessage::ParameterStatus(status))
}

impl Connection {
    async fn run(&mut self, stop: &CancellationToken) {
        loop {
            let outcome = match self.next(stop).await {
                Ok(Some(Message::Terminate) | None) => return,
                Ok(Some(message)) => self.answer(message).await,
                Err(fault) => Err(fault),
            };
            let Err(fault) = outcome else { continue };
            if self.wire.put(&fault.to_message()).is_err() || fault.is_fatal {
                return;
            }
            if self.wire.flush().await.is_err() {
                return;
            }
        }
    }

    /// The next message. While the client says nothing, portals that hold
    /// their place for too long give it up.
    async fn next(&mut self, stop: &CancellationToken) -> Outcome<Option<Message>> {
        let in_transaction = self.session.transaction.status != TransactionStatus::Idle;
        let idle = self.door.idle_time_max;
        let deadline = Instant::now() + idle;
        let most = self.door.transaction_time_max;
        let overdue = self.session.transaction.since.map(|since| since + most);
        loop {
            let portal = self.session.expires();
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let message = "terminating connection: the server is stopping";
                    return Err(Fault::fatal("57P01", message));
                }
                // Before the next message: one that comes in time every time
                // would hold the view for good.
                () = sleep_until(overdue.unwrap_or(deadline)), if overdue.is_some() => {
                    return Err(too_old(most));
                }
                message = self.wire.message() => return message,
                () = sleep_until(portal.unwrap_or(deadline)), if portal.is_some() => {
                    self.session.expire(Instant::now());
                }
                () = sleep_until(deadline) => return Err(too_idle(in_transaction, idle)),
            }
        }
    }

    async fn answer(&mut self, message: Message) -> Outcome<()> {
        match message {
            Message::Query(text) => {
                self.skips_to_sync = false;
                let outcome = self.simple_query(&text).await;
                self.after(outcome)?;
                self.ready().await
            }
            Message::Sync => {
                self.skips_to_sync = false;
                self.session.settle();
                self.ready().await
            }
            _ if self.skips_to_sync => Ok(()),
            Message::Flush => self.wire.flush().await,
            // What is left of a copy that was refused.
            Message::Copy => Ok(()),
            Message::Password(_) => Err(Fault::protocol("the login is over")),
            message => {
                let outcome = self.extended(message).await;
                self.skips_to_sync = outcome.is_err();
                if outcome.is_err() {
                    self.session.fail();
                }
                outcome
            }
        }
    }

    /// Tells the client of a fault that ends its query but not more.
    fn after(&mut self, outcome: Outcome<()>) -> Outcome<()> {
        let result = match outcome {
            Err(fault) if !fault.is_fatal => {
                self.session.fail();
                self.wire.put(&fault.to_message())
            }
            outcome => outcome,
        };
        self.session.settle();
        result
    }

    async fn ready(&mut self) -> Outcome<()> {
        let ready = ReadyForQuery::new(self.session.transaction.status);
        self.wire.put(&PgWireBackendMessage::ReadyForQuery(ready))?;
        self.wire.flush().await
    }

    /// Tells the client what became of its settings.
    pub(super) fn tell_all(&mut self, changes: Vec<(&'static str, String)>) -> Outcome<()> {
        changes.into_iter().try_for_each(|(name, value)| tell(&mut self.wire, name, value))
    }

    /// What may end the statement that begins now.
    pub(super) fn guard(&self) -> Guard {
        Guard { cancelled: self.key.begin(), deadline: self.deadline() }
    }

    /// Until when a statement that begins now may run, by the client's wish.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.session.settings.statement_timeout();
        timeout.map(|timeout| Instant::now() + timeout)
    }

    /// The number that clients call a process.
    pub(super) fn process_id(&self) -> i32 {
        self.key.id
    }

    /// No statement runs any more.
    pub(super) fn end_guard(&self) {
        self.key.end();
    }
}

fn too_old(most: Duration) -> Fault {
    let seconds = most.as_secs();
    let message = format!(
        "terminating connection: its transaction, or what it asked without a Sync, lasted for \
         {seconds} seconds, the most allowed"
    );
    Fault::fatal("25P03", message)
}

fn too_idle(in_transaction: bool, idle: Duration) -> Fault {
    let seconds = idle.as_secs();
    if in_transaction {
        let message =
            format!("terminating connection: its transaction was idle for {seconds} seconds");
        return Fault::fatal("25P03", message);
    }
    let message = format!(
        "terminating connection: it was idle for {seconds} seconds, the most allowed (pg_idle_seconds_max)"
    );
    Fault::fatal("57P05", message)
}
