//! Why a line was refused, and what is kept of it.

use std::sync::Arc;

use arrow::array::TimestampMicrosecondBuilder;
use arrow::array::{ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder};
use chrono::{DateTime, Utc};

use super::prepare::PreparedLine;
use crate::error::{Context, Result};
use crate::model::rejected_events_schema;

/// The class of a rejection, for counting and filtering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// Not a JSON object.
    InvalidJson,
    /// A name that no field has.
    UnknownField,
    /// A field that stands there twice.
    RepeatedField,
    /// A field that must be there is not.
    MissingField,
    /// A value of the wrong type or form.
    InvalidValue,
    /// A value beyond what its field can hold.
    OutOfRange,
    /// The event is from too far in the future or the past.
    TimeOutOfRange,
    /// The line is longer than the limit.
    TooLong,
    /// The same id was acknowledged before with another payload.
    Conflict,
    /// Registration is required, and the organization is not registered.
    UnknownOrganization,
    /// Another organization declared the event's API key.
    KeyOfAnotherOrganization,
    /// The sender may not write for the event's organization.
    ForeignOrganization,
}

impl RejectReason {
    /// The word used on the wire and in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::UnknownField => "unknown_field",
            Self::RepeatedField => "repeated_field",
            Self::MissingField => "missing_field",
            Self::InvalidValue => "invalid_value",
            Self::OutOfRange => "out_of_range",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TooLong => "too_long",
            Self::Conflict => "conflict",
            Self::UnknownOrganization => "unknown_organization",
            Self::KeyOfAnotherOrganization => "key_of_another_organization",
            Self::ForeignOrganization => "foreign_organization",
        }
    }
}

/// Why one line was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The class of the reason.
    pub reason: RejectReason,
    /// The field at fault, where one is.
    pub field: Option<String>,
    /// Its literal, shortened; never the value of an unknown field, which may
    /// be prompt text.
    pub value: Option<String>,
    /// The rule that was broken, and the way out.
    pub rule: String,
}

/// Literals are shown up to this many characters.
const VALUE_CHARS_MAX: usize = 80;

impl Rejection {
    /// A rejection of the whole line.
    pub(super) fn of_line(reason: RejectReason, rule: impl Into<String>) -> Self {
        Self { reason, field: None, value: None, rule: rule.into() }
    }

    /// A rejection of one field's value.
    pub(super) fn of_field(
        reason: RejectReason,
        field: &str,
        value: Option<&str>,
        rule: impl Into<String>,
    ) -> Self {
        let value = value.map(shorten);
        Self { reason, field: Some(field.to_owned()), value, rule: rule.into() }
    }

    /// The rejection of a copy whose payload differs from the first one's.
    pub fn conflict(event_id: &str) -> Self {
        Self::of_field(
            RejectReason::Conflict,
            "event_id",
            Some(event_id),
            "an event with this organization_id, source and event_id was acknowledged before \
             with other content; send a new event_id for a new event",
        )
    }

    /// The rejection of a replacement that moves its event to another request.
    pub fn other_request(request_id: Option<&str>) -> Self {
        Self::of_field(
            RejectReason::InvalidValue,
            "request_id",
            request_id,
            "the stored event is of another request, or of none; void it and send the right \
             one as a new event",
        )
    }

    /// Whether the line is a copy of a known event with other content: it broke
    /// no rule by itself.
    pub fn is_conflict(&self) -> bool {
        self.reason == RejectReason::Conflict
    }

    /// `output_tokens is -4; token counts are 0 or more`.
    pub fn message(&self) -> String {
        match (&self.field, &self.value) {
            (Some(field), Some(value)) => format!("{field} is {value}; {}", self.rule),
            (Some(field), None) => format!("{field}: {}", self.rule),
            (None, _) => self.rule.clone(),
        }
    }
}

fn shorten(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARS_MAX {
        return value.to_owned();
    }
    let kept: String = value.chars().take(VALUE_CHARS_MAX).collect();
    format!("{kept}… ({} bytes)", value.len())
}

/// The `rejected_events` rows of a request's rejected lines.
pub fn rejected_batch(
    lines: &[PreparedLine],
    request_id: &str,
    received_at: DateTime<Utc>,
) -> Result<RecordBatch> {
    let mut received = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut date = Date32Builder::new();
    let mut number = Int64Builder::new();
    let mut texts: [StringBuilder; 10] = std::array::from_fn(|_| StringBuilder::new());
    let days = received_at.timestamp().div_euclid(86_400);
    for line in lines {
        let Err(rejection) = &line.outcome else { continue };
        received.append_value(received_at.timestamp_micros());
        date.append_value(i32::try_from(days).unwrap_or(i32::MAX));
        number.append_value(i64::try_from(line.number).unwrap_or(i64::MAX));
        let message = rejection.message();
        let values = [
            Some(request_id),
            line.organization_id.as_deref(),
            line.source.as_deref(),
            line.event_id.as_deref(),
            Some(rejection.reason.as_str()),
            rejection.field.as_deref(),
            rejection.value.as_deref(),
            Some(rejection.rule.as_str()),
            Some(message.as_str()),
            line.payload.as_deref(),
        ];
        for (builder, value) in texts.iter_mut().zip(values) {
            builder.append_option(value);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(received.finish()), Arc::new(date.finish())];
    columns.extend(texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    // In the table, the line number stands after the request id.
    columns.insert(3, Arc::new(number.finish()));
    RecordBatch::try_new(rejected_events_schema(), columns)
        .internal("building rejected_events rows")
}
