//! OTLP: log events of coding tools and spans by the GenAI conventions. The
//! two encodings are read into one form, and each source takes from it the
//! attributes that it lists; nothing else of a record is looked at. What is no
//! usage has no draft.

mod attribution;
mod claude_code;
mod codex;
mod decode;
mod gemini_cli;
mod gen_ai;
mod json;
mod record;
mod size;
mod usage;

#[cfg(test)]
pub(super) mod tests;

use self::size::Shape;
use super::Draft;
use crate::error::Result;
use crate::ingest::prepare::IntakeLimits;

/// How an OTLP message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OtlpEncoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// The log events that are a call of a model. Each tool has one kind of event
/// for it, so that no call counts twice.
pub(super) fn logs<'a>(
    body: &[u8],
    encoding: OtlpEncoding,
    limits: &IntakeLimits,
) -> Result<Vec<Draft<'a>>> {
    check_size(body, encoding, Shape::LogsRequest)?;
    let batches = match encoding {
        OtlpEncoding::Protobuf => decode::logs(body)?,
        OtlpEncoding::Json => json::logs(body)?,
    };
    let drafts = record::entries(&batches).filter_map(|(number, entry)| {
        let event = claude_code::event(&entry)
            .or_else(|| codex::event(&entry))
            .or_else(|| gemini_cli::event(&entry))?;
        Some(Draft { number, event: Ok(event) })
    });
    Ok(drafts.take(limits.request_events_max.saturating_add(1)).collect())
}

/// The spans that are a call of a model.
pub(super) fn traces<'a>(
    body: &[u8],
    encoding: OtlpEncoding,
    limits: &IntakeLimits,
) -> Result<Vec<Draft<'a>>> {
    check_size(body, encoding, Shape::TracesRequest)?;
    let batches = match encoding {
        OtlpEncoding::Protobuf => decode::traces(body)?,
        OtlpEncoding::Json => json::traces(body)?,
    };
    let drafts = record::entries(&batches)
        .filter_map(|(number, entry)| Some(Draft { number, event: gen_ai::event(&entry)? }));
    Ok(drafts.take(limits.request_events_max.saturating_add(1)).collect())
}

/// No metric becomes an event: tools send the same usage as log events or
/// spans, and adding both would double it. The body is only checked.
pub(super) fn metrics<'a>(body: &[u8], encoding: OtlpEncoding) -> Result<Vec<Draft<'a>>> {
    match encoding {
        OtlpEncoding::Protobuf => decode::check_metrics(body)?,
        OtlpEncoding::Json => json::check_metrics(body)?,
    }
    Ok(Vec::new())
}

fn check_size(body: &[u8], encoding: OtlpEncoding, shape: Shape) -> Result<()> {
    match encoding {
        OtlpEncoding::Protobuf => size::check_protobuf(body, shape),
        OtlpEncoding::Json => size::check_json(body),
    }
}
