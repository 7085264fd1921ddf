//! Passwords of local accounts: argon2id, off the worker threads.

use std::sync::Arc;

use argon2::password_hash::Error as HashError;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;

use super::randomness::Randomness;
use crate::error::{Context, Error, ErrorKind, Result};

/// Shortest password, characters. Length is the only rule (NIST SP 800-63B
/// advises against rules on kinds of characters).
const CHARACTERS_MIN: usize = 12;
/// Longest password, bytes: hashing is not for whole books.
const BYTES_MAX: usize = 1024;

/// What one hash costs: 19 MiB and 2 passes in one lane, the first choice of
/// OWASP's Password Storage Cheat Sheet (about 25 ms on one core).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes that are computed at once: they take 19 MiB and a core each.
const HASHES_AT_ONCE: usize = 2;
/// Those that wait for a turn; more are told to come back.
const WAITING_MAX: usize = 64;

/// The hash that an unknown account is tried against, so that the answer takes
/// as long as for a known one. No password has it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords and compares them, a few at once.
#[derive(Debug)]
pub(super) struct Passwords {
    randomness: Arc<dyn Randomness>,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(randomness: Arc<dyn Randomness>) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let (turns, waiting) = (places(HASHES_AT_ONCE), places(WAITING_MAX));
        Self { randomness, turns, waiting }
    }

    /// The hash of a new password, as a PHC string. `Invalid` where it is too
    /// short or too long.
    pub(super) async fn hash(&self, password: &str) -> Result<String> {
        check_length(password)?;
        let salt = self.randomness.bytes::<16>()?;
        let password = password.to_owned();
        let hashed = self.in_turn(move || {
            hasher()?
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
        });
        hashed.await?.map_err(|error| Error::internal(format!("hashing a password: {error}")))
    }

    /// Whether the password is the one of `hash`; false where there is no
    /// hash, after the same time.
    pub(super) async fn fits(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        // It has no hash, since no password is so long.
        let password = if password.len() > BYTES_MAX { "" } else { password };
        let (password, known) = (password.to_owned(), hash.is_some());
        let hash = hash.unwrap_or(NOBODY).to_owned();
        let compared = self.in_turn(move || hasher()?.verify_password(password.as_bytes(), &*hash));
        match compared.await? {
            Ok(()) => Ok(known),
            Err(HashError::PasswordInvalid) => Ok(false),
            Err(error) => Err(Error::internal(format!("comparing a password: {error}"))),
        }
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::Busy, "too many passwords are being checked; try again shortly")
        })?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.internal("waiting to check a password")?;
        // The work goes on when whoever asked hangs up, and so does its turn.
        let work = move || {
            let _places = (place, turn);
            work()
        };
        tokio::task::spawn_blocking(work).await.internal("checking a password")
    }
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|_| HashError::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn check_length(password: &str) -> Result<()> {
    let characters = password.chars().count();
    if characters < CHARACTERS_MIN {
        return Err(Error::invalid(format!(
            "the password has {characters} characters; it needs {CHARACTERS_MIN} or more, of any \
             kind: a few words will do"
        )));
    }
    if password.len() > BYTES_MAX {
        return Err(Error::invalid(format!("the password is longer than {BYTES_MAX} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::SeededRandomness;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SeededRandomness::new(1)))
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = passwords();
        let hash = passwords.hash("correct horse").await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.fits("correct horse", Some(&hash)).await.expect("compared"));
        assert!(!passwords.fits("correct horsf", Some(&hash)).await.expect("compared"));
        let again = passwords.hash("correct horse").await.expect("a hash");
        assert_ne!(hash, again, "the salt differs");
    }

    #[tokio::test]
    async fn nobody_gets_in_where_there_is_no_hash() {
        let passwords = passwords();
        for password in ["", "a", "correct horse", &"x".repeat(BYTES_MAX + 1)] {
            assert!(!passwords.fits(password, None).await.expect("compared"), "{password}");
        }
    }

    #[tokio::test]
    async fn a_short_password_is_refused_with_the_rule() {
        let passwords = passwords();
        let error = passwords.hash("eleven char").await.expect_err("refused");
        assert!(error.to_string().contains("11 characters; it needs 12 or more"), "{error}");
        assert!(passwords.hash("zwölf Zeichn").await.is_ok(), "characters count, not bytes");
        assert!(passwords.hash(&"x".repeat(BYTES_MAX + 1)).await.is_err());
    }

    #[tokio::test]
    async fn more_than_can_wait_are_told_to_come_back() {
        let passwords = passwords();
        let places = u32::try_from(WAITING_MAX).expect("a small number");
        let all = passwords.waiting.try_acquire_many(places).expect("every place");
        let error = passwords.hash("correct horse").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Busy);
        drop(all);
        assert!(passwords.hash("correct horse").await.is_ok());
    }

    #[tokio::test]
    async fn a_turn_is_taken_until_its_work_is_done_whoever_hangs_up() {
        let passwords = passwords();
        let (finish, wait) = std::sync::mpsc::channel::<()>();
        let work = passwords.in_turn(move || wait.recv().is_ok());
        let patience = std::time::Duration::from_millis(50);
        tokio::time::timeout(patience, work).await.expect_err("it waits");
        assert_eq!(passwords.turns.available_permits(), HASHES_AT_ONCE - 1);
        assert_eq!(passwords.waiting.available_permits(), WAITING_MAX - 1);
        finish.send(()).expect("it goes on");
        while passwords.turns.available_permits() < HASHES_AT_ONCE {
            tokio::time::sleep(patience / 10).await;
        }
    }
}
