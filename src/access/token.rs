//! The text of an access token: `slk_<id>_<secret>_<checksum>`.
//!
//! The id (11 digits of base 62) names the token in lists and logs. The secret
//! is 256 random bits (43 digits). The checksum (6 digits) is the CRC32 of all
//! that stands before it, so that a mistyped token is told as one; it keeps
//! nobody out. A fixed beginning lets scanners find tokens that leaked.

use pgwire::api::auth::sasl::scram::gen_salted_password;
use sha2::{Digest, Sha256};

use super::credential::{SCRAM_ITERATIONS, ScramVerifier};
use super::randomness::Randomness;
use crate::error::Result;

/// How every token begins.
pub(super) const PREFIX: &str = "slk_";

const ID_DIGITS: usize = 11;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token that was just made.
pub(super) struct NewToken {
    pub(super) id: String,
    /// All of it; kept nowhere.
    pub(super) text: String,
}

/// What a text that may be a token is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    /// A token, with the id that it names.
    Token { id: &'a str },
    /// A token in which something is wrong.
    Mistyped,
    /// Something else.
    Foreign,
}

impl NewToken {
    pub(super) fn make(randomness: &dyn Randomness) -> Result<Self> {
        let id = base62::<ID_DIGITS>(&randomness.bytes::<8>()?);
        let secret = base62::<SECRET_DIGITS>(&randomness.bytes::<32>()?);
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}_{}", checksum(&body));
        Ok(Self { id, text })
    }
}

/// Reads a token's id where its checksum is right.
pub(super) fn read(text: &str) -> Reading<'_> {
    let Some(rest) = text.strip_prefix(PREFIX) else { return Reading::Foreign };
    let is_digits = |part: &str, count| {
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let mut parts = rest.split('_');
    let (Some(id), Some(secret), Some(sum), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Reading::Mistyped;
    };
    let whole = is_digits(id, ID_DIGITS)
        && is_digits(secret, SECRET_DIGITS)
        && is_digits(sum, CHECKSUM_DIGITS);
    let body = text.len().checked_sub(CHECKSUM_DIGITS + 1).and_then(|end| text.get(..end));
    match body {
        Some(body) if whole && checksum(body) == sum => Reading::Token { id },
        _ => Reading::Mistyped,
    }
}

/// What a secret is stored as. Nobody can try 2²⁵⁶ secrets, so it needs no
/// slow hash.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A hash that nobody without `key` can make.
pub(super) fn hash_with(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // The key has a fixed length and the end is hashed again: nothing can be
    // added to what was hashed.
    let inner = Sha256::new_with_prefix(key).chain_update(text).finalize();
    Sha256::new_with_prefix(key).chain_update(inner).finalize().into()
}

/// What SCRAM checks `token` by.
pub(super) fn scram(token: &str, randomness: &dyn Randomness) -> Result<ScramVerifier> {
    let salt = randomness.bytes::<16>()?.to_vec();
    let iterations = SCRAM_ITERATIONS as usize;
    let salted_password = gen_salted_password(token, &salt, iterations);
    Ok(ScramVerifier { salt, salted_password })
}

/// A secret of 256 bits that is no token: of a session, or the setup code.
pub(super) fn secret(randomness: &dyn Randomness) -> Result<String> {
    Ok(base62::<SECRET_DIGITS>(&randomness.bytes::<32>()?))
}

/// The last digits of a token that begins with `body`.
pub(super) fn checksum(body: &str) -> String {
    base62::<CHECKSUM_DIGITS>(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

/// `bytes` as one number in base 62, the highest digit first; `COUNT` digits
/// must be enough for it.
fn base62<const COUNT: usize>(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = (rest << 8) | u32::from(*byte);
            // A quotient of a number below 62 · 256 by 62 fits a byte.
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::SeededRandomness;

    fn token(seed: u64) -> NewToken {
        NewToken::make(&SeededRandomness::new(seed)).expect("a token")
    }

    #[test]
    fn a_token_names_its_id_and_has_a_fixed_length() {
        let token = token(1);
        assert_eq!(token.text.len(), 66);
        assert_eq!(read(&token.text), Reading::Token { id: &token.id });
        assert_ne!(token.text, self::token(2).text);
    }

    #[test]
    fn the_greatest_numbers_fit_their_digits() {
        assert_eq!(base62::<6>(&[255; 4]), "4gfFC3");
        assert_eq!(base62::<11>(&[0; 8]), "00000000000");
        for (bytes, digits) in [(8_u32, ID_DIGITS), (32, SECRET_DIGITS), (4, CHECKSUM_DIGITS)] {
            assert!(f64::from(bytes) * 8.0 < digits as f64 * 62_f64.log2(), "{bytes} bytes");
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart_from_a_broken_one() {
        for text in ["", "slk", "a password of somebody", "eyJ.eyJ.sig"] {
            assert_eq!(read(text), Reading::Foreign, "{text}");
        }
        let whole = token(1).text;
        for text in ["slk_", "slk____", "slk_é_é_é", &whole[..65], &format!("{whole}0")] {
            assert_eq!(read(text), Reading::Mistyped, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_changed_character_is_noticed(
            seed: u64,
            place in 4..66_usize,
            instead in "[ -~]|é|_",
        ) {
            let token = token(seed);
            let mut changed = token.text.clone();
            changed.replace_range(place..=place, &instead);
            prop_assume!(changed != token.text);
            prop_assert_eq!(read(&changed), Reading::Mistyped);
        }

        #[test]
        fn two_exchanged_characters_are_noticed(seed: u64, place in 4..65_usize) {
            let token = token(seed);
            let mut bytes = token.text.clone().into_bytes();
            bytes.swap(place, place + 1);
            let changed = String::from_utf8(bytes).expect("ASCII");
            prop_assume!(changed != token.text);
            prop_assert_eq!(read(&changed), Reading::Mistyped);
        }
    }
}
