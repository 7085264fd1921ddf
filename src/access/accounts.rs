//! People's accounts: made, listed, deleted.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::audits::{audit_of, seen_by_admins_of};
use super::authenticator::Authenticator;
use super::grant::Grant;
use super::granting::{check_holds, forbidden, holds, manages, normalized, runs_platform};
use super::last_admin::keeping_one;
use super::permission::Permissions;
use super::principal::Principal;
use super::sessions::end_sessions_of;
use super::snapshot::{AccountEntry, Snapshot, grants_of, stored_grants};
use super::tokens::{checked_name, revoke_tokens_of};
use crate::directory::{AccountRecord, CredentialEdit, IssuedSubject};
use crate::error::{Error, ErrorKind, Result};

/// Accounts that there may be.
const ACCOUNTS_MAX: usize = 100_000;
/// Longest address (RFC 5321), and issuer or subject, bytes.
const EMAIL_BYTES_MAX: usize = 254;
const SUBJECT_BYTES_MAX: usize = 1024;

/// What a new account shall be.
#[derive(Clone)]
pub struct AccountRequest {
    /// The person's address.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// The roles.
    pub grants: Vec<Grant>,
    /// The first password; none where an identity provider vouches.
    pub password: Option<String>,
    /// What an identity provider calls the person.
    pub subject: Option<IssuedSubject>,
}

/// What is shown of an account.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// A UUID.
    pub id: String,
    /// The person's address.
    pub email: Option<String>,
    /// What people call the person.
    pub name: String,
    /// The roles.
    pub grants: Vec<Grant>,
    /// Whether it has a password.
    pub has_password: bool,
    /// What an identity provider calls the person.
    pub subject: Option<IssuedSubject>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when nobody gets in by it.
    pub disabled_at: Option<DateTime<Utc>>,
}

impl Authenticator {
    /// Makes an account. `Forbidden` where `caller` does not manage all that
    /// its roles are over, or would give more than it holds.
    pub async fn create_account(
        &self,
        caller: &Principal,
        request: AccountRequest,
    ) -> Result<AccountView> {
        let (email, name) = (checked_email(&request.email)?, checked_name(&request.name)?);
        let grants = normalized(request.grants)?;
        check_gives(caller, &grants)?;
        if request.subject.is_some() && !runs_platform(caller) {
            // The provider is everybody's: whoever named somebody of another
            // organization would decide what that person may.
            return Err(forbidden(
                "issuer and subject are set by whoever runs the platform; leave them out and give \
                 a password",
            ));
        }
        let subject = request.subject.map(checked_subject).transpose()?;
        if request.password.is_none() && subject.is_none() {
            return Err(Error::invalid(
                "an account needs a password, or issuer and subject where an identity provider \
                 vouches for the person",
            ));
        }
        let password_hash = match &request.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let record = AccountRecord {
            id: self.new_account_id()?,
            email: Some(email),
            name,
            password_hash,
            initial_password_hash: None,
            subject,
            grants: stored_grants(&grants)?,
            created_at: self.clock.now(),
            disabled_at: None,
        };
        let id = record.id.clone();
        let details = seen_by_admins_of(&grants, details_of(&record));
        let line = audit_of(caller, "account.create", subject_of(&id), details);
        let stored = self.store()?.edit_credentials(move |edit| {
            check_free(edit, &record)?;
            edit.put_account(record);
            edit.audit(line);
            Ok(())
        });
        stored.await?;
        self.account_view(&id)
    }

    /// The accounts that `caller` may see: its own, and those whose roles are
    /// all over what it manages. In the order in which they were made.
    pub fn accounts(&self, caller: &Principal) -> Result<Vec<AccountView>> {
        let snapshot = self.snapshot()?;
        let visible = snapshot.accounts.values().filter(|account| sees(caller, account));
        Ok(visible.map(|account| AccountView::new(account)).collect())
    }

    /// An account that `caller` may see.
    pub fn account(&self, caller: &Principal, id: &str) -> Result<AccountView> {
        let snapshot = self.snapshot()?;
        visible(&snapshot, caller, id).map(|account| AccountView::new(account))
    }

    /// The account of whom an identity provider calls so, where there is one:
    /// its principal. `Forbidden` where it is disabled.
    pub fn account_of_subject(&self, subject: &IssuedSubject) -> Result<Option<Arc<Principal>>> {
        let snapshot = self.snapshot()?;
        let Some(account) = snapshot.credentials.account_of_subject(subject) else {
            return Ok(None);
        };
        if account.disabled_at.is_some() {
            return Err(forbidden(
                "your account here is disabled; an administrator of Spendlake can enable it",
            ));
        }
        Ok(snapshot.accounts.get(&account.id).map(|entry| Arc::clone(&entry.principal)))
    }

    /// Removes an account: its sessions end, the tokens that belong to it are
    /// revoked. The audit log goes on naming its id.
    pub async fn delete_account(&self, caller: &Principal, id: &str) -> Result<()> {
        let snapshot = self.snapshot()?;
        let account = visible(&snapshot, caller, id)?;
        check_runs(caller, account)?;
        let details = seen_by_admins_of(account.principal.grants(), details_of(&account.record));
        let line = audit_of(caller, "account.delete", subject_of(id), details);
        let id = id.to_owned();
        let deleted = self.store()?.edit_credentials(move |edit| {
            if edit.credentials().account(&id).is_none() {
                return Err(unknown(&id));
            }
            keeping_one(edit, |edit| {
                edit.delete_account(&id);
                Ok(())
            })?;
            end_sessions_of(edit, &id);
            revoke_tokens_of(edit, &id);
            edit.audit(line);
            Ok(())
        });
        deleted.await
    }

