//! How much a body unfolds to, told before it is decoded: an empty message
//! takes two bytes of a body and hundreds in memory.

use crate::error::{Error, ErrorKind, Result};

/// Parts (messages, texts, objects) that a body may have. The thousands of
/// records that a collector sends at once have about a hundred each.
const PARTS_MAX: usize = 3_000_000;

/// Refuses a protobuf body of too many parts. What is no protobuf is left to
/// the decoder.
pub(super) fn check_protobuf(body: &[u8], shape: Shape) -> Result<()> {
    let mut parts = 0;
    let mut waiting = vec![(body, shape)];
    while let Some((message, shape)) = waiting.pop() {
        for Field { number, bytes } in Fields(message).flatten() {
            let Some(bytes) = bytes else { continue };
            parts += 1;
            if parts > PARTS_MAX {
                return Err(too_many());
            }
            if let Some(shape) = shape.child(number) {
                waiting.push((bytes, shape));
            }
        }
    }
    Ok(())
}

/// Refuses a JSON body of too many objects. Braces within texts count too;
/// the bound is far above what texts have of them.
pub(super) fn check_json(body: &[u8]) -> Result<()> {
    let objects = body.iter().filter(|byte| **byte == b'{').count();
    let nulls = body.windows(4).filter(|bytes| *bytes == b"null").count();
    if objects + nulls > PARTS_MAX { Err(too_many()) } else { Ok(()) }
}

/// Whether `body` is one protobuf message, as far as its outermost fields tell.
pub(super) fn is_message(body: &[u8]) -> bool {
    Fields(body).all(|field| field.is_some())
}

fn too_many() -> Error {
    let message = format!(
        "the body holds more than {PARTS_MAX} messages, attributes and texts; nothing of it was \
         stored: send smaller batches"
    );
    Error::new(ErrorKind::LimitExceeded, message)
}

/// Which message some bytes are: only those that may hold many parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    LogsRequest,
    TracesRequest,
    ResourceLogs,
    ResourceSpans,
    ScopeLogs,
    ScopeSpans,
    Resource,
    EntityRef,
    Scope,
    LogRecord,
    Span,
    SpanEvent,
    SpanLink,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

impl Shape {
    /// The message under a field number, by the OTLP 1.x definitions.
    fn child(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::LogsRequest, 1) => Self::ResourceLogs,
            (Self::TracesRequest, 1) => Self::ResourceSpans,
            (Self::ResourceLogs | Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeLogs | Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeLogs, 2) => Self::LogRecord,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Resource, 3) => Self::EntityRef,
            (Self::LogRecord, 5) | (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Self::AnyValue,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::SpanEvent, 3)
            | (Self::LogRecord, 6)
            | (Self::Span, 9)
            | (Self::SpanLink, 4) => Self::KeyValue,
            (Self::Span, 11) => Self::SpanEvent,
            (Self::Span, 13) => Self::SpanLink,
            (Self::AnyValue, 5) => Self::ArrayValue,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }
}

/// A field of a message; `bytes` where it is delimited by a length.
struct Field<'a> {
    number: u64,
    bytes: Option<&'a [u8]>,
}

/// The fields of a message; None for what cannot be read, and then no more.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let key = self.varint()?;
        let bytes = match key & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.bytes(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some(self.bytes(length)?)
            }
            // The fields of a group stand between these two.
            3 | 4 => None,
            5 => self.bytes(4).map(|_| None)?,
            _ => return None,
        };
        Some(Field { number: key >> 3, bytes })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for index in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}
