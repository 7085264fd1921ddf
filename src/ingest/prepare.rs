//! A request body → prepared lines: valid events with their identity, or the
//! reason why a line is refused.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};

use super::attribute;
use super::costs::{Costs, costs};
use super::field::Field;
use super::identity::{EventKey, event_key};
use super::rejected::Rejection;
use super::sources::{Draft, SourceFormat};
use super::validate::{ValidEvent, string_content, validate};
use super::wire::WireEvent;
use super::writer;
use crate::access::Reach;
use crate::config::Config;
use crate::directory::{Directory, SharedDirectory, Sighting};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Entry, UsageEvent, events_to_batch};
use crate::pricing::{ActivePrices, PriceBook};

/// The bounds of what is accepted.
#[derive(Debug, Clone)]
pub struct IntakeLimits {
    /// Longest single event, bytes.
    pub line_bytes_max: usize,
    /// Most events in one request.
    pub request_events_max: usize,
    /// How far ahead of the clock `event_time` may be, seconds.
    pub event_future_seconds_max: u32,
    /// Oldest `event_time`, days; 0 accepts any age.
    pub event_age_days_max: u32,
    /// Whether events of organizations that the directory does not know are
    /// refused.
    pub registration_required: bool,
}

impl From<&Config> for IntakeLimits {
    fn from(config: &Config) -> Self {
        Self {
            line_bytes_max: config.line_bytes_max,
            request_events_max: config.request_events_max,
            event_future_seconds_max: config.event_future_seconds_max,
            // An event of a day that retention emptied would stand there alone.
            event_age_days_max: [config.event_age_days_max, config.usage_events_retention_days]
                .into_iter()
                .filter(|days| *days > 0)
                .min()
                .unwrap_or(0),
            registration_required: config.registration_required,
        }
    }
}

impl PreparedLine {
    /// Turns a valid line into a refused one: a copy of `event`'s id with
    /// other content was acknowledged before.
    pub fn refuse_as_conflict(&mut self, event: &UsageEvent) {
        self.organization_id = Some(event.organization_id.clone());
        self.source = Some(event.source.clone());
        self.event_id = Some(event.event_id.clone());
        self.outcome = Err(Rejection::conflict(&event.event_id));
    }
}

/// One line of a request, judged.
#[derive(Debug)]
pub struct PreparedLine {
    /// The line of an NDJSON body or element of an array, from 1.
    pub number: u64,
    /// What a refused line says of its identity; a valid line's stands in its
    /// event.
    pub organization_id: Option<String>,
    /// See `organization_id`.
    pub source: Option<String>,
    /// See `organization_id`.
    pub event_id: Option<String>,
    /// The identity of a valid event, or why the line is refused.
    pub outcome: Result<EventKey, Rejection>,
    /// Whether a cost was rounded to twelve digits.
    pub rounded: bool,
    /// Of a refused line: its known fields as JSON. Unknown fields and broken
    /// JSON are not kept, since they may hold prompt text.
    pub payload: Option<String>,
}

/// A request's lines, and the events of the valid ones in the same order.
#[derive(Debug)]
pub struct PreparedRequest {
    /// Every line that holds something.
    pub lines: Vec<PreparedLine>,
    /// One event per valid line.
    pub events: Vec<UsageEvent>,
    /// The events as rows of `usage_events`.
    pub rows: RecordBatch,
    /// Ids that the events name and the directory does not know.
    pub sightings: Vec<Sighting>,
    /// What they were attributed and dated by.
    pub directory: Arc<Directory>,
}

impl PreparedRequest {
    /// Books the events anew when months were closed since they were prepared.
    pub fn rebook(&mut self, directory: &Arc<Directory>) -> Result<()> {
        if Arc::ptr_eq(self.directory.closed_months(), directory.closed_months()) {
            return Ok(());
        }
        self.directory = Arc::clone(directory);
        for event in &mut self.events {
            book(event, directory);
        }
        self.rows = events_to_batch(&self.events)?;
        Ok(())
    }
}

