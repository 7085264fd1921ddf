//! The first administrator: from the settings, or by a code that works once.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use chrono::TimeDelta;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::accounts::{check_free, checked_email};
use super::audits::audit;
use super::authenticator::{Authenticator, INIT_TOKEN_ID};
use super::credential::{NewSession, SessionOwner};
use super::granting::makes_super_admin;
use super::last_admin::has_one;
use super::permission::Permissions;
use super::principal::Principal;
use super::sessions::Visitor;
use super::snapshot::{grants_of, stored_grants};
use super::token;
use super::tokens::checked_name;
use crate::config::{Config, Secret};
use crate::directory::{AccountRecord, CredentialEdit, SetupRecord, TokenRecord};
use crate::error::{Context, Error, ErrorKind, Result};

/// Shortest token that the settings may bring in, characters.
const INIT_TOKEN_CHARACTERS_MIN: usize = 32;
/// Longest file with a token or a password, bytes.
const SECRET_FILE_BYTES_MAX: u64 = 4096;
/// How long the setup code is taken.
const SETUP_CODE_MINUTES: i64 = 15;
/// Who the audit log says it was.
const ACTOR: &str = "settings";

/// What the settings say about the first administrator.
#[derive(Debug)]
pub(super) struct InitSettings {
    token: Secret,
    token_file: PathBuf,
    email: String,
    password_file: PathBuf,
}

/// What whoever has the setup code says of itself.
#[derive(Clone)]
pub struct SetupRequest {
    /// The code that the server printed.
    pub code: String,
    /// The address of the new account.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// The account's password.
    pub password: String,
}

impl From<&Config> for InitSettings {
    fn from(config: &Config) -> Self {
        Self {
            token: config.init_admin_token.clone(),
            token_file: config.init_admin_token_file.clone(),
            email: config.init_admin_email.clone(),
            password_file: config.init_admin_password_file.clone(),
        }
    }
}

impl InitSettings {
    /// The token, from its setting or its file. `Invalid` where it is too
    /// short or given twice.
    fn token(&self) -> Result<Option<String>> {
        let from_file = read_secret("init_admin_token_file", &self.token_file)?;
        let direct = Some(self.token.reveal()).filter(|token| !token.is_empty());
        let (token, setting) = match (direct, from_file) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "init_admin_token and init_admin_token_file are both set; leave one out",
                ));
            }
            (Some(token), None) => (token.to_owned(), "init_admin_token"),
            (None, Some(token)) => (token, "init_admin_token_file"),
            (None, None) => return Ok(None),
        };
        let characters = token.chars().count();
        if characters < INIT_TOKEN_CHARACTERS_MIN {
            return Err(Error::invalid(format!(
                "the token of {setting} has {characters} characters; it needs \
                 {INIT_TOKEN_CHARACTERS_MIN} or more that nobody can guess: `openssl rand -hex 32` \
                 makes such a one"
            )));
        }
        if !token.chars().all(|one| one.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "the token of {setting} has a space or a character beyond ASCII, which no HTTP \
                 header carries; `openssl rand -hex 32` makes one that can be sent"
            )));
        }
        Ok(Some(token))
    }

    /// Address and password of the account.
    fn account(&self) -> Result<Option<(String, String)>> {
        let password = read_secret("init_admin_password_file", &self.password_file)?;
        match (self.email.is_empty(), password) {
            (true, None) => Ok(None),
            (false, Some(password)) => Ok(Some((checked_email(&self.email)?, password))),
            (false, None) => Err(Error::invalid(
                "init_admin_email is set and init_admin_password_file is not; the account needs \
                 both",
            )),
            (true, Some(_)) => Err(Error::invalid(
                "init_admin_password_file is set and init_admin_email is not; the account needs \
                 both",
            )),
        }
    }
}

impl Authenticator {
    /// Brings in what the settings say. Where nobody is a super admin after
    /// that, makes a setup code, which takes the place of an earlier one.
    pub(super) async fn bring_in_first_admin(&self) -> Result<()> {
        if let Some(token) = self.settings.init.token()? {
            self.bring_in_token(&token).await?;
        }
        if let Some((email, password)) = self.settings.init.account()? {
            self.bring_in_account(email, &password).await?;
        }
        if self.has_super_admin()? {
            return Ok(());
        }
        self.make_setup_code().await
    }

