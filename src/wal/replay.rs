//! Reading the segments back: what is replayed, cut off or refused.

use bytes::Bytes;

use super::format::{
    self, FORMAT_VERSION, HeaderCheck, SEGMENT_HEADER_BYTES, check_frame, decode_records,
    find_frame,
};
use super::log::ClosedSegment;
use super::{Frame, WalFile, WalStorage};
use crate::error::{Context, Error, ErrorKind, Result};

/// Receives the frames of a replay.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Frame) -> Result<()>;

/// What a replay found.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) segments: Vec<ClosedSegment>,
    /// The last sequence number given out, as far as the files show.
    pub(super) sequence_last: u64,
}

/// Replays every frame in order, one segment in memory at a time, and leaves
/// the files so that all that was replayed is durable.
///
/// `sequence_flushed`: frames up to it are kept elsewhere, so segments that
/// are missing below it are no loss.
pub(super) fn replay(
    storage: &dyn WalStorage,
    epoch: u64,
    sequence_flushed: u64,
    visit: Visit<'_>,
) -> Result<Replayed> {
    let names = storage.list().context(ErrorKind::Unavailable, "the log cannot be listed")?;
    let mut firsts: Vec<u64> =
        names.iter().filter_map(|name| format::parse_segment_name(name)).collect();
    firsts.sort_unstable();
    let mut found = Replayed { segments: Vec::new(), sequence_last: 0 };
    for (index, &first) in firsts.iter().enumerate() {
        let is_last = index + 1 == firsts.len();
        let name = format::segment_name(first);
        let place = storage.describe(&name);
        let unreadable = || format!("the log segment {place} cannot be read; nothing was changed");
        let mut file = storage.open(&name).context(ErrorKind::Unavailable, unreadable())?;
        let bytes = file.read_all().context(ErrorKind::Unavailable, unreadable())?;
        let segment = Segment { place: &place, first, is_last, bytes: Bytes::from(bytes) };

        if !segment.check_header(epoch)? {
            remove_unused(storage, &name, &place)?;
            continue;
        }
        segment.check_order(&found, sequence_flushed)?;
        let end = segment.visit_frames(visit)?;
        found.sequence_last = end.sequence_last;
        if end.sequence_last < first {
            if !is_last {
                return Err(segment.damaged(SEGMENT_HEADER_BYTES, "a frame, since segments follow"));
            }
            // The name would be in the way of the next append.
            remove_unused(storage, &name, &place)?;
            continue;
        }
        if is_last {
            settle_last(file.as_mut(), &segment, end.bytes)?;
        }
        found.segments.push(ClosedSegment {
            sequence_first: first,
            sequence_last: end.sequence_last,
            bytes: end.bytes as u64,
        });
    }
    Ok(found)
}

/// A segment as it was read.
struct Segment<'a> {
    place: &'a str,
    first: u64,
    is_last: bool,
    bytes: Bytes,
}

/// Where the good frames of a segment end.
struct SegmentEnd {
    /// One less than the segment's first when it holds no frame.
    sequence_last: u64,
    bytes: usize,
}

