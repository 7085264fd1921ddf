//! A token takes the place of another one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::audits::{audit_of, seen_by_admins_of};
use super::authenticator::{Authenticator, INIT_TOKEN_ID};
use super::granting::check_holds;
use super::principal::Principal;
use super::snapshot::{TokenEntry, grants_of, scopes_of, why_not};
use super::token::{self, NewToken};
use super::tokens::{MadeToken, check_room, subject, unknown, visible};
use crate::directory::{CredentialEdit, TokenRecord};
use crate::error::{Error, Result};

/// How long a replaced token is taken where nothing is said, and at most.
pub const OVERLAP_SECONDS_DEFAULT: u32 = 24 * 3600;
const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3600;

impl Authenticator {
    /// Makes a token in the place of one that `caller` may see; the old one is
    /// still taken for `overlap_seconds`, and counts for as long. The new one
    /// lasts as long as the old one was to last; one that rotates itself ends
    /// when it was to end, so that nobody who holds it makes it last for good.
    pub async fn rotate_token(
        &self,
        caller: &Principal,
        id: &str,
        overlap_seconds: u32,
    ) -> Result<MadeToken> {
        if overlap_seconds > OVERLAP_SECONDS_MAX {
            return Err(Error::invalid(format!(
                "overlap_seconds is {overlap_seconds}; {OVERLAP_SECONDS_MAX} (30 days) are the most"
            )));
        }
        let snapshot = self.snapshot()?;
        let token = visible(&snapshot, caller, id)?;
        self.check_rotation(caller, token)?;
        let made = NewToken::make(&*self.randomness)?;
        let scram = token::scram(&made.text, &*self.randomness)?;
        let (hash, new_id, old_id) =
            (token::hash(&made.text), made.id.clone(), token.record.id.clone());
        let details = json!({ "replaced_by": new_id, "overlap_seconds": overlap_seconds });
        let grants = grants_of(&token.record.grants, "token", id);
        let details = seen_by_admins_of(&grants, details);
        let line = audit_of(caller, "token.rotate", subject(id), details);
        let created_by = caller.id().to_owned();
        let rotates_itself = caller.id() == token.record.id;
        let stored = self.store()?.edit_credentials(move |edit| {
            let now = edit.now();
            let old = edit.credentials().token(&old_id).ok_or_else(|| unknown(&old_id))?;
            let old = TokenRecord::clone(old);
            check_unreplaced(&old, now)?;
            let new = TokenRecord {
                id: new_id.clone(),
                hash,
                scram_salt: scram.salt,
                scram_salted_password: scram.salted_password,
                created_at: now,
                created_by,
                expires_at: match old.expires_at {
                    Some(end) if !rotates_itself => Some(now + (end - old.created_at)),
                    end => end,
                },
                last_used_at: None,
                ..old.clone()
            };
            hand_over(edit, &old_id, &new_id);
            let overlap_until = Some(now + TimeDelta::seconds(overlap_seconds.into()));
            edit.put_token(TokenRecord { replaced_by: Some(new_id), overlap_until, ..old });
            // An old one that ends at once makes room.
            check_room(edit, new.owner.as_deref())?;
            edit.put_token(new);
            edit.audit(line);
            Ok(())
        });
        stored.await?;
        Ok(MadeToken { secret: made.text, token: self.token_view(&made.id)? })
    }

    fn check_rotation(&self, caller: &Principal, token: &TokenEntry) -> Result<()> {
        let record = &token.record;
        if record.id == INIT_TOKEN_ID {
            return Err(Error::invalid(format!(
                "{INIT_TOKEN_ID} comes from the settings; set another value there and start again"
            )));
        }
        check_unreplaced(record, self.clock.now())?;
        let is_own = record.id == caller.id() || record.owner.as_deref() == Some(caller.id());
        if is_own {
            return Ok(());
        }
        let grants = grants_of(&record.grants, "token", &record.id);
        check_holds(caller, &grants, scopes_of(record))
    }
}

fn check_unreplaced(record: &TokenRecord, now: DateTime<Utc>) -> Result<()> {
    if let Some(next) = &record.replaced_by {
        let id = &record.id;
        return Err(Error::invalid(format!("the token {id} was replaced by {next}; rotate that")));
    }
    match why_not(record, now) {
        None => Ok(()),
        Some(why) => Err(Error::invalid(format!(
            "the token {} is {why}; make a new one instead of rotating it",
            record.id
        ))),
    }
}

/// What belonged to the old token belongs to the new one.
fn hand_over(edit: &mut CredentialEdit, old_id: &str, new_id: &str) {
    let owned = |token: &&Arc<TokenRecord>| token.owner.as_deref() == Some(old_id);
    let tokens: Vec<_> =
        edit.credentials().tokens().filter(owned).map(|token| TokenRecord::clone(token)).collect();
    for token in tokens {
        edit.put_token(TokenRecord { owner: Some(new_id.to_owned()), ..token });
    }
}
