//! What a forgotten user leaves of tokens, accounts and sessions.

use serde_json::{Value, json};

use super::accounts::subject_of;
use super::audits::audit;
use super::sessions::end_sessions_of;
use super::tokens::subject;
use crate::directory::{
    AccountRecord, CredentialEdit, Credentials, Erasure, SessionHolder, SessionRecord, TokenRecord,
};

/// Grants with the pseudonym in the place of the user.
struct Renamed {
    grants: Value,
    /// They are over nothing but this user.
    is_all: bool,
}

/// Whether a credential is over the user.
pub fn credentials_name(credentials: &Credentials, erasure: &Erasure) -> bool {
    let names = |grants: &Value| renamed(grants, erasure).is_some();
    credentials.tokens().any(|one| names(&one.grants))
        || credentials.accounts().any(|one| names(&one.grants))
        || credentials.sessions().any(|one| match &one.holder {
            SessionHolder::Principal(principal) => names(&principal["grants"]),
            SessionHolder::Account(_) => false,
        })
}

/// Puts the pseudonym in the place of the user. What is over nothing else
/// ends: a forgotten person gets in no more. Doing it again changes nothing.
pub fn forget_in_credentials(edit: &mut CredentialEdit, erasure: &Erasure, actor: &str) {
    forget_tokens(edit, erasure, actor);
    forget_accounts(edit, erasure, actor);
    forget_sessions(edit, erasure);
}

fn forget_tokens(edit: &mut CredentialEdit, erasure: &Erasure, actor: &str) {
    let tokens: Vec<_> = edit.credentials().tokens().cloned().collect();
    for token in tokens {
        let Some(Renamed { grants, is_all }) = renamed(&token.grants, erasure) else { continue };
        let ended = is_all.then(|| edit.now());
        if is_all && token.revoked_at.is_none() {
            let details = json!({"organization_id": erasure.organization_id, "reason": REASON});
            edit.audit(audit(actor, "token.revoke", subject(&token.id), details));
        }
        let revoked_at = token.revoked_at.or(ended);
        edit.put_token(TokenRecord { grants, revoked_at, ..TokenRecord::clone(&token) });
    }
}

fn forget_accounts(edit: &mut CredentialEdit, erasure: &Erasure, actor: &str) {
    let accounts: Vec<_> = edit.credentials().accounts().cloned().collect();
    for account in accounts {
        let Some(Renamed { grants, is_all }) = renamed(&account.grants, erasure) else { continue };
        let ended = is_all.then(|| edit.now());
        if is_all && account.disabled_at.is_none() {
            let details = json!({"organization_id": erasure.organization_id, "disabled": true,
                                 "reason": REASON});
            edit.audit(audit(actor, "account.change", subject_of(&account.id), details));
        }
        let disabled_at = account.disabled_at.or(ended);
        edit.put_account(AccountRecord { grants, disabled_at, ..AccountRecord::clone(&account) });
        if is_all {
            end_sessions_of(edit, &account.id);
        }
    }
}

fn forget_sessions(edit: &mut CredentialEdit, erasure: &Erasure) {
    let sessions: Vec<_> = edit.credentials().sessions().cloned().collect();
    for session in sessions {
        let SessionHolder::Principal(principal) = &session.holder else { continue };
        let Some(Renamed { grants, is_all }) = renamed(&principal["grants"], erasure) else {
            continue;
        };
        edit.end_session(&session.hash);
        if !is_all {
            let mut principal = principal.clone();
            principal["grants"] = grants;
            let holder = SessionHolder::Principal(principal);
            edit.put_session(SessionRecord { holder, ..SessionRecord::clone(&session) });
        }
    }
}

/// What the audit log says of what ends.
const REASON: &str = "its user asked to be forgotten";

/// `None` where no grant is over the user.
fn renamed(grants: &Value, erasure: &Erasure) -> Option<Renamed> {
    let is_over_user = |grant: &Value| {
        grant["over"] == "user"
            && grant["organization_id"] == erasure.organization_id.as_str()
            && grant["user_id"] == erasure.user_id.as_str()
    };
    let mut grants = grants.as_array()?.clone();
    let (mut any, mut is_all) = (false, true);
    for grant in &mut grants {
        if is_over_user(grant) {
            grant["user_id"] = erasure.pseudonym.as_str().into();
            any = true;
        } else {
            is_all = false;
        }
    }
    any.then_some(Renamed { grants: Value::Array(grants), is_all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grants_over_this_user_of_this_organization_change() {
        let erasure = Erasure {
            pseudonym: "p".to_owned(),
            organization_id: "o".to_owned(),
            user_id: "a".to_owned(),
        };
        let over = |organization: &str, user: &str| json!({"role": "member", "over": "user", "organization_id": organization, "user_id": user});
        let team =
            json!({"role": "analyst", "over": "team", "organization_id": "o", "team_id": "a"});
        let of = |grants: Value| renamed(&grants, &erasure).map(|one| (one.grants, one.is_all));
        assert_eq!(of(json!([over("o", "a")])), Some((json!([over("o", "p")]), true)));
        let both = of(json!([over("o", "a"), team]));
        assert_eq!(both, Some((json!([over("o", "p"), team]), false)));
        assert_eq!(of(json!([over("other", "a"), over("o", "b"), team])), None);
    }
}
