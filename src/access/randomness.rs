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

impl dyn Randomness {
    /// `N` bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}
