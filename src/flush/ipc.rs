//! Rows as Arrow IPC streams, the payload of the log's records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use arrow::ipc::{Message, MessageHeader, root_as_message};

use crate::error::{Context, Error, Result};

/// What stands before the length of a message.
const CONTINUATION: u32 = u32::MAX;

/// Appends the stream of `batch` to `start`.
pub(super) fn write_stream(start: Vec<u8>, batch: &RecordBatch) -> Result<Vec<u8>> {
    let doing = "encoding rows for the write-ahead log";
    let mut writer = StreamWriter::try_new(start, &batch.schema()).internal(doing)?;
    writer.write(batch).internal(doing)?;
    writer.into_inner().internal(doing)
}

/// Reads what [`write_stream`] wrote, whatever the bytes are by now.
///
/// The library trusts lengths and offsets: it allocates what a message asks
/// for and panics where a buffer lies outside of its message. So lengths are
/// checked first, and a panic in what is left becomes an error: a start that
/// says which file is damaged is better than one that dies.
pub(super) fn read_stream(stream: &[u8], schema: &SchemaRef) -> Result<RecordBatch> {
    let doing = "decoding rows of the write-ahead log";
    check_stream(stream).map_err(|what| Error::internal(format!("{doing}: {what}")))?;
    // A copy of its own: the bytes share the memory of their whole segment.
    let mut stream = Buffer::from_slice_ref(stream);
    let decode = || -> Result<RecordBatch, ArrowError> {
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while let Some(batch) = decoder.decode(&mut stream)? {
            batches.push(batch);
        }
        decoder.finish()?;
        concat_batches(schema, &batches)
    };
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.map_err(|_| Error::internal(format!("{doing}: a buffer is damaged")))?.internal(doing)
}

/// Checks that messages of known kinds follow one another within `stream`, up
/// to its end mark, and that none would unfold to more than it is long.
fn check_stream(mut stream: &[u8]) -> Result<(), &'static str> {
    const ENDS: &str = "the stream ends early";
    loop {
        let mut length = take_length(&mut stream).ok_or(ENDS)?;
        if length == CONTINUATION {
            length = take_length(&mut stream).ok_or(ENDS)?;
        }
        if length == 0 {
            return if stream.is_empty() { Ok(()) } else { Err("bytes follow the stream's end") };
        }
        let (message, rest) = stream.split_at_checked(length as usize).ok_or(ENDS)?;
        let message = root_as_message(message).map_err(|_| "a message is damaged")?;
        check_message(&message)?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| "a length is negative")?;
        stream = rest.get(body..).ok_or(ENDS)?;
    }
}

fn check_message(message: &Message<'_>) -> Result<(), &'static str> {
    match message.header_type() {
        MessageHeader::Schema => Ok(()),
        MessageHeader::RecordBatch => {
            let batch = message.header_as_record_batch().ok_or("a message has no header")?;
            // Never written, and could ask for any amount of memory.
            if batch.compression().is_some() { Err("a batch is compressed") } else { Ok(()) }
        }
        _ => Err("a message is of a kind that is never written"),
    }
}

fn take_length(stream: &mut &[u8]) -> Option<u32> {
    let (length, rest) = stream.split_first_chunk::<4>()?;
    *stream = rest;
    Some(u32::from_le_bytes(*length))
}