/// Sets the day that the event is counted on: its own, or that of its
/// recording when its month is closed.
fn book(event: &mut UsageEvent, directory: &Directory) {
    let id = &event.organization_id;
    let own = directory.usage_date(id, event.event_time);
    let today = || directory.usage_date(id, event.recorded_at);
    let booking = directory.closed_months().book(id, own, today);
    event.usage_date = booking.usage_date;
    event.correction_of_period = booking.correction_of_period.map(|month| month.to_string());
}

/// What a request brings.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// How to read the body.
    pub format: SourceFormat,
    /// Plain (uncompressed) bytes.
    pub body: &'a [u8],
    /// The organization (a UUID) of events that name none.
    pub organization_id: Option<&'a str>,
    /// What the request's headers say of the event, where the format has part
    /// of it there: names and values.
    pub attributes: &'a [(String, String)],
    /// The organizations that the sender may write for.
    pub writes: &'a Reach,
}

impl<'a> Payload<'a> {
    /// A body with our own fields.
    pub fn native(body: &'a [u8]) -> Self {
        Self::new(SourceFormat::Native, body)
    }

    /// A body of this format, with nothing beside it.
    pub fn new(format: SourceFormat, body: &'a [u8]) -> Self {
        let writes = &writer::EVERYTHING;
        Self { format, body, organization_id: None, attributes: &[], writes }
    }
}

/// Turns bodies into events. Cheap to share; holds no state of its own.
#[derive(Debug)]
pub struct Intake {
    directory: SharedDirectory,
    prices: ActivePrices,
    limits: IntakeLimits,
}

impl Intake {
    /// An intake that attributes and books by `directory` and prices by
    /// `prices`. Either can change while it works; a request is judged by one
    /// state of both.
    pub fn new(
        directory: SharedDirectory,
        prices: impl Into<ActivePrices>,
        limits: IntakeLimits,
    ) -> Self {
        Self { directory, prices: prices.into(), limits }
    }

