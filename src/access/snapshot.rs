//! Stored credentials made ready for looking up: who each one is of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grant::Grant;
use super::granting::{makes_super_admin, within_owner};
use super::machines::subject_id;
use super::permission::{Permission, Permissions};
use super::principal::{Origin, Principal};
use crate::directory::{AccountRecord, Credentials, SessionHolder, SessionRecord, TokenRecord};
use crate::error::{Context, Error, Result};

/// When something was used last, and what of that is written down. Shared by
/// all snapshots.
#[derive(Debug)]
pub(super) struct Used {
    /// Microseconds since 1970.
    at: AtomicI64,
    written: AtomicI64,
}

impl Used {
    fn at(time: Option<DateTime<Utc>>) -> Arc<Self> {
        let micros = time.map_or(i64::MIN, |time| time.timestamp_micros());
        Arc::new(Self { at: AtomicI64::new(micros), written: AtomicI64::new(micros) })
    }

    pub(super) fn note(&self, now: DateTime<Utc>) {
        self.at.fetch_max(now.timestamp_micros(), Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Option<DateTime<Utc>> {
        let micros = self.at.load(Ordering::Relaxed);
        (micros != i64::MIN).then(|| DateTime::from_timestamp_micros(micros)).flatten()
    }

    /// A use that is not written down, marked as written.
    pub(super) fn take_unwritten(&self) -> Option<DateTime<Utc>> {
        let last = self.at.load(Ordering::Relaxed);
        let written = self.written.fetch_max(last, Ordering::Relaxed);
        (written < last).then(|| self.last()).flatten()
    }
}

/// A token.
#[derive(Debug)]
pub(super) struct TokenEntry {
    pub(super) record: Arc<TokenRecord>,
    pub(super) principal: Arc<Principal>,
    pub(super) used: Arc<Used>,
}

/// An account.
#[derive(Debug)]
pub(super) struct AccountEntry {
    pub(super) record: Arc<AccountRecord>,
    pub(super) principal: Arc<Principal>,
}

/// A session. Whoever is of an account that is gone has no principal.
#[derive(Debug)]
pub(super) struct SessionEntry {
    pub(super) record: Arc<SessionRecord>,
    pub(super) principal: Option<Arc<Principal>>,
    pub(super) used: Arc<Used>,
}

/// Everything that somebody can get in by, at one revision.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) credentials: Arc<Credentials>,
    pub(super) tokens: BTreeMap<String, Arc<TokenEntry>>,
    pub(super) accounts: BTreeMap<String, Arc<AccountEntry>>,
    pub(super) sessions: HashMap<[u8; 32], Arc<SessionEntry>>,
    /// Accounts by what an identity provider calls their people.
    subjects: HashMap<String, Arc<AccountEntry>>,
}

/// A principal as a session of an identity provider keeps it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPrincipal {
    id: String,
    name: String,
    grants: Vec<Grant>,
    scopes: Vec<Permission>,
}

impl Snapshot {
    /// Makes `credentials` ready. What did not change since `before` is taken
    /// from there.
    pub(super) fn next(before: &Self, credentials: Arc<Credentials>) -> Self {
        let mut next = Self { credentials: Arc::clone(&credentials), ..Self::default() };
        for record in credentials.accounts() {
            let known = before.accounts.get(&record.id);
            let known = known.filter(|entry| Arc::ptr_eq(&entry.record, record));
            let entry = known.cloned().unwrap_or_else(|| Arc::new(AccountEntry::new(record)));
            if let Some(subject) = &record.subject {
                let subject = subject_id(&subject.issuer, &subject.subject);
                next.subjects.insert(subject, Arc::clone(&entry));
            }
            next.accounts.insert(record.id.clone(), entry);
        }
        // What belongs to somebody comes after whom it belongs to.
        let (owned, free): (Vec<_>, Vec<_>) =
            credentials.tokens().partition(|record| record.owner.is_some());
        for record in free.into_iter().chain(owned) {
            let known = before.tokens.get(&record.id);
            let same = known.filter(|entry| Arc::ptr_eq(&entry.record, record));
            let same = same.filter(|_| record.owner.is_none()).cloned();
            let used = known.map(|entry| Arc::clone(&entry.used));
            let entry = same.unwrap_or_else(|| Arc::new(next.token_entry(record, used)));
            next.tokens.insert(record.id.clone(), entry);
        }
        for record in credentials.sessions() {
            let used = before.sessions.get(&record.hash).map(|entry| Arc::clone(&entry.used));
            let entry = Arc::new(next.session_entry(record, used));
            next.sessions.insert(record.hash, entry);
        }
        next
    }

    /// Whom something belongs to, where that is an account or token that holds
    /// now.
    pub(super) fn owner(&self, id: &str, now: DateTime<Utc>) -> Option<&Arc<Principal>> {
        if let Some(account) = self.accounts.get(id) {
            return account.record.disabled_at.is_none().then_some(&account.principal);
        }
        let token = self.tokens.get(id)?;
        (why_not(&token.record, now).is_none()).then_some(&token.principal)
    }

    /// The account of whom an identity provider vouches for. What an
    /// administrator wrote down there goes before what the provider says.
    pub(super) fn account_of(&self, vouched: &Principal) -> Option<&Arc<AccountEntry>> {
        self.subjects.get(vouched.id())
    }

