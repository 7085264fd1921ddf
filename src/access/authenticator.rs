//! Finds out whose credential a request shows: from memory, so that no
//! request waits for the database.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq as _;

use super::attempts::Attempts;
use super::credential::{Credential, JwtVerifier, ScramVerifier, Vouched};
use super::passwords::Passwords;
use super::principal::Principal;
use super::randomness::Randomness;
use super::snapshot::{SessionEntry, Snapshot, TokenEntry, why_not};
use super::token::{self, Reading};
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::{CredentialUse, DirectoryStore};
use crate::error::{Error, ErrorKind, Result};

/// The id of the token that the settings bring in.
pub const INIT_TOKEN_ID: &str = "init-admin";

/// How often uses are written down.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
/// A credential that this node does not know may be one that another node just
/// made: it is looked for, but not more often than this.
const LOOK_AGAIN_INTERVAL: TimeDelta = TimeDelta::milliseconds(250);

/// Attempts to get in, before the rate holds: for one account, and from one
/// address, behind which there may be many people.
const ATTEMPTS_OF_ACCOUNT: (i32, TimeDelta) = (10, TimeDelta::seconds(30));
const ATTEMPTS_OF_ADDRESS: (i32, TimeDelta) = (60, TimeDelta::seconds(1));

/// Checks credentials, and is the one door to those that are stored.
#[derive(Debug)]
pub struct Authenticator {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) randomness: Arc<dyn Randomness>,
    pub(super) passwords: Passwords,
    pub(super) account_attempts: Attempts,
    pub(super) address_attempts: Attempts,
    /// What the server tells once when there is no administrator.
    pub(super) setup_code: Mutex<Option<String>>,
    /// Empty until the directory is open.
    store: OnceLock<Arc<DirectoryStore>>,
    snapshot: ArcSwap<Snapshot>,
    building: Mutex<()>,
    looked_again_at: Mutex<DateTime<Utc>>,
    jwt_verifier: OnceLock<Arc<dyn JwtVerifier>>,
    /// Makes up verifiers of tokens that there are not.
    pretence: [u8; 32],
}

/// What the settings say.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) session_idle: TimeDelta,
    pub(super) session_max: TimeDelta,
    pub(super) init: super::init::InitSettings,
}