    /// Judges every event of a payload. Fails as a whole only when the payload
    /// cannot be taken apart, or holds no event or more than the limit. One
    /// state of the directory attributes all of them.
    pub fn prepare(&self, payload: Payload<'_>, now: DateTime<Utc>) -> Result<PreparedRequest> {
        let drafts = payload.format.drafts(&payload, &self.limits)?;
        if drafts.is_empty() && payload.format == SourceFormat::Native {
            return Err(Error::invalid(
                "the body holds no event; send a JSON object, an array of objects, or one object a line",
            ));
        }
        let limit = self.limits.request_events_max;
        if drafts.len() > limit {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "the body holds more than {limit} events, which is the most that goes into one request (request_events_max); nothing of it was stored"
                ),
            ));
        }
        let (mut prepared, mut events) =
            (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        let directory = self.directory.load();
        let prices = self.prices.book();
        let scope = Scope {
            directory: &directory,
            prices: &prices,
            organization_id: payload.organization_id,
            writes: payload.writes,
            now,
        };
        for draft in drafts {
            prepared.push(self.prepare_draft(draft, &scope, &mut events));
        }
        for event in &mut events {
            book(event, &directory);
        }
        let rows = events_to_batch(&events)?;
        let sightings = attribute::sightings(&events, &directory);
        Ok(PreparedRequest { lines: prepared, events, rows, sightings, directory })
    }

    fn prepare_draft(
        &self,
        draft: Draft<'_>,
        scope: &Scope<'_>,
        events: &mut Vec<UsageEvent>,
    ) -> PreparedLine {
        let number = draft.number;
        let mut wire = match draft.event {
            Ok(wire) => wire,
            Err(rejection) => return refused(number, None, rejection, scope),
        };
        match self.judge(&mut wire, scope) {
            Err(rejection) => refused(number, Some(&wire), rejection, scope),
            Ok(valid) => {
                let rounded = valid.rounded;
                let mut event = self.complete(valid, scope);
                // What is filled in may differ when a copy is sent again: it
                // is no part of what the sender said.
                let key = event_key(&event, &wire);
                attribute::fill(&mut event, scope.directory);
                let line = PreparedLine {
                    number,
                    organization_id: None,
                    source: None,
                    event_id: None,
                    outcome: Ok(key),
                    rounded,
                    payload: None,
                };
                events.push(event);
                line
            }
        }
    }

    fn judge(
        &self,
        wire: &mut WireEvent<'_>,
        scope: &Scope<'_>,
    ) -> std::result::Result<ValidEvent, Rejection> {
        let fallback = wire.organization_fallback.take();
        // A header or setting names it, else the token, else what sent it.
        let only = writer::only_organization(scope.writes);
        let unnamed = scope.organization_id.or(only).or(fallback.as_deref());
        attribute::set_organization(wire, scope.directory, unnamed, scope.writes)?;
        let valid = validate(wire, scope.now, &self.limits)?;
        writer::check(scope.writes, &valid.organization_id)?;
        let required = self.limits.registration_required;
        attribute::check_organization(&valid, scope.directory, required, scope.writes)?;
        Ok(valid)
    }

    /// Adds what the server knows: the local date and, where the sender said
    /// none, the costs.
    fn complete(&self, valid: ValidEvent, scope: &Scope<'_>) -> UsageEvent {
        let Costs { actual, charged, cost_source, price_version } = costs(&valid, scope.prices);
        UsageEvent {
            // Booked once the whole request is judged.
            usage_date: NaiveDate::default(),
            event_id: valid.event_id,
            source: valid.source,
            event_time: valid.event_time,
            recorded_at: scope.now,
            organization_id: valid.organization_id,
            team_id: valid.team_id,
            department: valid.department,
            user_id: valid.user_id,
            api_key_id: valid.api_key_id,
            conversation_id: valid.conversation_id,
            request_id: valid.request_id,
            provider: valid.provider,
            model_name: valid.model_name,
            status: valid.status,
            topic: valid.topic,
            tokens: valid.tokens,
            actual_api_cost: actual,
            charged_cost: charged,
            cost_source,
            price_version,
            duration_ms: valid.duration_ms,
            tags: valid.tags,
            entry: Entry::Usage,
            correction_of_period: None,
            correction_id: None,
        }
    }
}

/// What all events of a payload share.
struct Scope<'a> {
    directory: &'a Directory,
    prices: &'a PriceBook,
    /// The organization of events that name none.
    organization_id: Option<&'a str>,
    /// The organizations that the sender may write for.
    writes: &'a Reach,
    now: DateTime<Utc>,
}

fn refused(
    number: u64,
    wire: Option<&WireEvent<'_>>,
    rejection: Rejection,
    scope: &Scope<'_>,
) -> PreparedLine {
    let identity = |field| {
        let literal = wire.and_then(|wire| wire.get(field))?;
        string_content(literal).filter(|text| text.len() <= PAYLOAD_VALUE_BYTES_MAX)
    };
    PreparedLine {
        number,
        organization_id: writer::owner(
            scope.writes,
            identity(Field::OrganizationId).map(Into::into),
        ),
        source: identity(Field::Source).map(Into::into),
        event_id: identity(Field::EventId).map(Into::into),
        outcome: Err(rejection),
        rounded: false,
        payload: wire.map(kept_payload),
    }
}

/// Literals of a refused line are kept up to this many bytes each.
const PAYLOAD_VALUE_BYTES_MAX: usize = 1024;

/// The scalar known fields of a refused line, as JSON. Nested values, tags and
/// the topic are left out: text of any kind could hide there.
fn kept_payload(wire: &WireEvent<'_>) -> String {
    let mut payload = String::from("{");
    for field in Field::ALL {
        let Some(literal) = wire.get(field) else { continue };
        let scalar = !literal.starts_with(['{', '[']) && field != Field::Topic;
        if scalar && literal.len() <= PAYLOAD_VALUE_BYTES_MAX {
            if payload.len() > 1 {
                payload.push(',');
            }
            payload.push_str(&format!("\"{}\":{literal}", field.name()));
        }
    }
    payload.push('}');
    payload
}
