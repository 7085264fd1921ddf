//! Who a client is: SCRAM-SHA-256 with a token's id as the user and the token
//! as the password, so that the token itself is never sent.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use pgwire::api::auth::Password;
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, NegotiateProtocolVersion};

use super::PgDoor;
use super::fault::{Fault, Outcome};
use super::frontend::{Body, Message};
use super::startup::Start;
use super::wire::Wire;
use crate::access::{Permission, Principal, SCRAM_ITERATIONS, Share};
use crate::api::ClientAddress;

/// How long a login may take, from the first byte.
pub(super) const LOGIN_TIME_MAX: Duration = Duration::from_secs(10);

/// The one database that there is.
pub(super) const DATABASE: &str = "spendlake";

const SCRAM: &str = "SCRAM-SHA-256";
/// The same, tied to the certificate of the connection.
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Whoever logged in.
#[derive(Debug, Clone)]
pub(super) enum User {
    /// By a token, which is looked at again with each statement.
    Token(String),
    /// Nobody is asked who they are.
    Anyone(Arc<Principal>),
}

impl User {
    /// As clients see it: `current_user`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Token(id) => id,
            Self::Anyone(principal) => principal.id(),
        }
    }
}

/// Finds out who the client is, that it may run SQL, and that it has not more
/// connections than one may.
pub(super) async fn log_in(
    wire: &mut Wire,
    door: &PgDoor,
    start: &Start,
    address: IpAddr,
) -> Outcome<(User, Option<Share>)> {
    negotiate(wire, start)?;
    if door.requires_tls && !start.is_encrypted {
        return Err(Fault::fatal(
            "28000",
            "this server takes connections with TLS only: sslmode=require",
        ));
    }
    if start
        .parameters
        .get("replication")
        .is_some_and(|value| !["false", "off", "no", "0"].contains(&value.as_str()))
    {
        return Err(Fault::fatal("0A000", "replication is not supported"));
    }
    let user = start.parameters.get("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| Fault::fatal("28000", "no user: it is the id of a token"))?;
    let found = match &door.anyone {
        Some(principal) => User::Anyone(Arc::clone(principal)),
        None => {
            // Who guesses keeps nobody out who comes from the same address: a
            // token of 256 random bits is not found by guessing.
            scram(wire, door, start, user).await.inspect_err(|fault| {
                if fault.code == "28P01" {
                    let (address, known) = (ClientAddress(Some(address)), door.known_token(user));
                    door.failures.note_login(address, "postgresql", known);
                }
            })?;
            User::Token(user.clone())
        }
    };
    door.principal(&found)?;
    check_database(start, user)?;
    let share = door.share(&found)?;
    wire.put(&PgWireBackendMessage::Authentication(Authentication::Ok))?;
    Ok((found, share))
}

/// Tells a client that speaks something newer what is spoken here.
fn negotiate(wire: &mut Wire, start: &Start) -> Outcome<()> {
    let extensions = start.parameters.keys().filter(|name| name.starts_with("_pq_."));
    let extensions: Vec<String> = extensions.cloned().collect();
    if start.minor == 0 && extensions.is_empty() {
        return Ok(());
    }
    let newest = 3 << 16;
    let answer = NegotiateProtocolVersion::new(newest, extensions);
    wire.put(&PgWireBackendMessage::NegotiateProtocolVersion(answer))
}

fn check_database(start: &Start, user: &str) -> Outcome<()> {
    match start.parameters.get("database").map(String::as_str) {
        // A client that was told none names its user; tools begin with postgres.
        None | Some("" | DATABASE | "postgres") => Ok(()),
        Some(name) if name == user => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(64).collect();
            let message = format!("database \"{shown}\" does not exist; there is one, {DATABASE}");
            Err(Fault::fatal("3D000", message))
        }
    }
}

