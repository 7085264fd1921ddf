//! Bytes of an accepted format → validated, attributed, priced events, plus a
//! reason for every rejected line. Nothing here touches the disk.

mod attribute;
mod body;
mod costs;
mod field;
mod identity;
mod lines;
mod prepare;
mod provider_reports;
mod rejected;
mod sources;
mod validate;
mod wire;
mod writer;

pub use body::{Encoding, decompress};
pub use field::{event_field, event_field_names};
pub use identity::{EventKey, identity_bytes, request_key};
pub use prepare::{Intake, IntakeLimits, Payload, PreparedLine, PreparedRequest};
pub use provider_reports::{ParsedReport, ReportFormat, parse_report};
pub use rejected::{RejectReason, Rejection, rejected_batch};
pub use sources::claude_code_transcript::TranscriptCall;
pub use sources::{OtlpEncoding, SourceFormat, organization_id_of};
