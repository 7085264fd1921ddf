//! People's sessions: opened by a login, ended by a logout, by time, or by
//! whoever runs the platform.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::audits::{audit, audit_of};
use super::authenticator::Authenticator;
use super::credential::{NewSession, SessionOwner};
use super::granting::runs_platform;
use super::principal::Principal;
use super::snapshot::{AccountEntry, SessionEntry, stored_principal};
use super::token;
use crate::directory::{CredentialEdit, SessionHolder, SessionRecord};
use crate::error::{Error, ErrorKind, Result};

/// What a browser calls itself is kept up to here, characters.
const USER_AGENT_CHARACTERS_MAX: usize = 200;
/// Sessions of one account or person; the one that was opened longest ago
/// gives way to a new one.
const SESSIONS_OF_ONE_MAX: usize = 50;
/// Digits of a hash that name a session in lists.
const ID_DIGITS: usize = 24;

/// What a person types to get in.
#[derive(Clone)]
pub struct Login {
    /// The account's address.
    pub email: String,
    /// Its password.
    pub password: String,
}

/// What is known of a browser that asks for a session.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// Where it asks from.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// The secret of the session that it has: a new one takes its place.
    pub session_secret: Option<String>,
}

/// A session as its owner is shown it.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// Names it; it opens nothing.
    pub id: String,
    /// The principal's id: the account's, or what a provider calls somebody.
    pub principal_id: String,
    /// What people call the person.
    pub name: String,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was used last.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When it is over at the latest.
    pub expires_at: DateTime<Utc>,
    /// What the browser calls itself, cut short.
    pub user_agent: Option<String>,
    /// Whether the request was made in it.
    pub current: bool,
}

impl Authenticator {
    /// Opens a session for whoever knows the password of an account.
    /// `Unauthenticated` where it is not the right one, `RateLimited` where
    /// that was tried too often.
    pub async fn log_in(&self, login: &Login, visitor: &Visitor) -> Result<NewSession> {
        let email = login.email.trim().to_lowercase();
        let now = self.clock.now();
        self.address_attempts.take(&visitor.address_name(), now)?;
        self.account_attempts.take(&email, now)?;
        let account = self.snapshot()?.account_of_email(&email).cloned();
        let hash = account.as_ref().and_then(|account| account.record.password_hash.as_deref());
        let fits = self.passwords.fits(&login.password, hash).await?;
        let account = account.filter(|account| fits && account.record.disabled_at.is_none());
        let Some(account) = account else {
            self.log_in_failed(&email).await?;
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "no account has this email and password; check both",
            ));
        };
        self.account_attempts.give_back(&email, now);
        let owner = SessionOwner::Account(account.record.id.clone());
        self.open_session(owner, visitor).await
    }

    /// Counts an attempt of a browser to get in by another way than a
    /// password; `RateLimited` where its address tried too often.
    pub fn count_attempt(&self, visitor: &Visitor) -> Result<()> {
        self.address_attempts.take(&visitor.address_name(), self.clock.now())
    }

    /// Opens a session, after whoever asks was found to be `owner`, in the
    /// place of the one that its browser has.
    pub async fn open_session(&self, owner: SessionOwner, visitor: &Visitor) -> Result<NewSession> {
        let secret = token::secret(&*self.randomness)?;
        let (principal, holder) = self.holder_of(owner)?;
        let now = self.clock.now();
        let record = SessionRecord {
            hash: token::hash(&secret),
            holder,
            created_at: now,
            last_seen_at: now,
            expires_at: now + self.settings.session_max,
            user_agent: visitor
                .user_agent
                .as_deref()
                .map(|name| name.chars().take(USER_AGENT_CHARACTERS_MAX).collect()),
        };
        let replaced = visitor.session_secret.as_deref().map(token::hash);
        let line = audit_of(&principal, "login", session_subject(&record.hash), json!({}));
        let opened = self.store()?.edit_credentials(move |edit| {
            end_superfluous(edit, &record);
            if let Some(hash) = replaced {
                edit.end_session(&hash);
            }
            edit.put_session(record);
            edit.audit(line);
            Ok(())
        });
        opened.await?;
        Ok(NewSession { secret, lasts: self.settings.session_max, principal })
    }

    /// Ends the session of this secret, where there is one.
    pub async fn close_session(&self, secret: &str) -> Result<()> {
        let hash = token::hash(secret);
        let snapshot = self.snapshot()?;
        let Some(session) = snapshot.sessions.get(&hash) else { return Ok(()) };
        let line = session
            .principal
            .as_ref()
            .map(|principal| audit_of(principal, "logout", session_subject(&hash), json!({})));
        let ended = self.store()?.edit_credentials(move |edit| {
            if edit.end_session(&hash) {
                line.into_iter().for_each(|line| edit.audit(line));
            }
            Ok(())
        });
        ended.await
    }

    /// The sessions of `caller`, or, where it runs the platform, of everybody;
    /// `current_secret` is that of the request's own.
    pub fn sessions(
        &self,
        caller: &Principal,
        current_secret: Option<&str>,
    ) -> Result<Vec<SessionView>> {
        let (snapshot, now) = (self.snapshot()?, self.clock.now());
        let current = current_secret.map(token::hash);
        let lasting = snapshot
            .sessions
            .values()
            .filter(|session| session.record.expires_at > now && !self.is_idle(session, now));
        let visible = lasting.filter_map(|session| {
            let principal = session.principal.as_ref()?;
            let is_own = principal.id() == caller.id();
            let view = SessionView::new(session, principal, current);
            (is_own || runs_platform(caller)).then_some(view)
        });
        let mut views: Vec<_> = visible.collect();
        views.sort_by(|one, other| (other.created_at, &one.id).cmp(&(one.created_at, &other.id)));
        Ok(views)
    }

    /// Ends a session of `caller`, or, where it runs the platform, anybody's.
    pub async fn end_session(&self, caller: &Principal, id: &str) -> Result<()> {
        let unknown = || Error::not_found(format!("there is no session {id:?} of yours"));
        let snapshot = self.snapshot()?;
        let named =
            snapshot.sessions.values().find(|session| session_id(&session.record.hash) == id);
        let session = named.ok_or_else(unknown)?;
        let principal = session.principal.as_ref();
        let is_own = principal.is_some_and(|principal| principal.id() == caller.id());
        if !is_own && !runs_platform(caller) {
            return Err(unknown());
        }
        let hash = session.record.hash;
        let details = json!({ "of": principal.map(|principal| principal.id()) });
        let line = audit_of(caller, "session.end", session_subject(&hash), details);
        let ended = self.store()?.edit_credentials(move |edit| {
            if edit.end_session(&hash) {
                edit.audit(line);
            }
            Ok(())
        });
        ended.await
    }

    fn holder_of(&self, owner: SessionOwner) -> Result<(Arc<Principal>, SessionHolder)> {
        match owner {
            SessionOwner::Principal(principal) => {
                let stored = stored_principal(&principal)?;
                Ok((Arc::new(principal), SessionHolder::Principal(stored)))
            }
            SessionOwner::Account(id) => {
                let snapshot = self.snapshot()?;
                let account: Option<&Arc<AccountEntry>> = snapshot.accounts.get(&id);
                let account = account.filter(|account| account.record.disabled_at.is_none());
                let account = account.ok_or_else(|| {
                    Error::new(ErrorKind::Unauthenticated, "the account is gone or disabled")
                })?;
                Ok((Arc::clone(&account.principal), SessionHolder::Account(id)))
            }
        }
    }

    /// Only an address that there is an account of is written down: people
    /// type passwords into the wrong field.
    async fn log_in_failed(&self, email: &str) -> Result<()> {
        let snapshot = self.snapshot()?;
        let account = snapshot.account_of_email(email);
        let subject = account.map_or("account/unknown".to_owned(), |account| {
            format!("account/{}", account.record.id)
        });
        tracing::info!(subject, "a login failed");
        metrics::counter!("spendlake_refused_credentials_total", "what" => "login.failed")
            .increment(1);
        let line = audit("anonymous", "login.failed", subject, json!({}));
        self.store()?.append_audit(&line).await
    }
}

