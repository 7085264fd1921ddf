//! A blocked Bloom filter: one cache line a lookup.

const WORDS: usize = 8;
pub(super) const BLOCK_BYTES: usize = WORDS * 8;
const BLOCK_BITS: u64 = 512;
const BITS_PER_KEY: u64 = 10;
const PROBES: u32 = 6;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Block([u64; WORDS]);

/// A set that may say yes wrongly (about 1.5 % of the time when full), never
/// no.
#[derive(Debug)]
pub(super) struct Bloom {
    blocks: Vec<Block>,
}

impl Bloom {
    /// An empty filter, sized for `keys` keys.
    pub(super) fn for_keys(keys: u64) -> Self {
        let blocks = keys.saturating_mul(BITS_PER_KEY).div_ceil(BLOCK_BITS).max(1);
        Self { blocks: vec![Block([0; WORDS]); blocks as usize] }
    }

    /// The filter whose [`write`](Self::write) gave `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
        let block = |bytes: &[u8; BLOCK_BYTES]| {
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            Block(words)
        };
        Self { blocks: blocks.iter().map(block).collect() }
    }

    /// Appends the filter's bytes to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for word in self.blocks.iter().flat_map(|block| block.0) {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    pub(super) fn insert(&mut self, key: u128) {
        let index = self.block_index(key);
        if let Some(block) = self.blocks.get_mut(index) {
            for (word, mask) in probes(key) {
                block.0[word] |= mask;
            }
        }
    }

    pub(super) fn may_contain(&self, key: u128) -> bool {
        self.blocks
            .get(self.block_index(key))
            .is_some_and(|block| probes(key).all(|(word, mask)| block.0[word] & mask != 0))
    }

    pub(super) fn block_count(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * BLOCK_BYTES
    }

    fn block_index(&self, key: u128) -> usize {
        let low = u128::from(key as u64);
        ((low * self.blocks.len() as u128) >> 64) as usize
    }
}

/// The words and bits that `key` sets: nine bits of its upper half for each.
fn probes(key: u128) -> impl Iterator<Item = (usize, u64)> {
    let high = (key >> 64) as u64;
    (0..PROBES).map(move |probe| {
        let bit = (high >> (9 * probe)) & (BLOCK_BITS - 1);
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}
