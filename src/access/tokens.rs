//! Access tokens: made, listed, revoked.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::audits::{audit_of, seen_by_admins_of};
use super::authenticator::Authenticator;
use super::grant::Grant;
use super::granting::{
    check_holds, check_one_place, forbidden, manages, normalized, runs_platform, scopes_of,
};
use super::last_admin::keeping_one;
use super::permission::{Permission, Permissions};
use super::principal::{Origin, Principal};
use super::snapshot::{
    Snapshot, TokenEntry, grants_of, scopes_of as stored_scopes_of, stored_grants, stored_scopes,
    why_not,
};
use super::token::{self, NewToken};
use crate::directory::{CredentialEdit, TokenRecord};
use crate::error::{Error, ErrorKind, Result};

/// Longest name of a token or an account, characters.
const NAME_CHARACTERS_MAX: usize = 200;
/// Tokens that hold at one time: all of them, and those that belong to one
/// account or token.
const TOKENS_MAX: usize = 20_000;
const OWNED_TOKENS_MAX: usize = 100;

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// What a person calls it.
    pub name: String,
    /// Its roles.
    pub grants: Vec<Grant>,
    /// What narrows them; none: only what narrows its maker.
    pub scopes: Option<Vec<Permission>>,
    /// From when on it is not taken.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it belongs to its maker and ends with it. None: where its maker
    /// does not manage what the roles are over.
    pub owned: Option<bool>,
}

/// A token that was just made, with its text: it is shown this once.
#[derive(Clone)]
pub struct MadeToken {
    /// The token itself.
    pub secret: String,
    /// What is known of it.
    pub token: TokenView,
}

/// What is shown of a token.
#[derive(Debug, Clone)]
pub struct TokenView {
    /// Names it, also within its text.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// Its roles.
    pub grants: Vec<Grant>,
    /// What narrows them.
    pub scopes: Permissions,
    /// The account or token that it belongs to.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The principal that made it.
    pub created_by: String,
    /// From when on it is not taken.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is not taken.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The token that took its place.
    pub replaced_by: Option<String>,
    /// Until when it is still taken, though replaced.
    pub overlap_until: Option<DateTime<Utc>>,
    /// active, expired, revoked or replaced.
    pub state: &'static str,
}

impl Authenticator {
    /// Makes a token. `Forbidden` where it would hold more than `caller` does.
    pub async fn create_token(
        &self,
        caller: &Principal,
        request: TokenRequest,
    ) -> Result<MadeToken> {
        let now = self.clock.now();
        let name = checked_name(&request.name)?;
        let grants = normalized(request.grants)?;
        check_one_place(&grants)?;
        let scopes = scopes_of(request.scopes.as_deref(), caller, &grants)?;
        check_holds(caller, &grants, scopes)?;
        if let Some(end) = request.expires_at.filter(|end| *end <= now) {
            return Err(Error::invalid(format!(
                "expires_at is {}; it must lie ahead",
                end.to_rfc3339()
            )));
        }
        let owner = self.owner_of_new(caller, &grants, request.owned)?;
        let made = NewToken::make(&*self.randomness)?;
        let scram = token::scram(&made.text, &*self.randomness)?;
        let record = TokenRecord {
            id: made.id.clone(),
            name,
            hash: token::hash(&made.text),
            scram_salt: scram.salt,
            scram_salted_password: scram.salted_password,
            grants: stored_grants(&grants)?,
            scopes: stored_scopes(scopes),
            owner,
            created_at: now,
            created_by: caller.id().to_owned(),
            expires_at: request.expires_at,
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            overlap_until: None,
        };
        let details = json!({
            "name": &record.name, "grants": &record.grants, "scopes": &record.scopes,
            "owner": &record.owner, "expires_at": record.expires_at,
        });
        let details = seen_by_admins_of(&grants, details);
        let line = audit_of(caller, "token.create", subject(&record.id), details);
        let stored = self.store()?.edit_credentials(move |edit| {
            check_room(edit, record.owner.as_deref())?;
            edit.put_token(record);
            edit.audit(line);
            Ok(())
        });
        stored.await?;
        Ok(MadeToken { secret: made.text, token: self.token_view(&made.id)? })
    }

    /// The tokens that `caller` may see: itself, those that it made or that
    /// belong to it, and those over what it manages. The latest first.
    pub fn tokens(&self, caller: &Principal) -> Result<Vec<TokenView>> {
        let (snapshot, now) = (self.snapshot()?, self.clock.now());
        let visible = snapshot.tokens.values().filter(|token| sees(caller, token));
        let mut views: Vec<_> = visible.map(|token| TokenView::new(token, now)).collect();
        views.sort_by(|one, other| (other.created_at, &one.id).cmp(&(one.created_at, &other.id)));
        Ok(views)
    }

    /// A token that `caller` may see.
    pub fn token(&self, caller: &Principal, id: &str) -> Result<TokenView> {
        let snapshot = self.snapshot()?;
        let token = visible(&snapshot, caller, id)?;
        Ok(TokenView::new(token, self.clock.now()))
    }