    /// An id that no account has; they sort by time.
    pub(super) fn new_account_id(&self) -> Result<String> {
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        let random = self.randomness.bytes::<10>()?;
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }

    pub(super) fn account_view(&self, id: &str) -> Result<AccountView> {
        let snapshot = self.snapshot()?;
        let account = snapshot.accounts.get(id).ok_or_else(|| unknown(id))?;
        Ok(AccountView::new(account))
    }
}

impl Snapshot {
    /// The account of this address, which is in lower case.
    pub(super) fn account_of_email(&self, email: &str) -> Option<&Arc<AccountEntry>> {
        let record = self.credentials.account_of_email(email)?;
        self.accounts.get(&record.id)
    }
}

impl AccountView {
    fn new(account: &AccountEntry) -> Self {
        let record = AccountRecord::clone(&account.record);
        Self {
            grants: account.principal.grants().to_vec(),
            id: record.id,
            email: record.email,
            name: record.name,
            has_password: record.password_hash.is_some(),
            subject: record.subject,
            created_at: record.created_at,
            disabled_at: record.disabled_at,
        }
    }
}

/// The password stays out of logs.
impl std::fmt::Debug for AccountRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccountRequest")
            .field("email", &self.email)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// An address in lower case. Only its outline is looked at: whether mail
/// arrives there nobody but its owner knows.
pub(super) fn checked_email(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let outline = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let plain = !email.chars().any(|one| one.is_whitespace() || one.is_control());
    if !outline || !plain || email.len() > EMAIL_BYTES_MAX {
        return Err(Error::invalid(format!(
            "email is {email:?}; it is an address such as ada@example.com of at most \
             {EMAIL_BYTES_MAX} bytes"
        )));
    }
    Ok(email)
}

/// `Invalid` where another account has the address or the subject, `LimitExceeded`
/// where there are too many.
pub(super) fn check_free(edit: &CredentialEdit, new: &AccountRecord) -> Result<()> {
    let credentials = edit.credentials();
    if credentials.accounts().count() >= ACCOUNTS_MAX {
        let message = format!("there are {ACCOUNTS_MAX} accounts, which are the most");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    let email = new.email.as_deref();
    let subject = new.subject.as_ref();
    let is_taken = email.is_some_and(|email| credentials.account_of_email(email).is_some())
        || subject.is_some_and(|subject| credentials.account_of_subject(subject).is_some());
    if is_taken {
        // It may be of an organization that whoever asks knows nothing of.
        return Err(Error::invalid(
            "this account cannot be made: its email, or its issuer and subject, are in use; choose \
             others, or ask whoever runs the platform",
        ));
    }
    Ok(())
}

fn checked_subject(subject: IssuedSubject) -> Result<IssuedSubject> {
    for (name, value) in [("issuer", &subject.issuer), ("subject", &subject.subject)] {
        if value.is_empty() || value.len() > SUBJECT_BYTES_MAX {
            let count = value.len();
            return Err(Error::invalid(format!(
                "{name} has {count} bytes; it takes 1 to {SUBJECT_BYTES_MAX}"
            )));
        }
    }
    Ok(subject)
}

/// `Forbidden` where `caller` may not give these roles to an account.
pub(super) fn check_gives(caller: &Principal, grants: &[Grant]) -> Result<()> {
    check_holds(caller, grants, caller.scopes())?;
    if !manages(caller, grants) || !holds_all(caller, grants) {
        return Err(forbidden(
            "accounts are made and changed by whoever manages all that their roles are over, by a \
             credential that no scopes narrow",
        ));
    }
    Ok(())
}

/// An account is narrowed by no scopes: so whoever gives it roles has to hold
/// all of what they allow.
fn holds_all(caller: &Principal, grants: &[Grant]) -> bool {
    grants.iter().all(|grant| holds(caller, grant, Permissions::ALL))
}

/// `Forbidden` where `caller` does not manage the account: it could give
/// itself its roles by setting its password.
pub(super) fn check_runs(caller: &Principal, account: &AccountEntry) -> Result<()> {
    let grants = account.principal.grants();
    if grants.is_empty() && runs_platform(caller) {
        return Ok(());
    }
    if !grants.is_empty() && manages(caller, grants) && holds_all(caller, grants) {
        return Ok(());
    }
    Err(forbidden("this is for whoever manages all that the account's roles are over"))
}

fn sees(caller: &Principal, account: &AccountEntry) -> bool {
    if account.record.id == caller.id() {
        return true;
    }
    let grants = grants_of(&account.record.grants, "account", &account.record.id);
    if grants.is_empty() { runs_platform(caller) } else { manages(caller, &grants) }
}

pub(super) fn visible<'a>(
    snapshot: &'a Snapshot,
    caller: &Principal,
    id: &str,
) -> Result<&'a Arc<AccountEntry>> {
    let account = snapshot.accounts.get(id).filter(|account| sees(caller, account));
    account.ok_or_else(|| unknown(id))
}

fn details_of(record: &AccountRecord) -> Value {
    json!({ "email": record.email, "name": record.name, "grants": record.grants })
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(format!("there is no account {id:?} that you may see"))
}

pub(super) fn subject_of(id: &str) -> String {
    format!("account/{id}")
}
