//! Our own fields: one JSON object, an array of objects, or one object a line.

use super::Draft;
use crate::ingest::lines::split_lines;
use crate::ingest::prepare::IntakeLimits;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::wire::WireEvent;

pub(super) fn drafts<'a>(body: &'a [u8], limits: &IntakeLimits) -> Vec<Draft<'a>> {
    let lines = split_lines(body).into_iter();
    lines.map(|line| Draft { number: line.number, event: event(line.text, limits) }).collect()
}

fn event<'a>(text: &'a [u8], limits: &IntakeLimits) -> Result<WireEvent<'a>, Rejection> {
    if text.len() > limits.line_bytes_max {
        let rule = format!(
            "the event is {} bytes long; at most {} are accepted (line_bytes_max)",
            text.len(),
            limits.line_bytes_max
        );
        return Err(Rejection::of_line(RejectReason::TooLong, rule));
    }
    WireEvent::parse(text).map_err(|error| not_json(text, &error))
}

fn not_json(text: &[u8], error: &serde_json::Error) -> Rejection {
    let rule = if std::str::from_utf8(text).is_err() {
        "the event is not valid UTF-8; JSON must be sent as UTF-8".to_owned()
    } else {
        // The library appends the position, which names a line of its own.
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        format!(
            "not a JSON object with the fields of one event: {problem} at character {}",
            error.column()
        )
    };
    Rejection::of_line(RejectReason::InvalidJson, rule)
}
