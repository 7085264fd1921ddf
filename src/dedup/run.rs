//! An immutable run file: opening it, and finding a key in it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::bloom::{self, Bloom};
use super::manifest::{RunEntry, damaged};
use crate::error::Result;

pub(super) const MAGIC: [u8; 8] = *b"SLAKEKEY";
pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const ENTRY_BYTES: usize = 24;
pub(super) const BLOCK_ENTRIES: usize = 170;
pub(super) const BLOCK_BYTES: usize = BLOCK_ENTRIES * ENTRY_BYTES;
pub(super) const FENCE_BYTES: usize = 20;

/// A sorted run file that is open for lookups.
#[derive(Debug)]
pub struct Run {
    pub(super) entry: RunEntry,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) index: RunIndex,
}

/// What of a run stays in memory.
#[derive(Debug)]
pub(super) struct RunIndex {
    /// The first key of each block.
    pub(super) first_keys: Vec<u128>,
    pub(super) checksums: Vec<u32>,
    pub(super) bloom: Bloom,
}

impl Run {
    /// Opens the run that `entry` names. Header, length and footer are checked
    /// now, each block of entries when it is read.
    pub(super) fn open(dir: &Path, entry: RunEntry) -> Result<Self> {
        let path = dir.join(entry.file_name());
        let unreadable =
            |cause: std::io::Error| damaged(&path, "it cannot be read").caused_by(cause);
        let file = File::open(&path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0).map_err(unreadable)?;
        let (bloom_blocks, footer_checksum) =
            check_header(&header, &entry).map_err(|what| damaged(&path, &what))?;

        // The lengths are compared before anything is allocated by them.
        let blocks = entry.rows.div_ceil(BLOCK_ENTRIES as u64);
        let fences_bytes = u128::from(blocks) * FENCE_BYTES as u128;
        let footer_at = HEADER_BYTES as u128 + u128::from(entry.rows) * ENTRY_BYTES as u128;
        let footer_bytes = fences_bytes + u128::from(bloom_blocks) * bloom::BLOCK_BYTES as u128;
        if u128::from(length) != footer_at + footer_bytes {
            let what = format!("it has {length} bytes, not {}", footer_at + footer_bytes);
            return Err(damaged(&path, &what));
        }
        let mut footer = vec![0; footer_bytes as usize];
        file.read_exact_at(&mut footer, footer_at as u64).map_err(unreadable)?;
        if crc32fast::hash(&footer) != footer_checksum {
            return Err(damaged(&path, "its footer does not match its checksum"));
        }
        let (fences, bloom) = footer.split_at(fences_bytes as usize);
        let mut index = RunIndex {
            first_keys: Vec::with_capacity(blocks as usize),
            checksums: Vec::with_capacity(blocks as usize),
            bloom: Bloom::read(bloom),
        };
        for fence in fences.as_chunks::<FENCE_BYTES>().0 {
            index.first_keys.push(u128::from_le_bytes(array_at(fence, 0)));
            index.checksums.push(u32::from_le_bytes(array_at(fence, 16)));
        }
        Ok(Self { entry, path, file, index })
    }

    /// The fingerprint recorded with `key`. Reads one block where the filter
    /// does not rule the key out; allocates nothing.
    pub(super) fn find(&self, key: u128) -> Result<Option<u64>> {
        if !self.index.bloom.may_contain(key) {
            return Ok(None);
        }
        let after = self.index.first_keys.partition_point(|&first| first <= key);
        let Some(block) = after.checked_sub(1) else { return Ok(None) };
        let mut buffer = [0; BLOCK_BYTES];
        let entries = self.read_block(block, &mut buffer)?;
        let found = entries.binary_search_by_key(&key, entry_key).ok();
        Ok(found.map(|at| entry_fingerprint(&entries[at])))
    }

    /// Reads the entries of `block` into `buffer` and checks them.
    pub(super) fn read_block<'a>(
        &self,
        block: usize,
        buffer: &'a mut [u8; BLOCK_BYTES],
    ) -> Result<&'a [[u8; ENTRY_BYTES]]> {
        let first_entry = block as u64 * BLOCK_ENTRIES as u64;
        let count = self.entry.rows.saturating_sub(first_entry).min(BLOCK_ENTRIES as u64);
        let bytes = &mut buffer[..count as usize * ENTRY_BYTES];
        let offset = HEADER_BYTES as u64 + first_entry * ENTRY_BYTES as u64;
        self.file
            .read_exact_at(bytes, offset)
            .map_err(|cause| damaged(&self.path, "it cannot be read").caused_by(cause))?;
        if self.index.checksums.get(block) != Some(&crc32fast::hash(bytes)) {
            let what = format!("the entries at offset {offset} do not match their checksum");
            return Err(damaged(&self.path, &what));
        }
        Ok(bytes.as_chunks().0)
    }

    pub(super) fn block_count(&self) -> usize {
        self.index.first_keys.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.index.bloom.memory_bytes()
            + self.index.first_keys.capacity() * size_of::<u128>()
            + self.index.checksums.capacity() * size_of::<u32>()
    }
}

/// The header of a run, complete with its checksum.
pub(super) fn encode_header(
    entry: &RunEntry,
    bloom_blocks: u64,
    footer_checksum: u32,
) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(BLOCK_ENTRIES as u32).to_le_bytes());
    header[16..24].copy_from_slice(&entry.rows.to_le_bytes());
    header[24..28].copy_from_slice(&entry.day_min.to_le_bytes());
    header[28..32].copy_from_slice(&entry.day_max.to_le_bytes());
    header[32..40].copy_from_slice(&bloom_blocks.to_le_bytes());
    header[40..44].copy_from_slice(&footer_checksum.to_le_bytes());
    let checksum = crc32fast::hash(&header[..60]);
    header[60..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Checks a header against the manifest's `entry`; returns the number of
/// filter blocks and the footer's checksum, or says what is wrong.
fn check_header(header: &[u8; HEADER_BYTES], entry: &RunEntry) -> Result<(u64, u32), String> {
    if !header.starts_with(&MAGIC) {
        return Err("it does not start with SLAKEKEY".to_owned());
    }
    let version = u32::from_le_bytes(array_at(header, 8));
    if version != FORMAT_VERSION {
        return Err(format!(
            "it has format version {version}, and this build reads version {FORMAT_VERSION}"
        ));
    }
    let bloom_blocks = u64::from_le_bytes(array_at(header, 32));
    let footer_checksum = u32::from_le_bytes(array_at(header, 40));
    if *header != encode_header(entry, bloom_blocks, footer_checksum) {
        return Err("its header does not match its checksum or the manifest".to_owned());
    }
    Ok((bloom_blocks, footer_checksum))
}

pub(super) fn entry_key(entry: &[u8; ENTRY_BYTES]) -> u128 {
    u128::from_le_bytes(array_at(entry, 0))
}

pub(super) fn entry_fingerprint(entry: &[u8; ENTRY_BYTES]) -> u64 {
    u64::from_le_bytes(array_at(entry, 16))
}

/// The `N` bytes of `bytes` at `at`; only for ranges within a fixed layout.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