    /// Ends a token that `caller` may see, at once on this node and within
    /// seconds on others. Ending it again changes nothing.
    pub async fn revoke_token(&self, caller: &Principal, id: &str) -> Result<TokenView> {
        let snapshot = self.snapshot()?;
        let token = visible(&snapshot, caller, id)?;
        let grants = grants_of(&token.record.grants, "token", id);
        let details = seen_by_admins_of(&grants, json!({ "name": token.record.name }));
        let line = audit_of(caller, "token.revoke", subject(id), details);
        let id = token.record.id.clone();
        let known = id.clone();
        let revoked = self.store()?.edit_credentials(move |edit| {
            let Some(record) = edit.credentials().token(&id) else { return Err(unknown(&id)) };
            if record.revoked_at.is_none() {
                let record = TokenRecord::clone(record);
                let revoked = TokenRecord { revoked_at: Some(edit.now()), ..record };
                keeping_one(edit, |edit| {
                    edit.put_token(revoked);
                    Ok(())
                })?;
                edit.audit(line);
            }
            Ok(())
        });
        revoked.await?;
        self.token_view(&known)
    }

    /// Whom a new token belongs to.
    fn owner_of_new(
        &self,
        caller: &Principal,
        grants: &[Grant],
        owned: Option<bool>,
    ) -> Result<Option<String>> {
        let manages = manages(caller, grants);
        if manages && !owned.unwrap_or(false) {
            return Ok(None);
        }
        if owned == Some(false) {
            return Err(forbidden(
                "a token that stands alone is made by whoever manages what it is over; leave out \
                 owned for one that belongs to you and ends with you",
            ));
        }
        let snapshot = self.snapshot()?;
        if snapshot.accounts.contains_key(caller.id()) {
            return Ok(Some(caller.id().to_owned()));
        }
        match snapshot.tokens.get(caller.id()) {
            // All that a token's tokens make belongs to the first one: ending
            // that ends them all.
            Some(token) => {
                let first = token.record.owner.clone();
                Ok(Some(first.unwrap_or_else(|| caller.id().to_owned())))
            }
            None => Err(forbidden(
                "a token of your own belongs to an account or a token here, and you come from an \
                 identity provider; ask who runs your organization for one",
            )),
        }
    }

    pub(super) fn token_view(&self, id: &str) -> Result<TokenView> {
        let snapshot = self.snapshot()?;
        let token = snapshot.tokens.get(id).ok_or_else(|| unknown(id))?;
        Ok(TokenView::new(token, self.clock.now()))
    }
}

impl TokenView {
    fn new(token: &TokenEntry, now: DateTime<Utc>) -> Self {
        let record = TokenRecord::clone(&token.record);
        let state = why_not(&record, now).unwrap_or("active");
        Self {
            grants: grants_of(&record.grants, "token", &record.id),
            scopes: stored_scopes_of(&record),
            id: record.id,
            name: record.name,
            owner: record.owner,
            created_at: record.created_at,
            created_by: record.created_by,
            expires_at: record.expires_at,
            last_used_at: token.used.last(),
            revoked_at: record.revoked_at,
            replaced_by: record.replaced_by,
            overlap_until: record.overlap_until,
            state,
        }
    }
}

/// The token itself stays out of logs.
impl std::fmt::Debug for MadeToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MadeToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A name with something in it.
pub(super) fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    let characters = name.chars().count();
    if characters == 0 || characters > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "name has {characters} characters; it takes 1 to {NAME_CHARACTERS_MAX}, none of them \
             a control character"
        )));
    }
    Ok(name.to_owned())
}

fn sees(caller: &Principal, token: &TokenEntry) -> bool {
    let record = &token.record;
    let known = |id: &str| id == caller.id() && caller.origin() != Origin::Anonymous;
    if known(&record.id) || known(&record.created_by) || record.owner.as_deref().is_some_and(known)
    {
        return true;
    }
    let grants = grants_of(&record.grants, "token", &record.id);
    if grants.is_empty() { runs_platform(caller) } else { manages(caller, &grants) }
}

pub(super) fn visible<'a>(
    snapshot: &'a Snapshot,
    caller: &Principal,
    id: &str,
) -> Result<&'a Arc<TokenEntry>> {
    let token = snapshot.tokens.get(id).filter(|token| sees(caller, token));
    token.ok_or_else(|| unknown(id))
}

/// `LimitExceeded` where there is no room for one more. What was revoked, or
/// has expired, takes none.
pub(super) fn check_room(edit: &CredentialEdit, owner: Option<&str>) -> Result<()> {
    let now = edit.now();
    let holding = || edit.credentials().tokens().filter(move |token| why_not(token, now).is_none());
    let full = |count: usize, whose: &str| {
        let message = format!("{whose} {count} tokens, which are the most; revoke some first");
        Err(Error::new(ErrorKind::LimitExceeded, message))
    };
    if holding().count() >= TOKENS_MAX {
        return full(TOKENS_MAX, "there are");
    }
    let owned =
        owner.map(|owner| holding().filter(|token| token.owner.as_deref() == Some(owner)).count());
    if owned.is_some_and(|count| count >= OWNED_TOKENS_MAX) {
        return full(OWNED_TOKENS_MAX, "you have");
    }
    Ok(())
}

/// Ends every token that belongs to `owner`.
pub(super) fn revoke_tokens_of(edit: &mut CredentialEdit, owner: &str) {
    let now = edit.now();
    let owned = |token: &&Arc<TokenRecord>| {
        token.owner.as_deref() == Some(owner) && token.revoked_at.is_none()
    };
    let tokens: Vec<_> =
        edit.credentials().tokens().filter(owned).map(|token| TokenRecord::clone(token)).collect();
    for token in tokens {
        edit.put_token(TokenRecord { revoked_at: Some(now), ..token });
    }
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(format!("there is no token {id:?} that you may see"))
}

pub(super) fn subject(id: &str) -> String {
    format!("token/{id}")
}