    /// Whether a super admin can get in now.
    pub(super) fn has_super_admin(&self, now: DateTime<Utc>) -> bool {
        let is_one =
            |principal: &Principal| makes_super_admin(principal.grants(), principal.scopes());
        let account = self
            .accounts
            .values()
            .any(|account| account.record.disabled_at.is_none() && is_one(&account.principal));
        account
            || self.tokens.values().any(|token| {
                token.record.owner.is_none()
                    && why_not(&token.record, now).is_none()
                    && is_one(&token.principal)
            })
    }

    fn token_entry(&self, record: &Arc<TokenRecord>, used: Option<Arc<Used>>) -> TokenEntry {
        let scopes = scopes_of(record);
        let mut grants = grants_of(&record.grants, "token", &record.id);
        if let Some(owner) = &record.owner {
            let account = self.accounts.get(owner).map(|entry| &entry.principal);
            let owner = account.or_else(|| self.tokens.get(owner).map(|entry| &entry.principal));
            let within = |owner: &Arc<Principal>| within_owner(owner, grants, scopes);
            grants = owner.map(within).unwrap_or_default();
        }
        let (id, name) = (record.id.as_str(), record.name.as_str());
        let mut principal = Principal::new(id, name, Origin::Token, grants, scopes);
        if let Some(owner) = &record.owner {
            principal = principal.owned_by(owner);
        }
        TokenEntry {
            record: Arc::clone(record),
            principal: Arc::new(principal),
            used: used.unwrap_or_else(|| Used::at(record.last_used_at)),
        }
    }

    fn session_entry(&self, record: &Arc<SessionRecord>, used: Option<Arc<Used>>) -> SessionEntry {
        let enabled = |account: &AccountEntry| {
            account.record.disabled_at.is_none().then(|| Arc::clone(&account.principal))
        };
        let principal = match &record.holder {
            SessionHolder::Account(id) => {
                self.accounts.get(id).and_then(|account| enabled(account))
            }
            SessionHolder::Principal(stored) => read_principal(stored)
                .inspect_err(|error| tracing::error!(%error, "a session has no principal"))
                .ok()
                .and_then(|vouched| match self.account_of(&vouched) {
                    Some(account) => enabled(account),
                    None => Some(Arc::new(vouched)),
                }),
        };
        SessionEntry {
            record: Arc::clone(record),
            principal,
            used: used.unwrap_or_else(|| Used::at(Some(record.last_seen_at))),
        }
    }
}

impl AccountEntry {
    fn new(record: &Arc<AccountRecord>) -> Self {
        let grants = grants_of(&record.grants, "account", &record.id);
        let (id, name) = (record.id.as_str(), record.name.as_str());
        let principal = Principal::new(id, name, Origin::Session, grants, Permissions::ALL);
        Self { record: Arc::clone(record), principal: Arc::new(principal) }
    }
}

/// Why a token does not hold at `now`, in words for the log; `None` where it
/// holds.
pub(super) fn why_not(record: &TokenRecord, now: DateTime<Utc>) -> Option<&'static str> {
    if record.revoked_at.is_some() {
        return Some("revoked");
    }
    if record.expires_at.is_some_and(|end| end <= now) {
        return Some("expired");
    }
    // Without an overlap a replaced token ended when it was replaced.
    let replaced = record.replaced_by.is_some();
    (replaced && record.overlap_until.is_none_or(|end| end <= now)).then_some("replaced")
}

/// The scopes of a stored token; an unknown one, of a later version, is none.
pub(super) fn scopes_of(record: &TokenRecord) -> Permissions {
    let Some(names) = &record.scopes else { return Permissions::ALL };
    let known: Vec<_> = names.iter().filter_map(|name| Permission::parse(name)).collect();
    Permissions::of(&known)
}

/// Stored grants. Where they cannot be read there are none, and the log says
/// so.
pub(super) fn grants_of(stored: &Value, what: &'static str, id: &str) -> Vec<Grant> {
    Vec::<Grant>::deserialize(stored).unwrap_or_else(|error| {
        tracing::error!(what, id, %error, "stored grants cannot be read; they give nothing");
        Vec::new()
    })
}

/// Grants as they are stored.
pub(super) fn stored_grants(grants: &[Grant]) -> Result<Value> {
    serde_json::to_value(grants).internal("writing grants")
}

/// Scopes as they are stored; all of them narrow nothing.
pub(super) fn stored_scopes(scopes: Permissions) -> Option<Vec<String>> {
    let names = || scopes.iter().map(|scope| scope.scope().to_owned()).collect();
    (scopes != Permissions::ALL).then(names)
}

/// A principal as a session keeps it.
pub(super) fn stored_principal(principal: &Principal) -> Result<Value> {
    let stored = StoredPrincipal {
        id: principal.id().to_owned(),
        name: principal.name().to_owned(),
        grants: principal.grants().to_vec(),
        scopes: principal.scopes().iter().collect(),
    };
    serde_json::to_value(stored).internal("writing a principal")
}

fn read_principal(stored: &Value) -> Result<Principal> {
    let stored = StoredPrincipal::deserialize(stored)
        .map_err(|error| Error::internal(format!("a stored principal: {error}")))?;
    let StoredPrincipal { id, name, grants, scopes } = stored;
    Ok(Principal::new(id, name, Origin::Session, grants, Permissions::of(&scopes)))
}
