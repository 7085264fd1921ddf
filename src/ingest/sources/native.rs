//! Our own fields: one JSON object, an array of objects, or one object a line.

use super::{Draft, not_json};
use crate::ingest::lines::split_lines;
use crate::ingest::prepare::IntakeLimits;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::wire::WireEvent;

pub(super) fn drafts<'a>(body: &'a [u8], limits: &IntakeLimits) -> Vec<Draft<'a>> {
    let lines = split_lines(body, limits.request_events_max).into_iter();
    lines.map(|line| Draft { number: line.number, event: event(line.text, limits) }).collect()
}

/// One object of our own fields.
pub(super) fn event<'a>(text: &'a [u8], limits: &IntakeLimits) -> Result<WireEvent<'a>, Rejection> {
    check_length(text, limits)?;
    WireEvent::parse(text)
        .map_err(|error| not_json(text, &error, "a JSON object with the fields of one event"))
}

/// Refuses an event that is longer than the limit.
pub(super) fn check_length(text: &[u8], limits: &IntakeLimits) -> Result<(), Rejection> {
    if text.len() <= limits.line_bytes_max {
        return Ok(());
    }
    let rule = format!(
        "the event is {} bytes long; at most {} are accepted (line_bytes_max)",
        text.len(),
        limits.line_bytes_max
    );
    Err(Rejection::of_line(RejectReason::TooLong, rule))
}
