//! What changes of an account.

use std::sync::Arc;

use serde_json::{Value, json};

use super::accounts::{AccountView, check_gives, check_runs, subject_of, unknown, visible};
use super::audits::{audit_of, seen_by_admins_of};
use super::authenticator::Authenticator;
use super::grant::Grant;
use super::granting::{forbidden, normalized};
use super::last_admin::keeping_one;
use super::principal::Principal;
use super::sessions::end_sessions_of;
use super::snapshot::{AccountEntry, stored_grants};
use super::tokens::checked_name;
use crate::directory::AccountRecord;
use crate::error::{Error, ErrorKind, Result};

/// What shall change of an account; what is none stays.
#[derive(Clone, Default)]
pub struct AccountChange {
    /// What people call the person.
    pub name: Option<String>,
    /// All roles from now on.
    pub grants: Option<Vec<Grant>>,
    /// Whether nobody gets in by it.
    pub disabled: Option<bool>,
    /// A new password. Every session of the account ends.
    pub password: Option<String>,
    /// The password so far, which whoever changes its own has to know.
    pub current_password: Option<String>,
}

impl Authenticator {
    /// Changes an account. Of its own, a person changes name and password;
    /// the rest is for whoever manages all that its roles are over.
    pub async fn change_account(
        &self,
        caller: &Principal,
        id: &str,
        change: AccountChange,
    ) -> Result<AccountView> {
        let snapshot = self.snapshot()?;
        let account = Arc::clone(visible(&snapshot, caller, id)?);
        self.check_change(caller, &account, &change).await?;
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let grants = change.grants.map(normalized).transpose()?;
        if let Some(grants) = &grants {
            check_gives(caller, grants)?;
        }
        let grants = grants.as_deref().map(stored_grants).transpose()?;
        let password_hash = match &change.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let details = json!({
            "name": name, "grants": grants, "disabled": change.disabled,
            "password": password_hash.as_ref().map(|_| "changed"),
        });
        let details = seen_by_admins_of(account.principal.grants(), without_nulls(details));
        let line = audit_of(caller, "account.change", subject_of(id), details);
        let (id, disabled) = (id.to_owned(), change.disabled);
        let known = id.clone();
        let stored = self.store()?.edit_credentials(move |edit| {
            let record = edit.credentials().account(&id).ok_or_else(|| unknown(&id))?;
            if !Arc::ptr_eq(record, &account.record) && **record != *account.record {
                return Err(changed_meanwhile());
            }
            let mut record = AccountRecord::clone(record);
            record.name = name.unwrap_or(record.name);
            record.grants = grants.unwrap_or(record.grants);
            record.disabled_at = match disabled {
                Some(true) => record.disabled_at.or(Some(edit.now())),
                Some(false) => None,
                None => record.disabled_at,
            };
            let ends_sessions = password_hash.is_some() || record.disabled_at.is_some();
            record.password_hash = password_hash.or(record.password_hash);
            keeping_one(edit, |edit| {
                edit.put_account(record);
                Ok(())
            })?;
            if ends_sessions {
                end_sessions_of(edit, &id);
            }
            edit.audit(line);
            Ok(())
        });
        stored.await?;
        self.account_view(&known)
    }

    /// `Forbidden` where `caller` may not make this change.
    async fn check_change(
        &self,
        caller: &Principal,
        account: &AccountEntry,
        change: &AccountChange,
    ) -> Result<()> {
        let is_own = account.record.id == caller.id();
        let runs = check_runs(caller, account);
        let beyond_own = change.grants.is_some() || change.disabled.is_some();
        if !is_own || beyond_own {
            runs?;
        }
        if is_own && change.password.is_some() {
            self.account_attempts.take(&account.record.id, self.clock.now())?;
            let current = change.current_password.as_deref().unwrap_or_default();
            let hash = account.record.password_hash.as_deref();
            if !self.passwords.fits(current, hash).await? {
                metrics::counter!("spendlake_refused_credentials_total", "what" => "password.refused")
                    .increment(1);
                let subject = format!("account/{}", account.record.id);
                let line = audit_of(caller, "password.refused", subject, json!({}));
                self.store()?.append_audit(&line).await?;
                return Err(forbidden("current_password is not the account's password"));
            }
            self.account_attempts.give_back(&account.record.id, self.clock.now());
        }
        Ok(())
    }
}

/// The passwords stay out of logs.
impl std::fmt::Debug for AccountChange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccountChange")
            .field("grants", &self.grants)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

fn changed_meanwhile() -> Error {
    Error::new(ErrorKind::Busy, "the account was changed meanwhile; look at it and try again")
}

fn without_nulls(mut details: Value) -> Value {
    if let Some(object) = details.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    details
}
