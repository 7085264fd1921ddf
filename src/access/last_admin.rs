//! Nobody locks out the last super admin.

use super::granting::makes_super_admin;
use super::permission::Permissions;
use super::snapshot::{grants_of, scopes_of, why_not};
use crate::directory::CredentialEdit;
use crate::error::{Error, ErrorKind, Result};

/// Makes a change. `Forbidden` where there was such a super admin (an account, or a
/// token without an end) and the change leaves none.
pub(super) fn keeping_one<T>(
    edit: &mut CredentialEdit,
    change: impl FnOnce(&mut CredentialEdit) -> Result<T>,
) -> Result<T> {
    let had_one = has_one(edit);
    let answer = change(edit)?;
    if had_one && !has_one(edit) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "this would leave no super admin: make another one first (an account, or a token that \
             does not expire)",
        ));
    }
    Ok(answer)
}

/// Whether there is a super admin that can get in for as long as it likes.
pub(super) fn has_one(edit: &CredentialEdit) -> bool {
    let (credentials, now) = (edit.credentials(), edit.now());
    let account = credentials.accounts().any(|account| {
        let grants = grants_of(&account.grants, "account", &account.id);
        account.disabled_at.is_none() && makes_super_admin(&grants, Permissions::ALL)
    });
    let token = || {
        credentials.tokens().any(|token| {
            let grants = grants_of(&token.grants, "token", &token.id);
            let lasts = token.owner.is_none()
                && token.expires_at.is_none()
                && token.replaced_by.is_none()
                && why_not(token, now).is_none();
            lasts && makes_super_admin(&grants, scopes_of(token))
        })
    };
    account || token()
}
