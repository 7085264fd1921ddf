//! People: the login with OpenID Connect (authorization code with PKCE,
//! OpenID Connect Core 1.0, section 3.1; RFC 7636). A login that is under way
//! is kept here, once, and bound to the browser that began it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::claims::{ClaimRules, Claims};
use super::jwks::KeyCache;
use super::jwt::{Expected, TokenFault, TokenUse, UnverifiedToken};
use super::machines::principal_id;
use super::oidc_settings::PeopleSettings;
use super::permission::Permissions;
use super::principal::{Origin, Principal};
use super::randomness::Randomness;
use crate::clock::Clock;
use crate::directory::IssuedSubject;
use crate::error::{Error, ErrorKind, Result};

/// How long a person may take at the provider, seconds.
pub const LOGIN_SECONDS_MAX: i64 = 600;
/// Logins under way; the one that began longest ago gives way.
const LOGINS_MAX: u64 = 50_000;
/// Longest `return_to`, bytes.
const RETURN_TO_BYTES_MAX: usize = 2_048;
/// Longest code that a provider may send back, bytes.
const CODE_BYTES_MAX: usize = 8_192;

/// The code flow with one provider.
#[derive(Debug)]
pub(super) struct CodeFlow {
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    issuer: String,
    client: PeopleSettings,
    rules: ClaimRules,
    pending: Cache<String, Arc<Pending>>,
}

/// A login that a browser began.
#[derive(Debug)]
struct Pending {
    /// SHA-256 of what the browser's cookie holds.
    browser: [u8; 32],
    nonce: String,
    code_verifier: String,
    return_to: String,
    began_at: DateTime<Utc>,
    /// Whether another browser tried to end it: that is told once.
    was_tried: AtomicBool,
}

/// Where to send a browser that begins a login.
#[derive(Clone)]
pub struct BegunLogin {
    /// The provider's page.
    pub location: String,
    /// For a cookie of this browser, for [`LOGIN_SECONDS_MAX`].
    pub browser_secret: String,
}

impl fmt::Debug for BegunLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BegunLogin(…)")
    }
}

/// What the provider sends a browser back with.
#[derive(Clone, Default)]
pub struct LoginAnswer {
    /// Names the login.
    pub state: Option<String>,
    /// Stands for the tokens.
    pub code: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
}

impl fmt::Debug for LoginAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoginAnswer").field("error", &self.error).finish_non_exhaustive()
    }
}

/// Whoever has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// What the provider calls the person, for good.
    pub subject: IssuedSubject,
    /// The person with the roles that these claims map to; an error, in words
    /// for the person, where there are none.
    pub principal: Result<Principal>,
    /// A path of this server.
    pub return_to: String,
}

/// A login that failed.
#[derive(Debug)]
pub struct FailedLogin {
    /// What the person is told.
    pub error: Error,
    /// Whether it is to be written down. Anybody can send an answer to a login
    /// that nobody began, or that another browser did, as often as they like:
    /// of the one nothing is written, of the other one line.
    pub is_news: bool,
}

impl From<Error> for FailedLogin {
    fn from(error: Error) -> Self {
        Self { error, is_news: true }
    }
}

impl CodeFlow {
    pub(super) fn new(
        keys: Arc<KeyCache>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        issuer: String,
        client: PeopleSettings,
        rules: ClaimRules,
    ) -> Self {
        let pending =
            Cache::builder().max_capacity(LOGINS_MAX).eviction_policy(EvictionPolicy::lru());
        Self { keys, clock, randomness, issuer, client, rules, pending: pending.build() }
    }

