//! What the write-ahead log's opaque records hold.
//!
//! | kind | payload |
//! |---|---|
//! | 1 | u32 count, then per event u128 key and u64 fingerprint (all little-endian), then an Arrow IPC stream of `usage_events` rows |
//! | 2 | an Arrow IPC stream of `rejected_events` rows |

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

use crate::error::{Context, Error, Result};
use crate::ingest::EventKey;
use crate::model::{rejected_events_schema, usage_events_schema};
use crate::wal::Record;

const EVENTS: u8 = 1;
const REJECTED: u8 = 2;
const KEY_BYTES: usize = 24;

/// One frame's content.
#[derive(Debug)]
pub(super) struct FrameContent {
    pub(super) keys: Vec<EventKey>,
    pub(super) events: RecordBatch,
    pub(super) rejected: RecordBatch,
}

impl FrameContent {
    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.events.num_rows() == 0 && self.rejected.num_rows() == 0
    }

    /// The records to append as one frame.
    pub(super) fn encode(&self) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(2);
        if self.events.num_rows() > 0 {
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
        Ok(records)
    }

    /// Reads what [`FrameContent::encode`] wrote.
    pub(super) fn decode(records: &[Record]) -> Result<Self> {
        let mut content = Self {
            keys: Vec::new(),
            events: RecordBatch::new_empty(usage_events_schema()),
            rejected: RecordBatch::new_empty(rejected_events_schema()),
        };
        for record in records {
            match record.kind {
                EVENTS => {
                    let (keys, stream) = read_keys(&record.payload)?;
                    content.keys = keys;
                    content.events = read_stream(stream, &usage_events_schema())?;
                }
                REJECTED => {
                    content.rejected =
                        read_stream(record.payload.clone(), &rejected_events_schema())?;
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

fn read_keys(payload: &Bytes) -> Result<(Vec<EventKey>, Bytes)> {
    let damaged = || Error::internal("a record of the write-ahead log is shorter than it says");
    let (count, rest) = payload.split_first_chunk::<4>().ok_or_else(damaged)?;
    let count = u32::from_le_bytes(*count) as usize;
    let key_bytes = count.checked_mul(KEY_BYTES).filter(|bytes| *bytes <= rest.len());
    let key_bytes = key_bytes.ok_or_else(damaged)?;
    let (entries, _) = rest[..key_bytes].as_chunks::<KEY_BYTES>();
    let keys = entries.iter().filter_map(|entry| {
        let (key, rest) = entry.split_first_chunk::<16>()?;
        let fingerprint = rest.first_chunk::<8>()?;
        Some(EventKey {
            key: u128::from_le_bytes(*key),
            fingerprint: u64::from_le_bytes(*fingerprint),
        })
    });
    Ok((keys.collect(), payload.slice(4 + key_bytes..)))
}

fn write_stream(start: Vec<u8>, batch: &RecordBatch) -> Result<Vec<u8>> {
    let doing = "encoding rows for the write-ahead log";
    let mut writer = StreamWriter::try_new(start, &batch.schema()).internal(doing)?;
    writer.write(batch).internal(doing)?;
    writer.into_inner().internal(doing)
}

fn read_stream(stream: Bytes, schema: &SchemaRef) -> Result<RecordBatch> {
    let doing = "decoding rows of the write-ahead log";
    let reader = StreamReader::try_new(Cursor::new(stream), None).internal(doing)?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().internal(doing)?;
    concat_batches(schema, &batches).internal(doing)
}
