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
mod usage;

#[cfg(test)]
mod tests;

use super::Draft;
use crate::error::Result;

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
pub(super) fn logs<'a>(body: &[u8], encoding: OtlpEncoding) -> Result<Vec<Draft<'a>>> {
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
    Ok(drafts.collect())
}

/// The spans that are a call of a model.
pub(super) fn traces<'a>(body: &[u8], encoding: OtlpEncoding) -> Result<Vec<Draft<'a>>> {
    let batches = match encoding {
        OtlpEncoding::Protobuf => decode::traces(body)?,
        OtlpEncoding::Json => json::traces(body)?,
    };
    let drafts = record::entries(&batches)
        .filter_map(|(number, entry)| Some(Draft { number, event: gen_ai::event(&entry)? }));
    Ok(drafts.collect())
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
