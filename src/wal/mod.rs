//! The write-ahead log: opaque bytes, durable before anybody is told so.
//!
//! One frame is one group commit: the caller gathers what waits, appends it as
//! one frame, syncs once, and acknowledges. So what a crash can tear is the
//! last frame only, and a bad frame with a good one behind it is damage. The
//! log knows nothing of events; a [`Record`] is a kind and bytes.
//!
//! # Bytes on disk
//!
//! The log is a folder of segment files, named by the first sequence number
//! they hold: 20 decimal digits and `.wal`. Other names are ignored. Numbers
//! are little-endian, checksums are CRC-32 (IEEE, as in gzip).
//!
//! A segment starts with a header of 32 bytes, synced together with the
//! folder before the first frame is written:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `SLAKEWAL` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 8 | epoch: how often the data directory had been opened |
//! | 20 | 8 | first sequence number, the same as in the name |
//! | 28 | 4 | checksum of bytes 0 to 27 |
//!
//! Frames follow without padding, a frame is never split over two segments:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | marker `F5 53 46 FA` (two of its bytes never occur in UTF-8) |
//! | 4 | 4 | length of the body, at most 2^30 |
//! | 8 | 8 | sequence number: one more than the frame before |
//! | 16 | 4 | number of records |
//! | 20 | 4 | checksum of bytes 0 to 19 and the body |
//! | 24 | | body: for each record 1 byte kind, 4 bytes length, payload |
//!
//! # What a start makes of them
//!
//! A bad or incomplete frame at the end of the last segment, with no good one
//! behind it, was never acknowledged: it is cut off. (A last frame damaged
//! after it was acknowledged looks the same; the warning in the log is then
//! its only trace.) Anything else that does not fit is refused and left
//! untouched. A log that was opened never continues an old segment: its first
//! append starts a new one, so a second process on the same folder meets a
//! file that exists already.

pub mod fault;
mod format;
mod log;
mod replay;
mod storage;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use format::FRAME_BODY_BYTES_MAX;
pub use log::Wal;
pub use storage::{DiskStorage, WalFile, WalStorage};

/// One opaque entry of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the payload is; the log does not look at it.
    pub kind: u8,
    /// The bytes. In a replay they share the memory of their whole segment:
    /// decode them, or copy what is kept.
    pub payload: Bytes,
}

/// One group commit, as a replay hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number: 1 for the first ever, then one more for each.
    pub sequence: u64,
    /// What was appended together.
    pub records: Vec<Record>,
}

/// The limits of a log.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// A segment is closed before a frame would make it longer than this; a
    /// single longer frame gets a segment of its own. Bytes.
    pub segment_bytes_max: u64,
}