    /// Begins a login that ends at `return_to`, a path of this server.
    pub(super) async fn begin(&self, return_to: Option<&str>) -> Result<BegunLogin> {
        let return_to = local_path(return_to.unwrap_or("/"))?;
        let held = self.keys.published().await?;
        let mut location = self.keys.provider().authorization_url(&held.published().endpoints)?;
        let (state, nonce) = (self.secret()?, self.secret()?);
        let (code_verifier, browser_secret) = (self.secret()?, self.secret()?);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&code_verifier));
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.client_id)
            .append_pair("redirect_uri", self.client.redirect_url.as_str())
            .append_pair("scope", &self.client.scopes)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let pending = Pending {
            browser: sha256(&browser_secret),
            nonce,
            code_verifier,
            return_to,
            began_at: self.clock.now(),
            was_tried: AtomicBool::new(false),
        };
        self.pending.insert(state, Arc::new(pending));
        Ok(BegunLogin { location: location.into(), browser_secret })
    }

    /// Ends a login: `answer` is what the browser brought from the provider,
    /// `browser_secret` what its cookie holds. Each login ends once, however
    /// it ends.
    pub(super) async fn finish(
        &self,
        answer: &LoginAnswer,
        browser_secret: Option<&str>,
    ) -> Result<LoggedIn, FailedLogin> {
        let pending = self.take(answer, browser_secret)?;
        let held = self.keys.published().await?;
        let endpoints = &held.published().endpoints;
        let names_issuer = endpoints.authorization_response_iss_parameter_supported;
        self.check_answerer(answer, names_issuer)?;
        let code = code_of(answer)?;
        let verifier = &pending.code_verifier;
        let provider = self.keys.provider();
        let tokens = provider.exchange(endpoints, &self.client, code, verifier).await?;
        let mut claims = self.check(&tokens.id_token, &pending.nonce).await?;
        if self.client.asks_userinfo {
            let others = provider.userinfo(endpoints, &tokens).await?;
            if others.get("sub").and_then(|subject| subject.as_str()) != claims.text("sub") {
                let message = "the identity provider speaks of two persons (sub of its token and \
                               of its userinfo_endpoint); log in again";
                return Err(Error::new(ErrorKind::Forbidden, message).into());
            }
            claims.complete(others);
        }
        Ok(self.logged_in(&claims, &pending))
    }

    /// The login that the answer names, if this browser began it. It is gone
    /// then: an answer that is sent again finds none.
    fn take(
        &self,
        answer: &LoginAnswer,
        browser_secret: Option<&str>,
    ) -> Result<Arc<Pending>, FailedLogin> {
        let state = answer.state.as_deref().unwrap_or_default();
        let known = self.pending.get(state).ok_or_else(not_under_way)?;
        let shown = sha256(browser_secret.unwrap_or_default());
        // Looked at before the login is taken away: whoever follows the link
        // without the browser (a scanner of messages) ends nobody's login.
        if !bool::from(shown.ct_eq(&known.browser)) {
            let error = Error::invalid(
                "this login was begun by another browser, or this one did not keep its cookie; log \
                 in again, and allow cookies of this server",
            );
            let is_news = !known.was_tried.swap(true, Ordering::Relaxed);
            return Err(FailedLogin { error, is_news });
        }
        let pending = self.pending.remove(state).ok_or_else(not_under_way)?;
        let age = self.clock.now() - pending.began_at;
        if age > TimeDelta::seconds(LOGIN_SECONDS_MAX) {
            return Err(Error::invalid(format!(
                "this login began more than {} minutes ago; log in again",
                LOGIN_SECONDS_MAX / 60
            ))
            .into());
        }
        Ok(pending)
    }

    /// An answer of another provider must not be taken for this one's.
    fn check_answerer(&self, answer: &LoginAnswer, has_to_say: bool) -> Result<()> {
        match &answer.issuer {
            Some(issuer) if *issuer == self.issuer => Ok(()),
            None if !has_to_say => Ok(()),
            Some(_) | None => Err(Error::invalid(
                "the answer to this login is not from the identity provider of this server (iss); \
                 log in again",
            )),
        }
    }

    /// The claims of the identity token of the login with this nonce.
    async fn check(&self, id_token: &str, nonce: &str) -> Result<Claims> {
        let token = UnverifiedToken::parse(id_token).map_err(bad_token)?;
        let key = self.keys.key_for(&token).await?;
        let key = key.ok_or_else(|| bad_token(token.unknown_key()))?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.client.client_id,
            token_use: TokenUse::Identity { nonce },
        };
        token.verify(&key, &expected, self.clock.now()).map_err(bad_token)
    }

    fn logged_in(&self, claims: &Claims, pending: &Pending) -> LoggedIn {
        let id = principal_id(&self.issuer, claims);
        let name = claims.display_name().unwrap_or(&id).to_owned();
        let issuer = self.issuer.clone();
        let subject = claims.text("sub").unwrap_or_default().to_owned();
        let principal = self
            .rules
            .grants_of_person(claims)
            .map(|grants| Principal::new(id, name, Origin::Session, grants, Permissions::ALL));
        let return_to = pending.return_to.clone();
        LoggedIn { subject: IssuedSubject { issuer, subject }, principal, return_to }
    }

    /// 256 bits that nobody can guess, as 43 characters that need no escape:
    /// what RFC 7636 asks of a code verifier.
    fn secret(&self) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(self.randomness.bytes::<32>()?))
    }
}

fn not_under_way() -> FailedLogin {
    let error = Error::invalid(
        "this login is not known here: it was finished or began too long ago; log in again",
    );
    FailedLogin { error, is_news: false }
}

fn code_of(answer: &LoginAnswer) -> Result<&str> {
    if let Some(error) = &answer.error {
        let error: String = error.chars().take(60).collect();
        let message = format!("the identity provider did not log you in ({error:?}); log in again");
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let code = answer.code.as_deref().unwrap_or_default();
    if code.is_empty() || code.len() > CODE_BYTES_MAX {
        return Err(Error::invalid("the answer to this login holds no code; log in again"));
    }
    Ok(code)
}

/// `return_to`, if it is a path of this server; nobody is sent elsewhere after
/// a login.
fn local_path(path: &str) -> Result<String> {
    let plain = path.len() <= RETURN_TO_BYTES_MAX
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // Browsers read `//host` as another server's address.
    if plain && !path.starts_with("//") {
        return Ok(path.to_owned());
    }
    let shown: String = path.chars().take(100).collect();
    Err(Error::invalid(format!(
        "return_to is {shown:?}; it is a path of this server, as /dashboard, of at most \
         {RETURN_TO_BYTES_MAX} bytes, with escapes for what is not ASCII"
    )))
}

/// The provider's own identity token does not hold: nothing that the person
/// could do better, so it says what an administrator needs.
fn bad_token(fault: TokenFault) -> Error {
    let message = format!("the identity provider's token about you does not hold: {fault}");
    Error::new(ErrorKind::Forbidden, message)
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests;