impl Authenticator {
    /// One that knows nobody yet: `Unavailable` until [`Authenticator::open`].
    /// `Unavailable` where there is no randomness.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self> {
        let settings = Settings {
            session_idle: TimeDelta::hours(i64::from(config.session_idle_hours)),
            session_max: TimeDelta::hours(i64::from(config.session_hours_max)),
            init: super::init::InitSettings::from(config),
        };
        let (of_account, of_address) = (ATTEMPTS_OF_ACCOUNT, ATTEMPTS_OF_ADDRESS);
        Ok(Self {
            settings,
            pretence: randomness.bytes()?,
            passwords: Passwords::new(Arc::clone(&randomness)),
            account_attempts: Attempts::new("for this account", of_account.0, of_account.1),
            address_attempts: Attempts::new("from this address", of_address.0, of_address.1),
            setup_code: Mutex::new(None),
            store: OnceLock::new(),
            snapshot: ArcSwap::default(),
            building: Mutex::new(()),
            looked_again_at: Mutex::new(DateTime::<Utc>::MIN_UTC),
            jwt_verifier: OnceLock::new(),
            clock,
            randomness,
        })
    }

    /// Takes the credentials of `store`, and brings in what the settings say
    /// about the first administrator. `Invalid` where they cannot be used.
    pub async fn open(&self, store: Arc<DirectoryStore>) -> Result<()> {
        let twice = |_| Error::internal("the credentials were opened twice");
        self.store.set(store).map_err(twice)?;
        self.bring_in_first_admin().await
    }

    /// Checks JWTs by `verifier`. The first one that is set stays.
    pub fn set_jwt_verifier(&self, verifier: Arc<dyn JwtVerifier>) {
        // A second one would be a mistake of the start order, and harmless.
        let _ = self.jwt_verifier.set(verifier);
    }

    /// Whose credential it is. `Unauthenticated` where it is not known, has
    /// expired or was revoked: the message does not say which, the log does.
    pub async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>> {
        match credential {
            Credential::Token(text) => self.authenticate_token(text).await,
            Credential::Session(secret) => self.authenticate_session(secret).await,
            Credential::Jwt(text) => self.authenticate_jwt(text).await,
        }
    }

    /// What SCRAM checks the token of this id by. An id that is not known has
    /// one as well, always the same, that nothing fits.
    pub fn scram(&self, token_id: &str) -> Result<ScramVerifier> {
        let snapshot = self.snapshot()?;
        let token = snapshot.tokens.get(token_id);
        let token = token.filter(|token| why_not(&token.record, self.clock.now()).is_none());
        if let Some(TokenEntry { record, .. }) = token.map(Arc::as_ref) {
            let (salt, salted_password) =
                (record.scram_salt.clone(), record.scram_salted_password.clone());
            return Ok(ScramVerifier { salt, salted_password });
        }
        let made_up = |what: &str| {
            let named = format!("{what}/{token_id}");
            token::hash_with(&self.pretence, named.as_bytes())
        };
        let salt = made_up("salt")[..16].to_vec();
        Ok(ScramVerifier { salt, salted_password: made_up("password").to_vec() })
    }

    /// Whether there is a token of this id, or was one that is still listed.
    pub fn knows_token(&self, token_id: &str) -> Result<bool> {
        Ok(self.snapshot()?.tokens.contains_key(token_id))
    }

    /// Whose token it is that SCRAM found right.
    pub fn token_principal(&self, token_id: &str) -> Result<Arc<Principal>> {
        let snapshot = self.snapshot()?;
        let Some(token) = snapshot.tokens.get(token_id) else {
            return Err(refused("a token that is not known", token_id));
        };
        self.admit_token(&snapshot, token)
    }

    /// Whether there is a token or an account of a super admin that holds now.
    pub fn has_super_admin(&self) -> Result<bool> {
        Ok(self.snapshot()?.has_super_admin(self.clock.now()))
    }

    /// Writes down, each minute, what was used; until it is dropped.
    pub async fn note_uses(self: Arc<Self>) {
        loop {
            tokio::time::sleep(NOTE_INTERVAL).await;
            if let Err(error) = self.note_uses_now().await {
                let error = error.full_message();
                tracing::warn!(error, "the last use of credentials was not written down");
            }
        }
    }

    /// Writes down what was used and is not written down.
    pub async fn note_uses_now(&self) -> Result<()> {
        let snapshot = self.snapshot()?;
        let tokens = snapshot.tokens.iter().filter_map(|(id, token)| {
            Some((CredentialUse::Token(id.clone()), token.used.take_unwritten()?))
        });
        let sessions = snapshot.sessions.iter().filter_map(|(hash, session)| {
            Some((CredentialUse::Session(*hash), session.used.take_unwritten()?))
        });
        let uses: Vec<_> = tokens.chain(sessions).collect();
        if uses.is_empty() {
            return Ok(());
        }
        self.store()?.note_credential_uses(&uses).await
    }

    pub(super) fn store(&self) -> Result<&Arc<DirectoryStore>> {
        let not_ready = || Error::unavailable("the directory is being opened; try again shortly");
        self.store.get().ok_or_else(not_ready)
    }

    /// The current credentials, made ready where nobody has yet.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let store = self.store()?;
        let known = self.snapshot.load_full();
        if known.credentials.revision() == store.credentials().revision() {
            return Ok(known);
        }
        let _turn = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.snapshot.load_full();
        let credentials = store.credentials();
        if known.credentials.revision() == credentials.revision() {
            return Ok(known);
        }
        let next = Arc::new(Snapshot::next(&known, credentials));
        self.snapshot.store(Arc::clone(&next));
        Ok(next)
    }

    async fn authenticate_token(&self, text: &str) -> Result<Arc<Principal>> {
        let reading = token::read(text);
        let hash = token::hash(text);
        for look_again in [false, true] {
            if look_again
                && !(matches!(reading, Reading::Token { .. }) && self.look_again().await?)
            {
                break;
            }
            let snapshot = self.snapshot()?;
            let by_id = match reading {
                Reading::Token { id } => snapshot.tokens.get(id),
                Reading::Mistyped | Reading::Foreign => None,
            };
            // The token of the settings may look like anything.
            let candidates = [by_id, snapshot.tokens.get(INIT_TOKEN_ID)];
            let is_it = |token: &&Arc<TokenEntry>| bool::from(token.record.hash.ct_eq(&hash));
            if let Some(token) = candidates.into_iter().flatten().find(is_it) {
                return self.admit_token(&snapshot, token);
            }
        }
        match reading {
            Reading::Token { id } => Err(refused("a token that is not known", id)),
            Reading::Mistyped => Err(Error::new(
                ErrorKind::Unauthenticated,
                "the token is cut short or mistyped: its checksum does not fit; copy all of it",
            )),
            Reading::Foreign => Err(refused("a text that is no token", "")),
        }
    }

    async fn authenticate_jwt(&self, text: &str) -> Result<Arc<Principal>> {
        // The token of the settings may look like anything.
        let snapshot = self.snapshot()?;
        let hash = token::hash(text);
        let init = snapshot.tokens.get(INIT_TOKEN_ID);
        if let Some(token) = init.filter(|token| bool::from(token.record.hash.ct_eq(&hash))) {
            return self.admit_token(&snapshot, token);
        }
        let Some(verifier) = self.jwt_verifier.get() else {
            return Err(refused("a JWT, and no identity provider is set up", ""));
        };
        let Vouched { principal, without_grants } = verifier.verify(text).await?;
        match (self.snapshot()?.account_of(&principal), without_grants) {
            (Some(account), _) if account.record.disabled_at.is_some() => {
                Err(refused("a JWT of somebody whose account is disabled", principal.id()))
            }
            (Some(account), _) => Ok(Arc::new(principal.with_roles_of(&account.principal))),
            (None, Some(why)) => Err(Error::new(ErrorKind::Forbidden, why.to_string())),
            (None, None) => Ok(principal),
        }
    }

    fn admit_token(&self, snapshot: &Snapshot, token: &TokenEntry) -> Result<Arc<Principal>> {
        let now = self.clock.now();
        if let Some(why) = why_not(&token.record, now) {
            return Err(refused(why, &token.record.id));
        }
        let owner = token.record.owner.as_deref();
        if owner.is_some_and(|owner| snapshot.owner(owner, now).is_none()) {
            return Err(refused("a token whose owner is gone", &token.record.id));
        }
        token.used.note(now);
        Ok(Arc::clone(&token.principal))
    }

    async fn authenticate_session(&self, secret: &str) -> Result<Arc<Principal>> {
        // The hash is looked up: whoever does not know the secret cannot steer it.
        let hash = token::hash(secret);
        let mut session = self.snapshot()?.sessions.get(&hash).cloned();
        if session.is_none() && self.look_again().await? {
            session = self.snapshot()?.sessions.get(&hash).cloned();
        }
        let Some(session) = session else { return Err(refused("a session that is not known", "")) };
        self.admit_session(&session).await
    }

    async fn admit_session(&self, session: &SessionEntry) -> Result<Arc<Principal>> {
        let now = self.clock.now();
        if session.record.expires_at <= now {
            return Err(refused("a session that is over", ""));
        }
        if self.is_idle(session, now) {
            // It may have been used at another node.
            let store = self.store()?;
            if store.has_other_nodes()
                && let Some(seen) = store.session_last_seen(&session.record.hash).await?
            {
                session.used.note(seen);
            }
            if self.is_idle(session, now) {
                return Err(refused("a session that was idle for too long", ""));
            }
        }
        let Some(principal) = &session.principal else {
            return Err(refused("a session whose account is gone or disabled", ""));
        };
        session.used.note(now);
        Ok(Arc::clone(principal))
    }

    /// Whether nobody used the session for as long as one may be idle.
    pub(super) fn is_idle(&self, session: &SessionEntry, now: DateTime<Utc>) -> bool {
        let last = session.used.last().unwrap_or(session.record.created_at);
        last + self.settings.session_idle <= now
    }

    /// Reads what another node may have changed; answers whether there was
    /// anything new.
    async fn look_again(&self) -> Result<bool> {
        let store = self.store()?;
        if !store.has_other_nodes() {
            return Ok(false);
        }
        let now = self.clock.now();
        {
            let mut looked = self.looked_again_at.lock().unwrap_or_else(PoisonError::into_inner);
            if *looked <= now && now - *looked < LOOK_AGAIN_INTERVAL {
                return Ok(false);
            }
            *looked = now;
        }
        store.refresh_credentials().await
    }
}

/// Nobody outside learns more than that it does not hold.
fn refused(why: &str, id: &str) -> Error {
    tracing::info!(why, id, "a credential was refused");
    Error::new(
        ErrorKind::Unauthenticated,
        "the credential is not known, has expired or was revoked",
    )
}
