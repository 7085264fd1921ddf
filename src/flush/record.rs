//! What the write-ahead log's opaque records hold.
//!
//! | kind | payload |
//! |---|---|
//! | 1 | u32 count, then per event u128 key and u64 fingerprint (all little-endian), then an Arrow IPC stream of `usage_events` rows |
//! | 2 | an Arrow IPC stream of `rejected_events` rows |
//! | 3 | u32 count, then per withdrawn event u64 frame and u32 row, then an Arrow IPC stream of `sightings` rows |
//! | 4 | an Arrow IPC stream of `usage_events` rows that go into the lake by themselves |
//!
//! Logs of earlier versions hold kinds 1 and 2 only.

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::ipc::{read_stream, write_stream};
use crate::error::{Context, Error, Result};
use crate::ingest::EventKey;
use crate::model::{rejected_events_schema, sightings_schema, usage_events_schema};
use crate::wal::Record;

const EVENTS: u8 = 1;
const REJECTED: u8 = 2;
const SIGHTINGS: u8 = 3;
const SUPERSEDING: u8 = 4;
const KEY_BYTES: usize = 24;
const WITHDRAWN_BYTES: usize = 12;

/// An event of an earlier frame that was still hot and counts no more: it
/// leaves the hot buffer without ever reaching the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Withdrawn {
    /// The frame that it came with.
    pub(super) frame: u64,
    /// Its row among the frame's sightings, which names it.
    pub(super) row: u32,
}

/// One frame's content.
#[derive(Debug)]
pub(super) struct FrameContent {
    pub(super) keys: Vec<EventKey>,
    pub(super) events: RecordBatch,
    pub(super) rejected: RecordBatch,
    pub(super) sightings: RecordBatch,
    pub(super) withdrawn: Vec<Withdrawn>,
    /// Rows that take others back, and those that count instead: committed to
    /// the lake together, and never hot.
    pub(super) superseding: RecordBatch,
}

impl FrameContent {
    /// Nothing to store.
    pub(super) fn empty() -> Self {
        Self {
            keys: Vec::new(),
            events: RecordBatch::new_empty(usage_events_schema()),
            rejected: RecordBatch::new_empty(rejected_events_schema()),
            sightings: RecordBatch::new_empty(sightings_schema()),
            withdrawn: Vec::new(),
            superseding: RecordBatch::new_empty(usage_events_schema()),
        }
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        let batches = [&self.events, &self.rejected, &self.sightings, &self.superseding];
        batches.into_iter().all(|batch| batch.num_rows() == 0)
    }

    /// The records to append as one frame.
    pub(super) fn encode(&self) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(2);
        // Sightings have keys, too.
        if self.events.num_rows() > 0 || !self.keys.is_empty() {
            let mut payload = Vec::with_capacity(4 + self.keys.len() * KEY_BYTES);
            let count = u32::try_from(self.keys.len()).internal("a frame holds too many events")?;
            payload.extend_from_slice(&count.to_le_bytes());
            for key in &self.keys {
                payload.extend_from_slice(&key.key.to_le_bytes());
                payload.extend_from_slice(&key.fingerprint.to_le_bytes());
            }
            let payload = write_stream(payload, &self.events)?;
            records.push(Record { kind: EVENTS, payload: payload.into() });
        }
        if self.rejected.num_rows() > 0 {
            let payload = write_stream(Vec::new(), &self.rejected)?;
            records.push(Record { kind: REJECTED, payload: payload.into() });
        }
        if self.sightings.num_rows() > 0 {
            let count = self.withdrawn.len();
            let mut payload = Vec::with_capacity(4 + count * WITHDRAWN_BYTES);
            let count = u32::try_from(count).internal("a frame withdraws too many events")?;
            payload.extend_from_slice(&count.to_le_bytes());
            for withdrawn in &self.withdrawn {
                payload.extend_from_slice(&withdrawn.frame.to_le_bytes());
                payload.extend_from_slice(&withdrawn.row.to_le_bytes());
            }
            let payload = write_stream(payload, &self.sightings)?;
            records.push(Record { kind: SIGHTINGS, payload: payload.into() });
        }
        if self.superseding.num_rows() > 0 {
            let payload = write_stream(Vec::new(), &self.superseding)?;
            records.push(Record { kind: SUPERSEDING, payload: payload.into() });
        }
        Ok(records)
    }

    /// Reads what [`FrameContent::encode`] wrote.
    pub(super) fn decode(records: &[Record]) -> Result<Self> {
        let mut content = Self::empty();
        for record in records {
            match record.kind {
                EVENTS => {
                    let (keys, stream) = read_keys(&record.payload)?;
                    content.keys = keys;
                    content.events = read_stream(&stream, &usage_events_schema())?;
                }
                REJECTED => {
                    content.rejected = read_stream(&record.payload, &rejected_events_schema())?;
                }
                SIGHTINGS => {
                    let (withdrawn, stream) = read_withdrawn(&record.payload)?;
                    content.withdrawn = withdrawn;
                    content.sightings = read_stream(&stream, &sightings_schema())?;
                }
                SUPERSEDING => {
                    content.superseding = read_stream(&record.payload, &usage_events_schema())?;
                }
                kind => {
                    return Err(Error::unavailable(format!(
                        "the write-ahead log holds a record of kind {kind}, which this version \
                         does not know; start the version that wrote it"
                    )));
                }
            }
        }
        Ok(content)
    }
}

