//! Machines: whose access token of the identity provider a request shows.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::claims::{ClaimRules, Claims};
use super::credential::{JwtVerifier, Vouched};
use super::jwks::KeyCache;
use super::jwt::{
    Expected, LEEWAY_SECONDS, TOKEN_BYTES_MAX, TokenFault, TokenUse, UnverifiedToken,
};
use super::keys::KeyPrint;
use super::principal::{Origin, Principal};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// Tokens that are remembered, so that their signature is checked once; whose
/// was not shown for longest is forgotten.
const TOKENS_MAX: u64 = 10_000;

/// Checks access tokens of one issuer for one audience.
#[derive(Debug)]
pub(super) struct Machines {
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
    issuer: String,
    audience: String,
    rules: ClaimRules,
    known: Cache<[u8; 32], Arc<Known>>,
}

/// A token that was found to hold.
#[derive(Debug)]
struct Known {
    vouched: Vouched,
    /// What signed it: the token goes when the key does.
    key: KeyPrint,
    expires: i64,
}

impl Known {
    fn holds_at(&self, now: DateTime<Utc>) -> bool {
        now.timestamp() < self.expires.saturating_add(LEEWAY_SECONDS)
    }
}

impl Machines {
    pub(super) fn new(
        keys: Arc<KeyCache>,
        clock: Arc<dyn Clock>,
        issuer: String,
        audience: String,
        rules: ClaimRules,
    ) -> Self {
        let known =
            Cache::builder().max_capacity(TOKENS_MAX).eviction_policy(EvictionPolicy::lru());
        Self { keys, clock, issuer, audience, rules, known: known.build() }
    }

    async fn check(&self, jwt: &str) -> Result<Known> {
        let token = UnverifiedToken::parse(jwt).map_err(unauthenticated)?;
        let key = self.keys.key_for(&token).await?;
        let key = key.ok_or_else(|| unauthenticated(token.unknown_key()))?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.audience,
            token_use: TokenUse::Access,
        };
        let claims = token.verify(&key, &expected, self.clock.now()).map_err(unauthenticated)?;
        let vouched = self.vouched(&claims)?;
        let expires = claims.seconds("exp").unwrap_or(i64::MIN);
        Ok(Known { vouched, key: key.print(), expires })
    }

    fn vouched(&self, claims: &Claims) -> Result<Vouched> {
        let (grants, without_grants) = match self.rules.grants_of_machine(claims) {
            Ok(grants) => (grants, None),
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                (Vec::new(), Some(error.to_string().into()))
            }
            Err(error) => return Err(error),
        };
        let id = principal_id(&self.issuer, claims);
        let client = ["client_id", "azp"].into_iter().find_map(|claim| claims.text(claim));
        let name = claims.display_name().or(client).unwrap_or(&id).to_owned();
        let principal = Principal::new(id, name, Origin::Jwt, grants, claims.permissions());
        Ok(Vouched { principal: Arc::new(principal), without_grants })
    }
}

#[async_trait]
impl JwtVerifier for Machines {
    async fn verify(&self, jwt: &str) -> Result<Vouched> {
        if jwt.len() > TOKEN_BYTES_MAX {
            return Err(unauthenticated(TokenFault::Malformed));
        }
        let name: [u8; 32] = Sha256::digest(jwt.as_bytes()).into();
        if let Some(known) = self.known.get(&name) {
            // The key is asked for each time: a token ends with its key.
            if known.holds_at(self.clock.now()) && self.keys.holds(&known.key).await? {
                return Ok(known.vouched.clone());
            }
            self.known.invalidate(&name);
        }
        let known = Arc::new(self.check(jwt).await?);
        self.known.insert(name, Arc::clone(&known));
        Ok(known.vouched.clone())
    }
}

/// What tells somebody apart from everybody else, for good: a subject is
/// unique within its issuer (OpenID Connect Core 1.0, section 2).
pub(super) fn principal_id(issuer: &str, claims: &Claims) -> String {
    subject_id(issuer, claims.text("sub").unwrap_or_default())
}

/// The same, of an account that names both.
pub(super) fn subject_id(issuer: &str, subject: &str) -> String {
    format!("{issuer}#{subject}")
}

fn unauthenticated(fault: TokenFault) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the token does not hold: {fault}"))
}

#[cfg(test)]
mod tests;
