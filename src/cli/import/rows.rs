//! Rows of a file as chunks of events.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::FileFormat;
use super::csv_rows::CsvRows;
use super::mapping::Mapping;
use super::ndjson_rows::NdjsonRows;
use super::parquet_rows::ParquetRows;
use crate::cli::feed::Chunk;
use crate::error::{Context, Error, ErrorKind, Result};

/// A request carries at most so many rows, or bytes, whichever comes first.
const CHUNK_ROWS_MAX: usize = 5_000;
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Buffer for reading, bytes.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// What a row turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A line was appended.
    Event,
    /// Nothing stood there.
    Blank,
    /// It cannot be an event, for this reason.
    Unreadable(String),
    /// The file is at its end.
    End,
}

/// Reads one row after the other.
pub(super) trait Rows: Send {
    /// Appends the next row's JSON line to `output`.
    fn next(&mut self, output: &mut Vec<u8>) -> Result<Row>;

    /// Passes over the first `count` rows.
    fn skip(&mut self, count: u64) -> Result<()> {
        let mut discarded = Vec::new();
        for _ in 0..count {
            discarded.clear();
            if self.next(&mut discarded)? == Row::End {
                break;
            }
        }
        Ok(())
    }

    /// How many rows there are, where the file says so.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// The chunks of one file.
pub(super) struct Chunks {
    rows: Box<dyn Rows>,
    /// Rows read so far.
    position: u64,
    ended: bool,
}

impl Chunks {
    /// Opens `path` after its first `rows_done` rows.
    pub(super) fn open(
        path: &Path,
        format: FileFormat,
        mapping: &Mapping,
        rows_done: u64,
    ) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rows: Box<dyn Rows> = match format {
            FileFormat::Ndjson if !mapping.is_empty() => {
                return Err(Error::invalid(format!(
                    "--map, --set and --organization are for CSV, Parquet and claude-code; the \
                     lines of {name} are events already"
                )));
            }
            FileFormat::Ndjson => Box::new(NdjsonRows::new(open_text(path)?)),
            FileFormat::Csv => Box::new(CsvRows::new(open_text(path)?, mapping, &name)?),
            FileFormat::OpenaiUsage
            | FileFormat::OpenaiCosts
            | FileFormat::AnthropicUsage
            | FileFormat::AnthropicCosts => {
                return Err(Error::internal(format!("{name} is a report and has no events")));
            }
            FileFormat::Parquet => Box::new(ParquetRows::open(open(path)?, mapping, &name)?),
            FileFormat::ClaudeCode => {
                return Err(Error::internal("transcripts are read all together"));
            }
        };
        Self::of(rows, rows_done)
    }

    /// The chunks of `rows` after the first `rows_done`.
    pub(super) fn of(mut rows: Box<dyn Rows>, rows_done: u64) -> Result<Self> {
        rows.skip(rows_done)?;
        Ok(Self { rows, position: rows_done, ended: false })
    }

    pub(super) fn total_rows(&self) -> Option<u64> {
        self.rows.total()
    }

    fn read(&mut self) -> Result<Option<Chunk>> {
        let mut chunk = Chunk::default();
        while !self.ended && chunk.rows.len() < CHUNK_ROWS_MAX && chunk.body.len() < CHUNK_BYTES_MAX
        {
            match self.rows.next(&mut chunk.body)? {
                Row::End => {
                    self.ended = true;
                    break;
                }
                Row::Event => chunk.rows.push(self.position + 1),
                Row::Unreadable(reason) => chunk.unreadable.push((self.position + 1, reason)),
                Row::Blank => {}
            }
            self.position += 1;
        }
        chunk.position = self.position;
        let empty = chunk.rows.is_empty() && chunk.unreadable.is_empty();
        Ok((!empty).then_some(chunk))
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn open(path: &Path) -> Result<File> {
    let doing = format!("cannot open {}; check the name", path.display());
    File::open(path).context(ErrorKind::NotFound, doing)
}

/// A text file, unpacked where its name ends in .gz or .zst.
pub(super) fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = open(path)?;
    let reader: Box<dyn Read + Send> = match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Some("zst") => {
            let doing = format!("{} is no zstd file", path.display());
            Box::new(zstd::stream::read::Decoder::new(file).context(ErrorKind::Invalid, doing)?)
        }
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, reader)))
}
