//! Claude Code transcripts: one row a call, however many lines tell of it.
//!
//! A streamed message is written line by line, and a resumed session repeats
//! lines of an older one in its own file. So all files are read once to find
//! the line that tells each call best, and a second time to send those lines.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use xxhash_rust::xxh3::xxh3_128;

use super::mapping::{FieldName, Mapping};
use super::rows::{Row, Rows, open_text};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::ingest::TranscriptCall;

/// Longest line that is kept in memory, bytes. Lines hold whole files.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A message this young may still be written: it waits for the next import.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(10);

/// The field that a transcript cannot know.
const ORGANIZATION: &str = "organization_id";

/// The transcripts of one run, in order, and the line that tells each call.
#[derive(Debug, Default)]
pub(super) struct Transcripts {
    files: Vec<PathBuf>,
    /// Hash of a call's id → the line that tells it best.
    best: HashMap<u128, Telling>,
    /// For each file the line of its last message, where that is too young.
    unsettled: HashMap<PathBuf, u64>,
}

/// Where a call is told. Of several tellings, the one with most output counts;
/// of equal ones the first, whose time is nearest to the call.
#[derive(Debug, Clone, Copy)]
struct Telling {
    output_tokens: i64,
    file: usize,
    line: u64,
}

impl Transcripts {
    /// Reads every transcript of `paths`: files, or folders of them.
    pub(super) fn scan(paths: &[PathBuf], mapping: &Mapping, now: DateTime<Utc>) -> Result<Self> {
        let named = FieldName::Field(ORGANIZATION);
        if !mapping.constants().any(|(field, _)| *field == named) {
            return Err(Error::invalid(
                "a transcript does not say whose it is; name the organization with \
                 --organization ID",
            ));
        }
        let mut scanned = Self { files: transcript_files(paths)?, ..Self::default() };
        for file in 0..scanned.files.len() {
            scanned.scan_file(file, now)?;
        }
        Ok(scanned)
    }

    /// The files, the oldest first.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether the end of `path` waits for the next import.
    pub(super) fn is_unsettled(&self, path: &Path) -> bool {
        self.unsettled.contains_key(path)
    }

    fn scan_file(&mut self, file: usize, now: DateTime<Utc>) -> Result<()> {
        let path = self.files[file].clone();
        let mut lines = Lines::open(&path)?;
        let mut last = None;
        while let Some(text) = lines.next()? {
            let Text::Whole(text) = text else { continue };
            // The second reading reports what cannot be read.
            let Ok(Some(call)) = TranscriptCall::read(text) else { continue };
            let key = xxh3_128(call.event_id.as_bytes());
            let line = lines.line;
            let told = Telling { output_tokens: call.output_tokens, file, line };
            let best = self.best.entry(key).or_insert(told);
            if told.output_tokens > best.output_tokens {
                *best = told;
            }
            last = Some((key, call.time));
        }
        if let Some((key, Some(time))) = last
            && time > now - SETTLED_AFTER
            && let Some(best) = self.best.get(&key).filter(|best| best.file == file)
        {
            self.unsettled.insert(path, best.line);
        }
        Ok(())
    }

    /// The rows of one of the files.
    pub(super) fn rows(self: &Arc<Self>, path: &Path, mapping: &Mapping) -> Result<Box<dyn Rows>> {
        let file = self.files.iter().position(|one| one == path);
        let file = file.ok_or_else(|| Error::internal("a transcript that was not scanned"))?;
        let end = self.unsettled.get(path).copied().unwrap_or(u64::MAX);
        let (transcripts, mapping) = (Arc::clone(self), mapping.clone());
        Ok(Box::new(TranscriptRows { lines: Lines::open(path)?, transcripts, mapping, file, end }))
    }
}

/// The calls of one file.
struct TranscriptRows {
    lines: Lines,
    transcripts: Arc<Transcripts>,
    mapping: Mapping,
    file: usize,
    /// The line at which this run ends.
    end: u64,
}

impl Rows for TranscriptRows {
    fn next(&mut self, output: &mut Vec<u8>) -> Result<Row> {
        if self.lines.line + 1 >= self.end {
            return Ok(Row::End);
        }
        let text = match self.lines.next()? {
            None => return Ok(Row::End),
            Some(Text::TooLong) => {
                return Ok(Row::Unreadable(format!("is longer than {LINE_BYTES_MAX} bytes")));
            }
            Some(Text::Whole(text)) => text,
        };
        let mut call = match TranscriptCall::read(text) {
            Ok(Some(call)) => call,
            Ok(None) => return Ok(Row::Blank),
            Err(rejection) => return Ok(Row::Unreadable(rejection.message())),
        };
        let best = self.transcripts.best.get(&xxh3_128(call.event_id.as_bytes()));
        if best.is_none_or(|best| (best.file, best.line) != (self.file, self.lines.line)) {
            return Ok(Row::Blank);
        }
        for (field, value) in self.mapping.constants() {
            match field {
                FieldName::Field(name) => call.set_default(name, value),
                FieldName::Tag(name) => call.add_tag(name, value),
            }
        }
        output.extend_from_slice(call.to_json().as_bytes());
        output.push(b'\n');
        Ok(Row::Event)
    }
}

/// A line of a file.
enum Text<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// The lines of a file, with bounded memory.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// The line that was read last, from 1.
    line: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let reader = open_text(path)?;
        Ok(Self { reader, path: path.to_owned(), buffer: Vec::new(), line: 0 })
    }

    fn next(&mut self) -> Result<Option<Text<'_>>> {
        self.buffer.clear();
        self.line += 1;
        let mut read_any = false;
        loop {
            let doing = || format!("reading line {} of {}", self.line, self.path.display());
            let available = self.reader.fill_buf().context(ErrorKind::Invalid, doing())?;
            if available.is_empty() {
                break;
            }
            read_any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = &available[..end.unwrap_or(available.len())];
            if self.buffer.len() <= LINE_BYTES_MAX {
                self.buffer.extend_from_slice(taken);
            }
            let consumed = taken.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            if end.is_some() {
                break;
            }
        }
        let too_long = self.buffer.len() > LINE_BYTES_MAX;
        Ok(match (read_any, too_long) {
            (false, _) => None,
            (true, true) => Some(Text::TooLong),
            (true, false) => Some(Text::Whole(self.buffer.trim_ascii())),
        })
    }
}

/// Every `*.jsonl` below `paths`, the one that changed longest ago first: of
/// two files that tell the same call, the older one is the session it was
/// made in.
fn transcript_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let shown = path.display();
        let meta = path.metadata();
        let meta =
            meta.context(ErrorKind::NotFound, format!("cannot open {shown}; check the name"))?;
        if meta.is_dir() {
            find_below(path, &mut found)?;
        } else {
            found.push((meta.modified().ok(), path.clone()));
        }
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::not_found(format!("no *.jsonl below {}", shown.join(", "))));
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn find_below(
    folder: &Path,
    found: &mut Vec<(Option<std::time::SystemTime>, PathBuf)>,
) -> Result<()> {
    let doing = || format!("reading the folder {}", folder.display());
    for entry in folder.read_dir().context(ErrorKind::NotFound, doing())? {
        let entry = entry.context(ErrorKind::Unavailable, doing())?;
        // Not followed: a link could lead around in a circle.
        let kind = entry.file_type().context(ErrorKind::Unavailable, doing())?;
        let path = entry.path();
        if kind.is_dir() {
            find_below(&path, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "jsonl") {
            let modified = entry.metadata().ok().and_then(|meta| meta.modified().ok());
            found.push((modified, path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
