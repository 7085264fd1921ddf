//! Segment headers and frames as bytes; pure, and safe on any bytes.

use std::ops::Range;

use bytes::Bytes;

use super::Record;
use crate::error::{Error, ErrorKind, Result};

const SEGMENT_MAGIC: [u8; 8] = *b"SLAKEWAL";
pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
const FRAME_MARKER: [u8; 4] = [0xF5, b'S', b'F', 0xFA];
pub(super) const FRAME_HEADER_BYTES: usize = 24;
const FRAME_CHECKSUM_AT: usize = 20;
const RECORD_HEADER_BYTES: usize = 5;

/// The longest body of one frame, bytes.
pub const FRAME_BODY_BYTES_MAX: usize = 1 << 30;

const SEGMENT_SUFFIX: &str = ".wal";
const SEGMENT_DIGITS: usize = 20;

/// The file name of the segment that starts with `sequence`.
pub(super) fn segment_name(sequence: u64) -> String {
    format!("{sequence:020}{SEGMENT_SUFFIX}")
}

/// The first sequence number in a segment's file name; None for other files.
pub(super) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_number = digits.len() == SEGMENT_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// What the first bytes of a segment turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderCheck {
    Valid { epoch: u64, sequence_first: u64 },
    UnknownVersion(u32),
    Damaged(&'static str),
}

pub(super) fn encode_header(epoch: u64, sequence_first: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    header.extend_from_slice(&SEGMENT_MAGIC);
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&epoch.to_le_bytes());
    header.extend_from_slice(&sequence_first.to_le_bytes());
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header
}

/// Reads a segment's header. The version is looked at before the checksum,
/// since another version may keep its checksum elsewhere.
pub(super) fn check_header(segment: &[u8]) -> HeaderCheck {
    let fields = (|| {
        segment.get(..SEGMENT_HEADER_BYTES)?;
        let version = u32_at(segment, 8)?;
        Some((version, u64_at(segment, 12)?, u64_at(segment, 20)?, u32_at(segment, 28)?))
    })();
    let Some((version, epoch, sequence_first, checksum)) = fields else {
        return HeaderCheck::Damaged("the file ends within its 32-byte header");
    };
    if !segment.starts_with(&SEGMENT_MAGIC) {
        return HeaderCheck::Damaged("the file does not start with SLAKEWAL");
    }
    // No format has version 0: its bytes were never written.
    if version == 0 {
        return HeaderCheck::Damaged("its format version is 0");
    }
    if version != FORMAT_VERSION {
        return HeaderCheck::UnknownVersion(version);
    }
    if crc32fast::hash(&segment[..SEGMENT_HEADER_BYTES - 4]) != checksum {
        return HeaderCheck::Damaged("the header does not match its checksum");
    }
    HeaderCheck::Valid { epoch, sequence_first }
}

/// Encodes one frame; refuses one that is too long to be read back.
pub(super) fn encode_frame(sequence: u64, records: &[Record]) -> Result<Vec<u8>> {
    let body_bytes: usize =
        records.iter().map(|record| RECORD_HEADER_BYTES + record.payload.len()).sum();
    if body_bytes > FRAME_BODY_BYTES_MAX {
        let message = format!(
            "{body_bytes} bytes were handed to the log at once; it takes at most \
             {FRAME_BODY_BYTES_MAX}; send smaller requests"
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + body_bytes);
    frame.extend_from_slice(&FRAME_MARKER);
    // Both fit: the body was measured above, and each record takes 5 bytes of it.
    frame.extend_from_slice(&(body_bytes as u32).to_le_bytes());
    frame.extend_from_slice(&sequence.to_le_bytes());
    frame.extend_from_slice(&(records.len() as u32).to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    for record in records {
        frame.push(record.kind);
        frame.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(&record.payload);
    }
    let checksum = frame_checksum(&frame).to_le_bytes();
    frame[FRAME_CHECKSUM_AT..FRAME_HEADER_BYTES].copy_from_slice(&checksum);
    Ok(frame)
}

/// Where a frame with a matching checksum lies in its segment.
#[derive(Debug)]
pub(super) struct FrameSpan {
    pub(super) sequence: u64,
    pub(super) record_count: u32,
    pub(super) body: Range<usize>,
}

/// Checks the frame at `offset`: marker, length and checksum. The error says
/// what is wrong. Allocates nothing, whatever the length field says.
pub(super) fn check_frame(segment: &[u8], offset: usize) -> Result<FrameSpan, &'static str> {
    let (span, checksum) = frame_span(segment, offset)?;
    if frame_checksum(&segment[offset..span.body.end]) == checksum {
        Ok(span)
    } else {
        Err("the frame does not match its checksum")
    }
}

/// Reads the frame header at `offset` with its checksum, which is not compared.
fn frame_span(segment: &[u8], offset: usize) -> Result<(FrameSpan, u32), &'static str> {
    let rest = segment.get(offset..).unwrap_or_default();
    let fields =
        (|| Some((u32_at(rest, 4)?, u64_at(rest, 8)?, u32_at(rest, 16)?, u32_at(rest, 20)?)))();
    let Some((body_bytes, sequence, record_count, checksum)) = fields else {
        return Err("the file ends within a frame's 24-byte header");
    };
    if !rest.starts_with(&FRAME_MARKER) {
        return Err("there is no frame marker");
    }
    let body_bytes = body_bytes as usize;
    if body_bytes > rest.len() - FRAME_HEADER_BYTES {
        return Err("the frame's length runs past the end of the file");
    }
    let start = offset + FRAME_HEADER_BYTES;
    Ok((FrameSpan { sequence, record_count, body: start..start + body_bytes }, checksum))
}

fn frame_checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..FRAME_CHECKSUM_AT]);
    hasher.update(&frame[FRAME_HEADER_BYTES..]);
    hasher.finalize()
}

/// Splits a frame's body into its records, sharing the segment's memory; None
/// when the body does not hold exactly that many.
pub(super) fn decode_records(segment: &Bytes, span: &FrameSpan) -> Option<Vec<Record>> {
    let count = span.record_count as usize;
    if count > span.body.len() / RECORD_HEADER_BYTES {
        return None;
    }
    let body = segment.slice(span.body.clone());
    let mut records = Vec::with_capacity(count);
    let mut offset = 0;
    for _ in 0..count {
        let kind = *body.get(offset)?;
        let start = offset + RECORD_HEADER_BYTES;
        let end = start.checked_add(u32_at(&body, offset + 1)? as usize)?;
        body.get(start..end)?;
        records.push(Record { kind, payload: body.slice(start..end) });
        offset = end;
    }
    (offset == body.len()).then_some(records)
}

/// The offset of a good frame at or behind `from`, where the frame
/// `sequence_expected` should have been.
///
/// Only candidates whose numbers could be true have their checksum computed,
/// so the search stays linear in practice.
pub(super) fn find_frame(segment: &[u8], from: usize, sequence_expected: u64) -> Option<usize> {
    let mut offset = from;
    loop {
        let rest = segment.get(offset..)?;
        offset += rest.windows(FRAME_MARKER.len()).position(|bytes| bytes == FRAME_MARKER)?;
        let frames_max = (segment.len() - from) / FRAME_HEADER_BYTES;
        let sequence_max = sequence_expected.saturating_add(frames_max as u64);
        if let Ok((span, _)) = frame_span(segment, offset)
            && (sequence_expected..=sequence_max).contains(&span.sequence)
            && span.record_count as usize <= span.body.len() / RECORD_HEADER_BYTES
            && check_frame(segment, offset).is_ok()
        {
            return Some(offset);
        }
        offset += 1;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
