//! Access tokens, accounts and sessions as they are stored. What a grant or a
//! scope means is not known here; no record holds a secret in the clear.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::audit::Audit;

/// An access token, without the token.
#[derive(Clone, PartialEq)]
pub struct TokenRecord {
    /// Names it, also within the token itself.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// SHA-256 of the whole token.
    pub hash: [u8; 32],
    /// The salt that SCRAM sends.
    pub scram_salt: Vec<u8>,
    /// What SCRAM checks by.
    pub scram_salted_password: Vec<u8>,
    /// A JSON array.
    pub grants: Value,
    /// None narrows nothing.
    pub scopes: Option<Vec<String>>,
    /// The account or token that it belongs to and ends with.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The principal that made it.
    pub created_by: String,
    /// From when on it is not taken.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is not taken.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The token that took its place.
    pub replaced_by: Option<String>,
    /// Until when it is still taken, though replaced.
    pub overlap_until: Option<DateTime<Utc>>,
}

/// A person's account.
#[derive(Clone, PartialEq)]
pub struct AccountRecord {
    /// A UUID.
    pub id: String,
    /// In lower case; no two accounts have the same.
    pub email: Option<String>,
    /// What people call the person.
    pub name: String,
    /// A PHC string of argon2id.
    pub password_hash: Option<String>,
    /// The same of the password that the settings brought in last.
    pub initial_password_hash: Option<String>,
    /// The identity provider, and what it calls the person.
    pub subject: Option<IssuedSubject>,
    /// A JSON array.
    pub grants: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when nobody gets in by it.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// What an identity provider calls somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssuedSubject {
    /// The provider.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
}

/// A person's session, without its secret.
#[derive(Clone, PartialEq)]
pub struct SessionRecord {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Whose it is.
    pub holder: SessionHolder,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    pub last_seen_at: DateTime<Utc>,
    /// When it is over at the latest.
    pub expires_at: DateTime<Utc>,
    /// What the browser calls itself, cut short.
    pub user_agent: Option<String>,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionHolder {
    /// An account's, by its id.
    Account(String),
    /// That of a principal, as JSON.
    Principal(Value),
}

/// The code that makes the first administrator.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupRecord {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// From when on it is not taken.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    pub used_at: Option<DateTime<Utc>>,
}

/// Everything that somebody can get in by, at one revision.
#[derive(Clone, Default, PartialEq)]
pub struct Credentials {
    pub(super) revision: i64,
    pub(super) tokens: Arc<BTreeMap<String, Arc<TokenRecord>>>,
    pub(super) accounts: Arc<BTreeMap<String, Arc<AccountRecord>>>,
    pub(super) sessions: Arc<BTreeMap<[u8; 32], Arc<SessionRecord>>>,
    pub(super) setup: Option<SetupRecord>,
}

impl Credentials {
    /// Grows with every change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Every token, revoked ones included, in the order of ids.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRecord>> {
        self.tokens.values()
    }

    /// The token of this id.
    pub fn token(&self, id: &str) -> Option<&Arc<TokenRecord>> {
        self.tokens.get(id)
    }

    /// Every account, in the order in which they were made.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<AccountRecord>> {
        self.accounts.values()
    }

    /// The account of this id.
    pub fn account(&self, id: &str) -> Option<&Arc<AccountRecord>> {
        self.accounts.get(id)
    }

    /// The account of this address, which is in lower case.
    pub fn account_of_email(&self, email: &str) -> Option<&Arc<AccountRecord>> {
        self.accounts().find(|account| account.email.as_deref() == Some(email))
    }

    /// The account of whom a provider calls so.
    pub fn account_of_subject(&self, subject: &IssuedSubject) -> Option<&Arc<AccountRecord>> {
        self.accounts().find(|account| account.subject.as_ref() == Some(subject))
    }

    /// Every session, those that are over included.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<SessionRecord>> {
        self.sessions.values()
    }

    /// The session whose secret has this hash.
    pub fn session(&self, hash: &[u8; 32]) -> Option<&Arc<SessionRecord>> {
        self.sessions.get(hash)
    }

    /// The setup code, used or not.
    pub fn setup(&self) -> Option<&SetupRecord> {
        self.setup.as_ref()
    }
}

/// One row to write.
#[derive(Debug)]
pub(super) enum CredentialRow {
    PutToken(Arc<TokenRecord>),
    PutAccount(Arc<AccountRecord>),
    DeleteAccount(String),
    PutSession(Arc<SessionRecord>),
    DeleteSession([u8; 32]),
    PutSetup(SetupRecord),
}

/// A change of credentials being made: decided in memory, then stored whole.
#[derive(Debug)]
pub struct CredentialEdit {
    pub(super) next: Credentials,
    pub(super) rows: Vec<CredentialRow>,
    pub(super) audit: Vec<Audit>,
    now: DateTime<Utc>,
}

impl CredentialEdit {
    pub(super) fn new(base: Credentials, now: DateTime<Utc>) -> Self {
        Self { next: base, rows: Vec::new(), audit: Vec::new(), now }
    }

    /// When the change is made.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The state with what was changed so far.
    pub fn credentials(&self) -> &Credentials {
        &self.next
    }

    /// Adds a token or replaces it; when it was used last stays.
    pub fn put_token(&mut self, token: TokenRecord) {
        let token = Arc::new(token);
        Arc::make_mut(&mut self.next.tokens).insert(token.id.clone(), Arc::clone(&token));
        self.rows.push(CredentialRow::PutToken(token));
    }

    /// Adds an account or replaces it. Whoever calls has looked whether
    /// another one has its address or subject.
    pub fn put_account(&mut self, account: AccountRecord) {
        let account = Arc::new(account);
        Arc::make_mut(&mut self.next.accounts).insert(account.id.clone(), Arc::clone(&account));
        self.rows.push(CredentialRow::PutAccount(account));
    }

    /// Removes an account.
    pub fn delete_account(&mut self, id: &str) {
        Arc::make_mut(&mut self.next.accounts).remove(id);
        self.rows.push(CredentialRow::DeleteAccount(id.to_owned()));
    }

    /// Adds a session that is new.
    pub fn put_session(&mut self, session: SessionRecord) {
        let session = Arc::new(session);
        Arc::make_mut(&mut self.next.sessions).insert(session.hash, Arc::clone(&session));
        self.rows.push(CredentialRow::PutSession(session));
    }

    /// Ends a session; answers whether there was one.
    pub fn end_session(&mut self, hash: &[u8; 32]) -> bool {
        let was_there = Arc::make_mut(&mut self.next.sessions).remove(hash).is_some();
        if was_there {
            self.rows.push(CredentialRow::DeleteSession(*hash));
        }
        was_there
    }

    /// Sets the setup code.
    pub fn put_setup(&mut self, setup: SetupRecord) {
        self.next.setup = Some(setup.clone());
        self.rows.push(CredentialRow::PutSetup(setup));
    }

    /// Writes down who did what, together with the change.
    pub fn audit(&mut self, audit: Audit) {
        self.audit.push(audit);
    }
}

/// Hashes can be tried against guesses: no log shows them.
macro_rules! debug_by {
    ($($name:ident => $field:ident;)+) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($name))
                    .field(stringify!($field), &self.$field)
                    .finish_non_exhaustive()
            }
        })+
    };
}

debug_by! {
    TokenRecord => id;
    AccountRecord => id;
    SessionRecord => holder;
    SetupRecord => expires_at;
    Credentials => revision;
}
