//! What a sender is told about each line.

use crate::ingest::{PreparedLine, Rejection};
use crate::model::Winner;

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineStatus {
    /// Stored: durable, and in the next query.
    Accepted,
    /// The same event was acknowledged before; not stored again.
    Duplicate,
    /// Another event of its request counts, this one: kept in `sightings`.
    Sighting(Winner),
    /// The same id was acknowledged before with other content; not stored.
    Conflict(Rejection),
    /// Broke a rule; kept in `rejected_events`.
    Rejected(Rejection),
}

/// One line's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineResult {
    /// The line of an NDJSON body or element of an array, from 1.
    pub line: u64,
    /// The event's id, where the line has one.
    pub event_id: Option<String>,
    /// What became of it.
    pub status: LineStatus,
    /// Whether a cost was rounded to twelve digits after the point.
    pub rounded: bool,
}

/// One request's results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Lines stored.
    pub accepted: u64,
    /// Lines that had been stored before.
    pub duplicate: u64,
    /// Lines of requests that another event counts for.
    pub sighting: u64,
    /// Lines whose id had been stored with other content.
    pub conflict: u64,
    /// Lines that broke a rule.
    pub rejected: u64,
    /// Lines of which a cost was rounded.
    pub rounded: u64,
    /// Each line, in order.
    pub results: Vec<LineResult>,
}

impl IngestReport {
    /// Adds one line's result.
    pub(super) fn push(&mut self, result: LineResult) {
        let count = match result.status {
            LineStatus::Accepted => &mut self.accepted,
            LineStatus::Duplicate => &mut self.duplicate,
            LineStatus::Sighting(_) => &mut self.sighting,
            LineStatus::Conflict(_) => &mut self.conflict,
            LineStatus::Rejected(_) => &mut self.rejected,
        };
        *count += 1;
        self.rounded += u64::from(result.rounded);
        self.results.push(result);
    }
}

/// The result of a line that was refused.
pub(super) fn refused_result(line: &PreparedLine, rejection: &Rejection) -> LineResult {
    let status = if rejection.is_conflict() {
        LineStatus::Conflict(rejection.clone())
    } else {
        LineStatus::Rejected(rejection.clone())
    };
    LineResult { line: line.number, event_id: line.event_id.clone(), status, rounded: line.rounded }
}
