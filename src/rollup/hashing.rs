//! A fast hasher for packed codes. Codes are handed out by our dictionaries,
//! so nobody outside chooses the keys; texts from outside are hashed with a
//! seed instead (see `dictionary`).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;
pub(super) type FastSet<K> = HashSet<K, BuildHasherDefault<FastHasher>>;

/// An odd number with well-mixed bits (2⁶⁴ divided by the golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiplies and folds one word at a time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FastHasher {
    state: u64,
}

impl FastHasher {
    fn mix(&mut self, word: u64) {
        let product = (self.state.rotate_left(29) ^ word).wrapping_mul(MULTIPLIER);
        self.state = product ^ (product >> 32);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        // The table takes its tag from the top bits and its place from the
        // low ones: both must depend on every bit of the key.
        self.state.wrapping_mul(MULTIPLIER).rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(last));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}
