//! The log itself: append, sync, rotate, truncate.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::format::{self, SEGMENT_HEADER_BYTES};
use super::replay::replay;
use super::{Frame, Record, WalFile, WalOptions, WalStorage};
use crate::error::{Error, Result};

/// A write-ahead log, open for appending by one owner.
#[derive(Debug)]
pub struct Wal {
    storage: Arc<dyn WalStorage>,
    options: WalOptions,
    epoch: u64,
    sequence_last: u64,
    closed: VecDeque<ClosedSegment>,
    open: Option<OpenSegment>,
    /// Why the log failed; it then takes nothing more until a restart.
    failure: Option<String>,
}

/// A segment that is complete and durable. It holds at least one frame.
#[derive(Debug)]
pub(super) struct ClosedSegment {
    pub(super) sequence_first: u64,
    pub(super) sequence_last: u64,
    pub(super) bytes: u64,
}

/// The segment that frames are appended to.
#[derive(Debug)]
struct OpenSegment {
    file: Box<dyn WalFile>,
    sequence_first: u64,
    bytes: u64,
    is_synced: bool,
}

impl OpenSegment {
    fn has_frames(&self) -> bool {
        self.bytes > SEGMENT_HEADER_BYTES as u64
    }
}

impl Wal {
    /// Replays every frame in order through `visit`, one segment in memory at
    /// a time, and is then ready to append. Needs no disk space.
    ///
    /// `epoch` counts the openings of the data directory and is stamped into
    /// each new segment. `sequence_flushed` is the last sequence that is
    /// durable elsewhere, 0 for none: new frames get higher numbers even when
    /// all segments were truncated away, and a gap between segments that lies
    /// wholly below it is accepted. The caller should check that the first
    /// visited frame is not above `sequence_flushed + 1`.
    ///
    /// Errors: `Unavailable` for damage that is not a torn tail (nothing was
    /// changed then) and for IO errors; the error of `visit` as it is.
    pub fn open(
        storage: Arc<dyn WalStorage>,
        options: WalOptions,
        epoch: u64,
        sequence_flushed: u64,
        visit: &mut dyn FnMut(Frame) -> Result<()>,
    ) -> Result<Self> {
        let replayed = replay(storage.as_ref(), epoch, sequence_flushed, visit)?;
        Ok(Self {
            storage,
            options,
            epoch,
            sequence_last: replayed.sequence_last.max(sequence_flushed),
            closed: replayed.segments.into(),
            open: None,
            failure: None,
        })
    }

    /// Writes `records` as one frame and returns its sequence number. The
    /// frame is **not durable** until [`sync`](Self::sync) returned.
    ///
    /// Sync after each frame: of several unsynced ones a power cut may tear
    /// the first and keep the second, which the next start takes for damage.
    ///
    /// Errors: `LimitExceeded` for more than
    /// [`FRAME_BODY_BYTES_MAX`](super::FRAME_BODY_BYTES_MAX); `Unavailable`
    /// when the disk is full or failing. Nothing of the frame is then stored,
    /// and unless [`is_failed`](Self::is_failed) a later append may succeed.
    pub fn append(&mut self, records: &[Record]) -> Result<u64> {
        self.check_usable()?;
        let sequence = self
            .sequence_last
            .checked_add(1)
            .ok_or_else(|| Error::internal("the log's sequence numbers are used up"))?;
        let frame = format::encode_frame(sequence, records)?;
        self.rotate_before(frame.len() as u64)?;
        if self.open.is_none() {
            self.open = Some(self.create_segment(sequence)?);
        }
        let Some(open) = self.open.as_mut() else {
            return Err(Error::internal("the log has no open segment"));
        };
        if let Err(cause) = open.file.append(&frame) {
            let cut = open.file.truncate(open.bytes);
            return Err(self.write_error(cause, cut));
        }
        open.bytes += frame.len() as u64;
        open.is_synced = false;
        self.sequence_last = sequence;
        Ok(sequence)
    }

    /// Makes every appended frame durable.
    ///
    /// Errors: `Unavailable`; the log is then failed, because the kernel may
    /// have dropped what it could not write and a second fsync would lie.
    pub fn sync(&mut self) -> Result<()> {
        self.check_usable()?;
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if open.is_synced {
            return Ok(());
        }
        match open.file.sync() {
            Ok(()) => {
                open.is_synced = true;
                Ok(())
            }
            Err(cause) => Err(self.fail("the log's fsync failed", cause)),
        }
    }