    /// The setup code that [`Authenticator::open`] made, once: whoever takes
    /// it shows it to the operator and to nobody else.
    pub fn take_setup_code(&self) -> Option<String> {
        self.setup_code.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes the first super admin, and a session for it. `Forbidden` where the
    /// code is not the right one, is used, or is too old.
    pub async fn set_up(&self, request: SetupRequest, visitor: &Visitor) -> Result<NewSession> {
        let now = self.clock.now();
        self.address_attempts.take(&visitor.address_name(), now)?;
        let code = token::hash(request.code.trim());
        // Before the password costs anything.
        check_code(self.snapshot()?.credentials.setup(), &code, now)?;
        let (email, name) = (checked_email(&request.email)?, checked_name(&request.name)?);
        let password_hash = Some(self.passwords.hash(&request.password).await?);
        let record = AccountRecord {
            id: self.new_account_id()?,
            email: Some(email),
            name,
            password_hash,
            initial_password_hash: None,
            subject: None,
            grants: super_admin()?,
            created_at: now,
            disabled_at: None,
        };
        let id = record.id.clone();
        let stored = self.store()?.edit_credentials(move |edit| {
            let now = edit.now();
            check_code(edit.credentials().setup(), &code, now)?;
            // The code is for a place that has no administrator.
            if has_one(edit) {
                let message =
                    "there is a super admin by now, who makes accounts; sign in at /login";
                return Err(Error::new(ErrorKind::Forbidden, message));
            }
            check_free(edit, &record)?;
            if let Some(setup) = edit.credentials().setup().cloned() {
                edit.put_setup(SetupRecord { used_at: Some(now), ..setup });
            }
            let details = json!({ "email": record.email, "name": record.name });
            edit.audit(audit("setup", "setup", format!("account/{}", record.id), details));
            edit.put_account(record);
            Ok(())
        });
        stored.await?;
        self.open_session(SessionOwner::Account(id), visitor).await
    }

    async fn bring_in_token(&self, text: &str) -> Result<()> {
        let hash = token::hash(text);
        let scram = token::scram(text, &*self.randomness)?;
        let record = TokenRecord {
            id: INIT_TOKEN_ID.to_owned(),
            name: "initial administrator".to_owned(),
            hash,
            scram_salt: scram.salt,
            scram_salted_password: scram.salted_password,
            grants: super_admin()?,
            scopes: None,
            owner: None,
            created_at: self.clock.now(),
            created_by: ACTOR.to_owned(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            overlap_until: None,
        };
        let stored = self.store()?.edit_credentials(move |edit| {
            let known = edit.credentials().token(INIT_TOKEN_ID);
            if let Some(known) = known.filter(|known| known.hash == hash) {
                // The same value again: what was done to it since stays done.
                if known.revoked_at.is_some() {
                    tracing::warn!("the token of init_admin_token was revoked; it stays revoked");
                }
                return Ok(());
            }
            edit.put_token(record);
            let subject = format!("token/{INIT_TOKEN_ID}");
            edit.audit(audit(ACTOR, "token.create", subject, json!({ "role": "super_admin" })));
            Ok(())
        });
        stored.await
    }

    async fn bring_in_account(&self, email: String, password: &str) -> Result<()> {
        let known = self.snapshot()?.account_of_email(&email).map(|account| account.record.clone());
        check_is_ours(known.as_deref(), &email)?;
        let before = known.as_ref().and_then(|known| known.initial_password_hash.as_deref());
        if before.is_some() && self.passwords.fits(password, before).await? {
            // The same value again: what was done to the account since stays done.
            return Ok(());
        }
        let setting = "the password of init_admin_password_file";
        let hash = self.passwords.hash(password).await.context(ErrorKind::Invalid, setting)?;
        let id = match &known {
            Some(known) => known.id.clone(),
            None => self.new_account_id()?,
        };
        let grants = super_admin()?;
        let stored = self.store()?.edit_credentials(move |edit| {
            check_is_ours(edit.credentials().account(&id).map(AsRef::as_ref), &email)?;
            bring_in_account(edit, &id, email, hash, grants);
            Ok(())
        });
        stored.await
    }

    async fn make_setup_code(&self) -> Result<()> {
        let code = token::secret(&*self.randomness)?;
        let setup = SetupRecord {
            hash: token::hash(&code),
            expires_at: self.clock.now() + TimeDelta::minutes(SETUP_CODE_MINUTES),
            used_at: None,
        };
        let stored = self.store()?.edit_credentials(move |edit| {
            edit.put_setup(setup);
            Ok(())
        });
        stored.await?;
        *self.setup_code.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        Ok(())
    }
}

/// `Invalid` where the account of the settings' address is somebody else's:
/// whoever made it first, by an organization's admin say, would become a super
/// admin. One that a provider vouches for would be opened by more than the
/// password.
fn check_is_ours(known: Option<&AccountRecord>, email: &str) -> Result<()> {
    let Some(known) = known else { return Ok(()) };
    let grants = grants_of(&known.grants, "account", &known.id);
    let is_ours =
        known.initial_password_hash.is_some() || makes_super_admin(&grants, Permissions::ALL);
    if is_ours && known.subject.is_none() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "init_admin_email is {email}, and there is an account of that address which these settings \
         did not make; it is not made a super admin: name another address, or leave the setting \
         out and make one with `spendlake account create`"
    )))
}

