//! The keys that a provider publishes (a JSON Web Key Set, RFC 7517): those of
//! them that can check a signature.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::jwt::UnverifiedToken;
use crate::error::{Context, Error, ErrorKind, Result};

/// Most keys of one set.
const KEYS_MAX: usize = 100;

/// What tells keys apart: the SHA-256 of what was published.
pub(super) type KeyPrint = [u8; 32];

/// What a key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyType {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A key that checks signatures.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    id: Option<String>,
    kind: KeyType,
    /// The one algorithm that the provider allows with it.
    algorithm: Option<KeyAlgorithm>,
    key: DecodingKey,
    print: KeyPrint,
}

/// The keys of a provider at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySet(Vec<PublicKey>);

#[derive(Debug, Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl PublicKey {
    /// `None` for a key that checks no signature of ours: one for encryption,
    /// a shared secret, a type or curve that is not known.
    fn parse(published: Value) -> Option<Self> {
        let print = Sha256::digest(published.to_string().as_bytes()).into();
        let jwk: Jwk = serde_json::from_value(published).ok()?;
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => KeyType::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                KeyType::P256
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
                KeyType::P384
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                KeyType::Ed25519
            }
            _ => return None,
        };
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
        let operations = common.key_operations.as_ref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !(signs && verifies) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, kind, algorithm: jwk.common.key_algorithm, key, print })
    }

    /// Whether a signature of `algorithm` can be of this key: its type fits,
    /// and the provider does not say otherwise.
    pub(super) fn suits(&self, algorithm: Algorithm) -> bool {
        let fits = match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => self.kind == KeyType::Rsa,
            Algorithm::ES256 => self.kind == KeyType::P256,
            Algorithm::ES384 => self.kind == KeyType::P384,
            Algorithm::EdDSA => self.kind == KeyType::Ed25519,
            _ => false,
        };
        fits && self.algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm))
    }

    /// What the library checks with.
    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }

    /// What tells it apart from every other key.
    pub(super) fn print(&self) -> KeyPrint {
        self.print
    }
}

impl KeySet {
    /// The keys of a published document that are of use here.
    pub(super) fn parse(document: Value) -> Result<Self> {
        let doing = "the provider's keys (jwks_uri) are not a JSON Web Key Set";
        let Published { keys } =
            serde_json::from_value(document).context(ErrorKind::Unavailable, doing)?;
        if keys.len() > KEYS_MAX {
            let count = keys.len();
            let message =
                format!("the provider publishes {count} keys; at most {KEYS_MAX} are read");
            return Err(Error::unavailable(message));
        }
        Ok(Self(keys.into_iter().filter_map(PublicKey::parse).collect()))
    }

    /// The key that a token names. One that names none gets the only key that
    /// suits its algorithm; where there are several, none.
    pub(super) fn key_for(&self, token: &UnverifiedToken<'_>) -> Option<&PublicKey> {
        let mut suiting = self.0.iter().filter(|key| key.suits(token.algorithm()));
        match token.key_id() {
            Some(id) => suiting.find(|key| key.id.as_deref() == Some(id)),
            None => suiting.next().filter(|_| suiting.next().is_none()),
        }
    }

    /// Whether the key of this print is still published.
    pub(super) fn holds(&self, print: &KeyPrint) -> bool {
        self.0.iter().any(|key| key.print == *print)
    }
}

#[cfg(test)]
mod tests;
