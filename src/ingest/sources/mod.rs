//! Adapters: the payload of each source → drafts of events, in one order and
//! by pure functions. What a draft says is judged by the same rules, whatever
//! source it came from.

mod native;
mod otlp;

use super::prepare::IntakeLimits;
use super::rejected::Rejection;
use super::wire::WireEvent;
use crate::error::Result;

pub use otlp::OtlpEncoding;

/// The format of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFormat {
    /// Our own fields: one object, an array, or one object a line.
    Native,
    /// An OTLP export of log records.
    OtlpLogs(OtlpEncoding),
    /// An OTLP export of spans.
    OtlpTraces(OtlpEncoding),
    /// An OTLP export of metrics, of which none is stored.
    OtlpMetrics(OtlpEncoding),
}

/// One event that an adapter found in a payload.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Where it stands: a line or an element, from 1.
    pub(super) number: u64,
    /// What it says, or why it cannot be read.
    pub(super) event: std::result::Result<WireEvent<'a>, Rejection>,
}

impl SourceFormat {
    /// The drafts of `body`. Fails as a whole only when the payload cannot be
    /// taken apart at all; a payload without any event has no drafts.
    pub(super) fn drafts<'a>(
        self,
        body: &'a [u8],
        limits: &IntakeLimits,
    ) -> Result<Vec<Draft<'a>>> {
        match self {
            Self::Native => Ok(native::drafts(body, limits)),
            Self::OtlpLogs(encoding) => otlp::logs(body, encoding),
            Self::OtlpTraces(encoding) => otlp::traces(body, encoding),
            Self::OtlpMetrics(encoding) => otlp::metrics(body, encoding),
        }
    }
}

/// Names organizations that a source knows by a word instead of a UUID.
const ORGANIZATION_NAMESPACE: uuid::Uuid = uuid::uuid!("5f0c6b1e-3c1d-5b58-9a53-7b0f3a6f0c11");

/// The organization that a source calls `name`: itself when it is a UUID, else
/// the name-based UUID (RFC 9562, version 5) of the name, always the same.
pub fn organization_id_of(name: &str) -> String {
    let id = uuid::Uuid::try_parse(name);
    id.unwrap_or_else(|_| uuid::Uuid::new_v5(&ORGANIZATION_NAMESPACE, name.as_bytes()))
        .hyphenated()
        .to_string()
}
