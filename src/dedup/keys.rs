//! Keys in memory: the active map, and a frozen one that waits for its run.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The two halves of a key. Not a `u128`, whose alignment would cost eight
/// bytes an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    high: u64,
    low: u64,
}

impl From<u128> for Key {
    fn from(key: u128) -> Self {
        Self { high: (key >> 64) as u64, low: key as u64 }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Hands a key's lower half through: it is a hash already.
#[derive(Debug, Default)]
struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 << 8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Keys with their fingerprints.
#[derive(Debug, Default)]
pub(super) struct KeyMap(HashMap<Key, u64, BuildHasherDefault<PassThrough>>);

impl KeyMap {
    pub(super) fn find(&self, key: u128) -> Option<u64> {
        self.0.get(&Key::from(key)).copied()
    }

    /// Keeps the first fingerprint of a key.
    pub(super) fn insert(&mut self, key: u128, fingerprint: u64) {
        self.0.entry(Key::from(key)).or_insert(fingerprint);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Memory of the table: entries and one control byte each, with the
    /// eighth of the places that stays empty.
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.capacity() * (size_of::<(Key, u64)>() + 1) * 8 / 7
    }

    /// The entries by ascending key.
    fn sorted(&self) -> Vec<(u128, u64)> {
        let whole = |key: &Key| (u128::from(key.high) << 64) | u128::from(key.low);
        let mut entries: Vec<_> = self.0.iter().map(|(key, &print)| (whole(key), print)).collect();
        entries.sort_unstable();
        entries
    }
}

/// Keys that take no more, until their run file is installed.
#[derive(Debug)]
pub struct FrozenKeys {
    /// Names the run file, so that writing it twice gives one file.
    pub(super) number: u64,
    pub(super) map: KeyMap,
}

impl FrozenKeys {
    /// How many keys it holds; at least one.
    pub fn keys(&self) -> u64 {
        self.map.len() as u64
    }

    pub(super) fn sorted(&self) -> Vec<(u128, u64)> {
        self.map.sorted()
    }
}
