//! The operator's token: made anew at each start, for whoever may read the
//! data folder.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::access::Randomness;
use crate::error::Result;

/// Operator tokens start so.
const PREFIX: &str = "slop_";

/// A token that its holder alone knows in full: of others, only whether they
/// show the same.
#[derive(Clone)]
pub struct OperatorToken(String);

impl OperatorToken {
    /// A new one of 256 random bits.
    pub fn generate(randomness: &dyn Randomness) -> Result<Self> {
        let secret = randomness.bytes::<32>()?;
        let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{PREFIX}{digits}")))
    }

    /// What to send.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token, in a time that says nothing about it.
    pub(crate) fn is(&self, shown: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        digest(shown).as_slice().ct_eq(digest(&self.0).as_slice()).into()
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OperatorToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::SystemRandomness;

    #[test]
    fn a_token_knows_itself_and_shows_itself_to_nobody() {
        let token = OperatorToken::generate(&SystemRandomness).expect("a token");
        let other = OperatorToken::generate(&SystemRandomness).expect("a token");
        assert!(token.is(token.secret()) && !token.is(other.secret()) && !token.is(""));
        assert_eq!(token.secret().len(), PREFIX.len() + 64);
        assert_eq!(format!("{token:?}"), "OperatorToken(…)");
    }
}