impl Segment<'_> {
    /// True when the header is good, false when a crash interrupted the
    /// segment's creation: frames are written only after the header is synced,
    /// so a file without a good header and without more bytes held none.
    fn check_header(&self, epoch_now: u64) -> Result<bool> {
        match format::check_header(&self.bytes) {
            HeaderCheck::Valid { sequence_first, .. }
                if sequence_first != self.first || sequence_first == 0 =>
            {
                let expected =
                    format!("the first sequence {} of its name, not {sequence_first}", self.first);
                Err(self.damaged(20, &expected))
            }
            HeaderCheck::Valid { epoch, .. } => {
                if epoch > epoch_now {
                    tracing::warn!(
                        segment = self.place,
                        epoch,
                        epoch_now,
                        "the log was written by a later opening of this data directory"
                    );
                }
                Ok(true)
            }
            HeaderCheck::UnknownVersion(version) => Err(Error::unavailable(format!(
                "the log segment {} has format version {version}; this build reads version \
                 {FORMAT_VERSION}; start the build that wrote it and let it flush, or restore the \
                 file from a backup if it is damaged; nothing was changed",
                self.place
            ))),
            HeaderCheck::Damaged(_) if self.is_last && self.bytes.len() <= SEGMENT_HEADER_BYTES => {
                Ok(false)
            }
            HeaderCheck::Damaged(reason) => {
                Err(self.damaged(0, &format!("a segment header, but {reason}")))
            }
        }
    }

    /// The segment must start where the one before ended.
    fn check_order(&self, before: &Replayed, sequence_flushed: u64) -> Result<()> {
        let expected = before.sequence_last.saturating_add(1);
        let is_first = before.segments.is_empty();
        let is_flushed_gap = self.first > expected && self.first - 1 <= sequence_flushed;
        if is_first || self.first == expected || is_flushed_gap {
            return Ok(());
        }
        let message =
            format!("sequence {expected}, which follows the segment before; it is missing");
        Err(self.damaged(20, &message))
    }

    fn visit_frames(&self, visit: Visit<'_>) -> Result<SegmentEnd> {
        let mut end = SegmentEnd { sequence_last: self.first - 1, bytes: SEGMENT_HEADER_BYTES };
        while end.bytes < self.bytes.len() {
            let expected = end.sequence_last.saturating_add(1);
            let span = match check_frame(&self.bytes, end.bytes) {
                Ok(span) => span,
                Err(reason) => {
                    self.check_torn(end.bytes, expected, reason)?;
                    break;
                }
            };
            if span.sequence != expected {
                let message = format!("sequence {expected}, not {}", span.sequence);
                return Err(self.damaged(end.bytes, &message));
            }
            let Some(records) = decode_records(&self.bytes, &span) else {
                let message = format!("{} records within the frame's body", span.record_count);
                return Err(self.damaged(end.bytes, &message));
            };
            visit(Frame { sequence: expected, records })?;
            end = SegmentEnd { sequence_last: expected, bytes: span.body.end };
        }
        Ok(end)
    }

    /// A bad frame is a torn write only where the log ends with it.
    fn check_torn(&self, offset: usize, expected: u64, reason: &'static str) -> Result<()> {
        let what = format!("frame {expected}, but {reason}");
        if !self.is_last {
            return Err(self.damaged(offset, &format!("{what}, and segments follow")));
        }
        if let Some(next) = find_frame(&self.bytes, offset + 1, expected) {
            let message = format!("{what}, and a good frame follows at offset {next}");
            return Err(self.damaged(offset, &message));
        }
        tracing::warn!(
            segment = self.place,
            offset,
            bytes = self.bytes.len() - offset,
            reason,
            "a frame that was never acknowledged is cut off the end of the log"
        );
        Ok(())
    }

    fn damaged(&self, offset: usize, expected: &str) -> Error {
        Error::unavailable(format!(
            "the log segment {} is damaged at offset {offset}: expected {expected}; \
             acknowledged events may be in it, so the server does not start; restore the file from \
             a backup or the disk; nothing was changed",
            self.place
        ))
    }
}

fn remove_unused(storage: &dyn WalStorage, name: &str, place: &str) -> Result<()> {
    tracing::warn!(segment = place, "a log segment without a frame is removed");
    storage
        .remove(name)
        .and_then(|()| storage.sync_directory())
        .context(ErrorKind::Unavailable, format!("the unused log segment {place} stays"))
}

/// Cuts the last segment behind its last good frame and makes the rest durable.
///
/// After an fsync that failed, the page cache may hold a frame that the disk
/// does not, marked clean, so that a plain fsync would skip it. A resent event
/// of that frame would be answered as a duplicate and then lost. Writing the
/// same bytes again makes the kernel write them.
fn settle_last(file: &mut dyn WalFile, segment: &Segment<'_>, good_bytes: usize) -> Result<()> {
    let good = segment.bytes.get(..good_bytes).unwrap_or_default();
    file.truncate(good_bytes as u64)
        .and_then(|()| file.overwrite(good))
        .and_then(|()| file.sync())
        .context(
            ErrorKind::Unavailable,
            format!("the last log segment {} cannot be made durable", segment.place),
        )
}
