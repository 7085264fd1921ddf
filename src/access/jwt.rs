//! Signed tokens (JWS in its compact form, RFC 7515; JWT, RFC 7519; the rules
//! of RFC 8725). The signature is the library's business; which algorithm,
//! which key and which claims hold is decided here, by a time that is handed
//! in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::claims::Claims;
use super::keys::PublicKey;

/// Longest token that is looked at, bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far two clocks may be apart, seconds.
pub(super) const LEEWAY_SECONDS: i64 = 60;
/// Longest subject (OpenID Connect Core 1.0, section 2), bytes.
const SUBJECT_BYTES_MAX: usize = 255;

/// The only algorithms there are: each has a public key, so whoever checks a
/// token cannot make one.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// Why a token does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    #[error(
        "it is not a signed JWT: three base64url parts of at most 16 KiB together, whose header \
         and claims are JSON objects"
    )]
    Malformed,
    #[error(
        "its algorithm is {0:?}; only signatures with a public key are taken: RS256, RS384, \
         RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
    )]
    Algorithm(String),
    #[error("its header has critical extensions (crit); none is understood here")]
    Critical,
    #[error("its type (typ) is {0:?}; {1}")]
    Type(String, &'static str),
    #[error("the provider publishes no key {0} that fits its algorithm; get a new token")]
    UnknownKey(String),
    #[error("its signature does not fit the provider's key")]
    Signature,
    #[error("it has no usable claim {0:?}, which every token needs")]
    Missing(&'static str),
    #[error("its issuer is {0:?}, not the one of the setting oidc_issuer")]
    Issuer(String),
    #[error("it is not meant for {0:?}: its audience (aud) is another one")]
    Audience(String),
    #[error("it was given to another client (azp)")]
    Party,
    #[error("it expired at {0}; get a new one")]
    Expired(DateTime<Utc>),
    #[error("it holds only from {0} on; look at the clocks of provider and server")]
    Early(DateTime<Utc>),
    #[error("its nonce is not the one of this login")]
    Nonce,
    #[error(
        "it is the identity token of a login (it has a nonce); send an access token that the \
         provider made for this service"
    )]
    NotForAccess,
}

/// What a token is shown for.
#[derive(Debug, Clone, Copy)]
pub(super) enum TokenUse<'a> {
    /// A machine's access token.
    Access,
    /// The identity token of the login that has this nonce.
    Identity { nonce: &'a str },
}

/// What the claims of a token have to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Compared byte by byte.
    pub(super) issuer: &'a str,
    /// One of the token's audiences.
    pub(super) audience: &'a str,
    /// What it is shown for.
    pub(super) token_use: TokenUse<'a>,
}

/// The part of a header that counts. Keys that it carries or points to
/// (`jwk`, `jku`, `x5c`, `x5u`) are not even read: a token does not say by
/// which key it is to be trusted.
#[derive(Debug, Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token of which nothing is known to be true yet.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    kind: Option<String>,
    /// Header and payload, as they were signed.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a token apart. The algorithm is looked at before anything else.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: RawHeader = decode(header)?;
        let named = ALGORITHMS.into_iter().find(|(name, _)| *name == header.alg);
        let Some((_, algorithm)) = named else {
            return Err(TokenFault::Algorithm(shown(&header.alg)));
        };
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let (key_id, kind) = (header.kid, header.typ);
        Ok(Self { algorithm, key_id, kind, message, payload, signature })
    }

    /// How it says that it is signed.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Which key it says that it is signed with.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// That no such key is to be had.
    pub(super) fn unknown_key(&self) -> TokenFault {
        let id = self.key_id().map_or_else(|| "(the token names none)".to_owned(), shown);
        TokenFault::UnknownKey(id)
    }

    /// The claims, if `key` signed them and they say what is expected at `now`.
    pub(super) fn verify(
        &self,
        key: &PublicKey,
        expected: &Expected<'_>,
        now: DateTime<Utc>,
    ) -> Result<Claims, TokenFault> {
        if !key.suits(self.algorithm) {
            return Err(self.unknown_key());
        }
        let message = self.message.as_bytes();
        let signed =
            jsonwebtoken::crypto::verify(self.signature, message, key.key(), self.algorithm);
        if !signed.is_ok_and(|fits| fits) {
            return Err(TokenFault::Signature);
        }
        self.check_type(expected.token_use)?;
        let claims = Claims::new(decode(self.payload)?);
        check_claims(&claims, expected, now)?;
        Ok(claims)
    }

    /// A token that was made for something else (a logout, a proof of
    /// possession) is signed by the same keys; its type tells.
    fn check_type(&self, token_use: TokenUse<'_>) -> Result<(), TokenFault> {
        let Some(kind) = &self.kind else { return Ok(()) };
        let lower = kind.to_ascii_lowercase();
        let plain = matches!(lower.as_str(), "jwt" | "application/jwt");
        let access = matches!(lower.as_str(), "at+jwt" | "application/at+jwt");
        match token_use {
            TokenUse::Access if !plain && !access => {
                Err(TokenFault::Type(shown(kind), "an access token is a JWT or at+jwt"))
            }
            TokenUse::Identity { .. } if !plain => {
                Err(TokenFault::Type(shown(kind), "an identity token is a JWT"))
            }
            TokenUse::Access | TokenUse::Identity { .. } => Ok(()),
        }
    }
}

/// The checks of RFC 7519 and, for an identity token, of OpenID Connect Core
/// 1.0, section 3.1.3.7.
fn check_claims(
    claims: &Claims,
    expected: &Expected<'_>,
    now: DateTime<Utc>,
) -> Result<(), TokenFault> {
    let issuer = claims.text("iss").ok_or(TokenFault::Missing("iss"))?;
    if issuer != expected.issuer {
        return Err(TokenFault::Issuer(shown(issuer)));
    }
    let audiences = claims.audiences().ok_or(TokenFault::Missing("aud"))?;
    if !audiences.contains(&expected.audience) {
        return Err(TokenFault::Audience(expected.audience.to_owned()));
    }
    let subject = claims.text("sub").unwrap_or_default();
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(TokenFault::Missing("sub"));
    }
    check_times(claims, now)?;
    match expected.token_use {
        // Only our own logins ask for a nonce, so only their tokens have one.
        TokenUse::Access if claims.has("nonce") => Err(TokenFault::NotForAccess),
        TokenUse::Access => Ok(()),
        TokenUse::Identity { nonce } => {
            if claims.text("nonce") != Some(nonce) {
                return Err(TokenFault::Nonce);
            }
            let party = claims.text("azp");
            let alone = audiences.len() == 1 && !claims.has("azp");
            if alone || party == Some(expected.audience) { Ok(()) } else { Err(TokenFault::Party) }
        }
    }
}

/// `exp` has to be there and to come; `nbf` and `iat`, where they are, have to
/// be over. Clocks may differ by [`LEEWAY_SECONDS`] either way.
fn check_times(claims: &Claims, now: DateTime<Utc>) -> Result<(), TokenFault> {
    let seconds = now.timestamp();
    let expires = claims.seconds("exp").ok_or(TokenFault::Missing("exp"))?;
    if seconds >= expires.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenFault::Expired(time(expires)));
    }
    for name in ["nbf", "iat"] {
        if !claims.has(name) {
            continue;
        }
        let begins = claims.seconds(name).ok_or(TokenFault::Missing(name))?;
        if begins > seconds.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenFault::Early(time(begins)));
        }
    }
    Ok(())
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed)
}

/// A text of a stranger, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