impl SessionView {
    fn new(session: &SessionEntry, principal: &Principal, current: Option<[u8; 32]>) -> Self {
        let record = &session.record;
        Self {
            id: session_id(&record.hash),
            principal_id: principal.id().to_owned(),
            name: principal.name().to_owned(),
            created_at: record.created_at,
            last_seen_at: session.used.last(),
            expires_at: record.expires_at,
            user_agent: record.user_agent.clone(),
            current: current == Some(record.hash),
        }
    }
}

impl Visitor {
    /// What attempts are counted by: an IPv4 address, or the /64 of an IPv6
    /// one, since one host has all of it.
    pub(super) fn address_name(&self) -> String {
        match self.address.map(|address| address.to_canonical()) {
            None => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("{:x?}", &address.octets()[..8]),
        }
    }
}

/// The secret and the password stay out of logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Ends every session that is over, and the oldest ones of the holder of `new`
/// where it has as many as one may.
fn end_superfluous(edit: &mut CredentialEdit, new: &SessionRecord) {
    let now = edit.now();
    let sessions = edit.credentials().sessions();
    let (over, lasting): (Vec<_>, Vec<_>) = sessions.partition(|one| one.expires_at <= now);
    let mut of_holder: Vec<_> = lasting
        .into_iter()
        .filter(|one| same_holder(&one.holder, &new.holder))
        .map(|one| (one.created_at, one.hash))
        .collect();
    of_holder.sort_unstable();
    let too_many = (of_holder.len() + 1).saturating_sub(SESSIONS_OF_ONE_MAX);
    let oldest = of_holder.into_iter().take(too_many).map(|(_, hash)| hash);
    let ended: Vec<_> = over.into_iter().map(|one| one.hash).chain(oldest).collect();
    for hash in ended {
        edit.end_session(&hash);
    }
}

fn same_holder(one: &SessionHolder, other: &SessionHolder) -> bool {
    match (one, other) {
        (SessionHolder::Account(one), SessionHolder::Account(other)) => one == other,
        (SessionHolder::Principal(one), SessionHolder::Principal(other)) => {
            one.get("id") == other.get("id")
        }
        _ => false,
    }
}

/// Ends every session of an account.
pub(super) fn end_sessions_of(edit: &mut CredentialEdit, account_id: &str) {
    let of_account = |session: &&Arc<SessionRecord>| matches!(&session.holder, SessionHolder::Account(id) if id == account_id);
    let hashes: Vec<_> =
        edit.credentials().sessions().filter(of_account).map(|session| session.hash).collect();
    for hash in hashes {
        edit.end_session(&hash);
    }
}

/// What names a session in lists: a part of its hash, which opens nothing.
fn session_id(hash: &[u8; 32]) -> String {
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.take(ID_DIGITS).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn session_subject(hash: &[u8; 32]) -> String {
    format!("session/{}", session_id(hash))
}