fn bring_in_account(
    edit: &mut CredentialEdit,
    id: &str,
    email: String,
    hash: String,
    grants: Value,
) {
    let known = edit.credentials().account(id).map(|known| AccountRecord::clone(known));
    let action = if known.is_some() { "account.change" } else { "account.create" };
    let base = known.unwrap_or_else(|| AccountRecord {
        id: id.to_owned(),
        email: Some(email.clone()),
        name: email.clone(),
        password_hash: None,
        initial_password_hash: None,
        subject: None,
        grants: Value::Null,
        created_at: edit.now(),
        disabled_at: None,
    });
    edit.put_account(AccountRecord {
        password_hash: Some(hash.clone()),
        initial_password_hash: Some(hash),
        grants,
        disabled_at: None,
        ..base
    });
    super::sessions::end_sessions_of(edit, id);
    let details = json!({ "email": email, "role": "super_admin" });
    edit.audit(audit(ACTOR, action, format!("account/{id}"), details));
}

/// `Forbidden` unless `code` is the one that counts now; the message does not
/// say what is wrong with it, but for its age.
fn check_code(
    setup: Option<&SetupRecord>,
    code: &[u8; 32],
    now: chrono::DateTime<chrono::Utc>,
) -> Result<()> {
    let refused = |message: &str| Err(Error::new(ErrorKind::Forbidden, message));
    let Some(setup) = setup.filter(|setup| bool::from(setup.hash.ct_eq(code))) else {
        return refused("the code is not the one that the server printed at its last start");
    };
    if setup.used_at.is_some() {
        return refused("the code was used; sign in at /login");
    }
    if setup.expires_at <= now {
        return refused("the code is too old; start the server again for a new one");
    }
    Ok(())
}

/// The content of a file without the line's end, `None` where no file is set.
fn read_secret(setting: &str, path: &Path) -> Result<Option<String>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let doing = || format!("{setting} is {}, which cannot be read", path.display());
    let size = std::fs::metadata(path).context(ErrorKind::Invalid, doing())?.len();
    if size > SECRET_FILE_BYTES_MAX {
        return Err(Error::invalid(format!(
            "{setting} is {}, which has {size} bytes; {SECRET_FILE_BYTES_MAX} are the most",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).context(ErrorKind::Invalid, doing())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Error::invalid(format!("{setting} is {}, which is empty", path.display())));
    }
    Ok(Some(text.to_owned()))
}

fn super_admin() -> Result<Value> {
    stored_grants(Principal::operator().grants())
}

/// Code and password stay out of logs.
impl std::fmt::Debug for SetupRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SetupRequest").field("email", &self.email).finish_non_exhaustive()
    }
}
