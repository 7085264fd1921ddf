//! Writing a run file from entries that come by ascending key.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::bloom::Bloom;
use super::files;
use super::manifest::{RunEntry, run_file_name};
use super::run::{
    BLOCK_BYTES, ENTRY_BYTES, FENCE_BYTES, HEADER_BYTES, Run, RunIndex, encode_header,
};
use crate::error::{Context, ErrorKind, Result};

const BUFFER_BYTES: usize = 1 << 18;

/// Writes the entries as run `number` of `dir`, durably. `rows_max` sizes the
/// filter.
///
/// Errors: `Unavailable` when the disk is full or failing, or with the kind
/// and message of an entry that is an error.
pub(super) fn write_entries(
    dir: &Path,
    number: u64,
    days: (i32, i32),
    rows_max: u64,
    entries: impl Iterator<Item = Result<(u128, u64)>>,
) -> Result<Run> {
    let name = run_file_name(number);
    let mut entry_error = None;
    let written = files::write_whole(dir, &name, |file| {
        let mut writer = RunWriter::new(file, rows_max)?;
        for entry in entries {
            match entry {
                Ok((key, fingerprint)) => writer.push(key, fingerprint)?,
                Err(error) => {
                    entry_error = Some(error);
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        writer.finish(number, days)
    });
    if let Some(error) = entry_error {
        return Err(error);
    }
    let path = dir.join(&name);
    let (file, (entry, index)) = written.context(
        ErrorKind::Unavailable,
        format!("the key run {} cannot be written; check the disk", path.display()),
    )?;
    Ok(Run { entry, path, file, index })
}

struct RunWriter<'a> {
    out: BufWriter<&'a mut File>,
    block: Vec<u8>,
    rows: u64,
    index: RunIndex,
}

impl<'a> RunWriter<'a> {
    fn new(file: &'a mut File, rows_max: u64) -> io::Result<Self> {
        // The header is written last, when the counts are known.
        file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        Ok(Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            block: Vec::with_capacity(BLOCK_BYTES),
            rows: 0,
            index: RunIndex {
                first_keys: Vec::new(),
                checksums: Vec::new(),
                bloom: Bloom::for_keys(rows_max),
            },
        })
    }

    fn push(&mut self, key: u128, fingerprint: u64) -> io::Result<()> {
        if self.block.is_empty() {
            self.index.first_keys.push(key);
        }
        self.block.extend_from_slice(&key.to_le_bytes());
        self.block.extend_from_slice(&fingerprint.to_le_bytes());
        self.index.bloom.insert(key);
        self.rows += 1;
        if self.block.len() == BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        debug_assert_eq!(self.block.len() % ENTRY_BYTES, 0);
        self.out.write_all(&self.block)?;
        self.index.checksums.push(crc32fast::hash(&self.block));
        self.block.clear();
        Ok(())
    }

    fn finish(mut self, number: u64, days: (i32, i32)) -> io::Result<(RunEntry, RunIndex)> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut index = self.index;
        index.first_keys.shrink_to_fit();
        index.checksums.shrink_to_fit();
        let mut footer =
            Vec::with_capacity(index.first_keys.len() * FENCE_BYTES + index.bloom.memory_bytes());
        for (first_key, checksum) in index.first_keys.iter().zip(&index.checksums) {
            footer.extend_from_slice(&first_key.to_le_bytes());
            footer.extend_from_slice(&checksum.to_le_bytes());
        }
        index.bloom.write(&mut footer);
        self.out.write_all(&footer)?;
        self.out.flush()?;
        let entry = RunEntry { number, rows: self.rows, day_min: days.0, day_max: days.1 };
        let header = encode_header(&entry, index.bloom.block_count(), crc32fast::hash(&footer));
        self.out.get_ref().write_all_at(&header, 0)?;
        Ok((entry, index))
    }
}
