//! Randomness is handed in, as time is: what makes secrets holds an
//! `Arc<dyn Randomness>`, so a test can make the same ones again.

use std::fmt::Debug;

use rand::TryRngCore as _;
use rand::rngs::OsRng;

use crate::error::{Context, ErrorKind, Result};

/// A source of bytes that nobody can guess.
pub trait Randomness: Debug + Send + Sync {
    /// Fills all of `bytes`; `Unavailable` where there are none to be had.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's random bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        let filled = OsRng.try_fill_bytes(bytes);
        filled.context(ErrorKind::Unavailable, "the operating system gives no random bytes")
    }
}

impl dyn Randomness + '_ {
    /// `N` bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The same bytes for the same seed: for tests, never for secrets.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct SeededRandomness(std::sync::Mutex<rand::rngs::StdRng>);

#[cfg(test)]
impl SeededRandomness {
    pub(crate) fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(rand::SeedableRng::seed_from_u64(seed)))
    }
}

#[cfg(test)]
impl Randomness for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        rand::RngCore::fill_bytes(&mut *self.0.lock().expect("one thread"), bytes);
        Ok(())
    }
}