/// The exchange of RFC 5802 and RFC 7677.
async fn scram(wire: &mut Wire, door: &PgDoor, start: &Start, user: &str) -> Outcome<()> {
    let wrong =
        || Fault::fatal("28P01", format!("password authentication failed for user \"{user}\""));
    let verifier = door.logins.scram(user).map_err(|error| fatal(error.into()))?;
    let password = Password::new(Some(verifier.salt), verifier.salted_password);
    let mut plain = ScramServerAuth::new();
    plain.set_iterations(usize::try_from(SCRAM_ITERATIONS).unwrap_or(usize::MAX));
    let bound = door.tls.as_ref().filter(|_| start.is_encrypted).and_then(|tls| {
        let mut bound = ScramServerAuth::new();
        bound.set_iterations(usize::try_from(SCRAM_ITERATIONS).unwrap_or(usize::MAX));
        // Some certificates have no hash that a login can be tied to.
        bound.configure_certificate(&tls.certificate_pem).ok().map(|()| bound)
    });
    let names = bound.iter().map(|_| SCRAM_PLUS).chain([SCRAM]);
    let names = names.map(str::to_owned).collect();
    ask(wire, Authentication::SASL(names)).await?;

    let (name, first) = initial_response(password_message(wire).await?)?;
    let is_bound = name == SCRAM_PLUS;
    let server = match (name.as_str(), &bound) {
        (SCRAM_PLUS, Some(bound)) => bound,
        (SCRAM, _) => &plain,
        _ => return Err(Fault::protocol("the client chose a mechanism that was not offered")),
    };
    // `y` says that the client would have bound the login but was not offered
    // to: where it was, somebody between the two took the offer away.
    let flag = first.first().copied();
    if (flag == Some(b'p')) != is_bound || (flag == Some(b'y') && bound.is_some()) {
        return Err(Fault::protocol("the channel binding does not fit what was offered"));
    }
    let (challenge, waiting) = server
        .on_client_first_message(&first, password)
        .map_err(|_| Fault::protocol("malformed SCRAM message"))?;
    ask(wire, Authentication::SASLContinue(challenge.into())).await?;

    let last = password_message(wire).await?;
    let proof = waiting.on_client_final_message(&last).map_err(|_| wrong())?;
    wire.put(&PgWireBackendMessage::Authentication(Authentication::SASLFinal(proof.into())))
}

async fn ask(wire: &mut Wire, question: Authentication) -> Outcome<()> {
    wire.put(&PgWireBackendMessage::Authentication(question))?;
    wire.flush().await
}

async fn password_message(wire: &mut Wire) -> Outcome<Bytes> {
    match wire.message().await? {
        Some(Message::Password(body)) => Ok(body),
        Some(_) => Err(Fault::protocol("expected a password message")),
        None => Err(Fault::fatal("08006", "the client hung up during the login")),
    }
}

/// The mechanism that the client chose, and its first words.
fn initial_response(body: Bytes) -> Outcome<(String, Bytes)> {
    let mut body = Body(body);
    let name = body.text()?;
    let length = usize::try_from(body.int()?).unwrap_or(0);
    let first = body.bytes(length)?;
    if body.0.has_remaining() {
        return Err(Fault::protocol("a message is longer than what it says"));
    }
    Ok((name, first))
}

pub(super) fn fatal(fault: Fault) -> Fault {
    Fault { is_fatal: true, ..fault }
}

impl PgDoor {
    /// A place among the user's connections. Where nobody is asked who they
    /// are, all have the same name, and no share.
    fn share(&self, user: &User) -> Outcome<Option<Share>> {
        let User::Token(id) = user else { return Ok(None) };
        let most = self.shares.most();
        self.shares.take(id.as_bytes()).map(Some).ok_or_else(|| {
            let message = format!(
                "too many connections for \"{id}\": {most} are open, the most for one token \
                 (a quarter of pg_connections_max)"
            );
            Fault::fatal("53300", message)
        })
    }

    /// The user, where it is the id of a token: what was typed otherwise may be
    /// a token itself, or somebody's name, and is not written down.
    fn known_token<'a>(&self, user: &'a str) -> Option<&'a str> {
        self.logins.knows(user).unwrap_or(false).then_some(user)
    }

    /// Who the user is now: a token that was revoked or has expired since is
    /// told so, and its connection ends.
    pub(super) fn principal(&self, user: &User) -> Outcome<Arc<Principal>> {
        let principal = match user {
            User::Anyone(principal) => Arc::clone(principal),
            User::Token(id) => self.logins.principal(id).map_err(|error| fatal(error.into()))?,
        };
        if principal.may(Permission::RunSql) {
            return Ok(principal);
        }
        let scope = Permission::RunSql.scope();
        let message =
            format!("the token may not run SQL; it takes the scope {scope} and a role that reads");
        Err(Fault::fatal("42501", message))
    }
}