/// A count, as many entries of `N` bytes, and what follows them.
fn read_entries<const N: usize>(payload: &Bytes) -> Result<(&[[u8; N]], Bytes)> {
    let damaged = || Error::internal("a record of the write-ahead log is shorter than it says");
    let (count, rest) = payload.split_first_chunk::<4>().ok_or_else(damaged)?;
    let count = u32::from_le_bytes(*count) as usize;
    let bytes = count.checked_mul(N).filter(|bytes| *bytes <= rest.len()).ok_or_else(damaged)?;
    Ok((rest[..bytes].as_chunks::<N>().0, payload.slice(4 + bytes..)))
}

fn read_withdrawn(payload: &Bytes) -> Result<(Vec<Withdrawn>, Bytes)> {
    let (entries, rest) = read_entries::<WITHDRAWN_BYTES>(payload)?;
    let withdrawn = entries.iter().filter_map(|entry| {
        let (frame, row) = entry.split_first_chunk::<8>()?;
        let (frame, row) = (u64::from_le_bytes(*frame), row.first_chunk::<4>()?);
        Some(Withdrawn { frame, row: u32::from_le_bytes(*row) })
    });
    Ok((withdrawn.collect(), rest))
}

fn read_keys(payload: &Bytes) -> Result<(Vec<EventKey>, Bytes)> {
    let (entries, rest) = read_entries::<KEY_BYTES>(payload)?;
    let keys = entries.iter().filter_map(|entry| {
        let (key, fingerprint) = entry.split_first_chunk::<16>()?;
        let fingerprint = fingerprint.first_chunk::<8>()?;
        Some(EventKey {
            key: u128::from_le_bytes(*key),
            fingerprint: u64::from_le_bytes(*fingerprint),
        })
    });
    Ok((keys.collect(), rest))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, new_null_array};
    use arrow::datatypes::{DataType, SchemaRef};

    use super::*;

    /// A batch of one row without anything in it.
    pub(super) fn row(schema: &SchemaRef) -> RecordBatch {
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Map(..) => new_null_array(field.data_type(), 1),
                kind => arrow::array::ArrayData::builder(kind.clone())
                    .len(1)
                    .add_buffers(match kind {
                        DataType::Utf8 => {
                            vec![vec![0_u8; 8].into(), Vec::<u8>::new().into()]
                        }
                        _ => vec![vec![0_u8; 16].into()],
                    })
                    .build()
                    .map(arrow::array::make_array)
                    .expect("an array"),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(schema), columns).expect("a row")
    }

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let key = EventKey { key: u128::MAX - 7, fingerprint: 9 };
        let content = FrameContent {
            keys: vec![key, key],
            sightings: row(&sightings_schema()),
            withdrawn: vec![Withdrawn { frame: u64::MAX, row: 0 }, Withdrawn { frame: 1, row: 2 }],
            superseding: row(&usage_events_schema()),
            ..FrameContent::empty()
        };
        let read = FrameContent::decode(&content.encode().expect("records")).expect("content");
        assert_eq!((read.keys, read.withdrawn), (content.keys, content.withdrawn));
        assert_eq!(read.sightings, content.sightings);
        assert_eq!(read.superseding, content.superseding);
        assert_eq!((read.events.num_rows(), read.rejected.num_rows()), (0, 0));
    }

    #[test]
    fn a_frame_without_sightings_is_written_as_earlier_versions_wrote_it() {
        let key = EventKey { key: 1, fingerprint: 2 };
        let events = row(&usage_events_schema());
        let rejected = row(&rejected_events_schema());
        let content = FrameContent { keys: vec![key], events, rejected, ..FrameContent::empty() };
        let records = content.encode().expect("records");
        let kinds: Vec<u8> = records.iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [EVENTS, REJECTED]);
        let read = FrameContent::decode(&records).expect("content");
        assert_eq!((read.events, read.rejected), (content.events, content.rejected));
    }

    #[test]
    fn a_count_beyond_the_record_is_damage() {
        let payload = Bytes::from_static(&[2, 0, 0, 0, 1, 2, 3]);
        assert!(read_withdrawn(&payload).is_err());
        assert!(read_keys(&payload).is_err());
    }
}