    /// Removes the segments that hold only frames up to `sequence`, the open
    /// one too, and makes that durable. Call it once those frames are durable
    /// elsewhere. Works in a failed log too.
    ///
    /// Errors: `Unavailable`; segments may be left over, which is no loss.
    pub fn truncate_through(&mut self, sequence: u64) -> Result<()> {
        let mut is_changed = false;
        while let Some(segment) = self.closed.front().filter(|s| s.sequence_last <= sequence) {
            self.remove_segment(segment.sequence_first)?;
            self.closed.pop_front();
            is_changed = true;
        }
        let is_covered = self.closed.is_empty() && self.sequence_last <= sequence;
        if let Some(open) = self.open.as_ref().filter(|open| is_covered && open.has_frames()) {
            self.remove_segment(open.sequence_first)?;
            self.open = None;
            is_changed = true;
        }
        if is_changed && let Err(cause) = self.storage.sync_directory() {
            return Err(self.fail("the fsync of the log's folder failed", cause));
        }
        Ok(())
    }

    /// The number of the last appended frame, or the last flushed one.
    pub fn last_sequence(&self) -> u64 {
        self.sequence_last
    }

    /// Length of all segments, in bytes.
    pub fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.bytes);
        open + self.closed.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    /// True when the log takes nothing more until a restart.
    pub fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Closes the open segment where a frame of `frame_bytes` would overfill it.
    fn rotate_before(&mut self, frame_bytes: u64) -> Result<()> {
        let limit = self.options.segment_bytes_max;
        let is_full = |open: &OpenSegment| {
            open.has_frames() && open.bytes.saturating_add(frame_bytes) > limit
        };
        if !self.open.as_ref().is_some_and(is_full) {
            return Ok(());
        }
        // What is closed must be durable: only the last segment may be torn.
        self.sync()?;
        self.rotate();
        Ok(())
    }

    /// Closes the open segment where all of it is durable, so that later
    /// frames go to another file, and this one can be removed without them.
    pub fn rotate(&mut self) {
        let durable = |open: &mut OpenSegment| open.has_frames() && open.is_synced;
        if let Some(open) = self.open.take_if(durable) {
            self.closed.push_back(ClosedSegment {
                sequence_first: open.sequence_first,
                sequence_last: self.sequence_last,
                bytes: open.bytes,
            });
        }
    }

    /// Creates the segment for `sequence` and makes header and name durable.
    fn create_segment(&mut self, sequence: u64) -> Result<OpenSegment> {
        let name = format::segment_name(sequence);
        let mut file = match self.storage.create(&name) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                let what = format!(
                    "the log segment {} exists already: another process writes to this folder",
                    self.storage.describe(&name)
                );
                return Err(self.fail(&what, cause));
            }
            Err(cause) => return Err(self.write_error(cause, Ok(()))),
        };
        let header = format::encode_header(self.epoch, sequence);
        if let Err(cause) = file.append(&header) {
            let cut = self.storage.remove(&name);
            return Err(self.write_error(cause, cut));
        }
        if let Err(cause) = file.sync().and_then(|()| self.storage.sync_directory()) {
            return Err(self.fail("the fsync of a new log segment failed", cause));
        }
        let bytes = header.len() as u64;
        Ok(OpenSegment { file, sequence_first: sequence, bytes, is_synced: true })
    }

    fn remove_segment(&self, sequence_first: u64) -> Result<()> {
        let name = format::segment_name(sequence_first);
        match self.storage.remove(&name) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                let place = self.storage.describe(&name);
                let message = format!("the flushed log segment {place} cannot be removed");
                Err(Error::unavailable(message).caused_by(cause))
            }
            _ => Ok(()),
        }
    }

    fn check_usable(&self) -> Result<()> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(Error::unavailable(failure.clone())))
    }

    /// The error of a write after which the file was `cut` back to good bytes.
    fn write_error(&mut self, cause: io::Error, cut: io::Result<()>) -> Error {
        if let Err(cut_cause) = cut {
            return self.fail(
                &format!("a write to the log failed ({cause}) and could not be undone"),
                cut_cause,
            );
        }
        let is_full =
            matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let what = if is_full {
            "the disk of the log is full: nothing of this request was stored; free some space and \
             send it again"
        } else {
            "the log could not be written: nothing of this request was stored; send it again, and \
             look at the disk if this repeats"
        };
        Error::unavailable(what).caused_by(cause)
    }

    /// Fails the log for good.
    fn fail(&mut self, what: &str, cause: io::Error) -> Error {
        tracing::error!(error = %cause, "{what}; the log takes nothing more until a restart");
        let message = format!(
            "{what}; nothing more is acknowledged; check the disk and restart the server, which \
             replays what is durable"
        );
        self.failure = Some(message.clone());
        Error::unavailable(message).caused_by(cause)
    }
}
