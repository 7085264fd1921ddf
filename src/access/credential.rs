//! What a request shows to say who it is from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::principal::Principal;
use crate::error::Result;

/// What somebody shows. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An access token, as it was shown when it was made.
    Token(String),
    /// The secret of a session, from its cookie.
    Session(String),
    /// A signed token of an identity provider.
    Jwt(String),
}

impl Credential {
    /// What a Bearer header, or the password of a Basic one, holds: three
    /// parts with dots between them are a JWT, everything else is a token.
    pub fn bearer(text: impl Into<String>) -> Self {
        let text = text.into();
        let parts = text.split('.').count();
        if parts == 3 && !text.starts_with("slk_") { Self::Jwt(text) } else { Self::Token(text) }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Session(_) => "Session(…)",
            Self::Jwt(_) => "Jwt(…)",
        })
    }
}

/// Checks signed tokens of an identity provider.
#[async_trait]
pub trait JwtVerifier: fmt::Debug + Send + Sync {
    /// Whose token it is; `Unauthenticated` where it does not hold.
    async fn verify(&self, jwt: &str) -> Result<Vouched>;
}

/// Whom an identity provider vouches for.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// With the grants that its claims give it.
    pub principal: Arc<Principal>,
    /// Where they give it none, why, in words for whoever shows the token.
    pub without_grants: Option<Arc<str>>,
}

/// What a server of SCRAM-SHA-256 (RFC 5802) checks a token by.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Sent to the client.
    pub salt: Vec<u8>,
    /// `Hi(token, salt, SCRAM_ITERATIONS)`.
    pub salted_password: Vec<u8>,
}

/// Rounds of every [`ScramVerifier`]: the least that RFC 7677 allows. Rounds
/// slow down guessing; a token of 256 random bits is not guessed.
pub const SCRAM_ITERATIONS: u32 = 4096;

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ScramVerifier(…)")
    }
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOwner {
    /// An account, by its id: what it may is looked up with each request.
    Account(String),
    /// A principal that an identity provider vouched for, with the grants it
    /// had then.
    Principal(Principal),
}

/// A session that was just opened.
#[derive(Clone)]
pub struct NewSession {
    /// For the cookie; it is kept nowhere else.
    pub secret: String,
    /// How long it lasts at most, whatever is done in it.
    pub lasts: chrono::TimeDelta,
    /// Whose it is.
    pub principal: Arc<Principal>,
}

impl NewSession {
    /// How long it lasts at most, seconds: for the cookie.
    pub fn seconds_max(&self) -> i64 {
        self.lasts.num_seconds()
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewSession")
            .field("principal", &self.principal.id())
            .finish_non_exhaustive()
    }
}
