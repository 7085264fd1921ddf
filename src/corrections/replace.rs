//! Replacements: events that were stored with wrong content.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use serde_json::json;

use super::void::{places, taken};
use super::{Correction, Corrector, check_count, check_reason, only_organization};
use crate::error::{Context, Error, Result};
use crate::flush::View;
use crate::ingest::{Payload, PreparedRequest, Rejection};
use crate::model::{
    Booking, PRECEDENCE_CORRECTION, current_rows, reversals, stamped, usage_events_schema,
};
use crate::query::{EventName, event_names};

/// What became of one replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceStatus {
    /// The stored event has this content now.
    Replaced,
    /// The event had been voided, and counts again with this content.
    Restored,
    /// The stored event has this content already.
    Unchanged,
    /// No such event was stored: send it as a new one.
    NotFound,
    /// Another source counts for its request.
    Sighting,
    /// The replacement breaks a rule.
    Rejected(Rejection),
}

/// One line of a replacement and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceResult {
    /// The line or element, from 1.
    pub line: u64,
    /// The event's id, where the line has one.
    pub event_id: Option<String>,
    /// What became of it.
    pub status: ReplaceStatus,
}

/// What a replacement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceReport {
    /// Names the correction; `None` when nothing changed.
    pub correction_id: Option<String>,
    /// One result for each line, in order.
    pub results: Vec<ReplaceResult>,
}

impl Corrector {
    /// Gives stored events the content of `payload`'s events of the same
    /// identity, all of them in one step. Sending the same again changes
    /// nothing.
    pub async fn replace(&self, payload: Payload<'_>, reason: &str) -> Result<ReplaceReport> {
        check_reason(reason)?;
        let prepared = self.parts.intake.prepare(payload, self.parts.clock.now())?;
        check_count(prepared.events.len())?;
        let correction = self.begin().await?;
        let mut replacement = Replacement::new(&correction, prepared)?;
        let wanted = replacement.names.clone();
        let stored = self.parts.queries.events_by_name(&correction.view(), &wanted).await?;
        for rows in &stored {
            let counted = self.counted_requests(&correction.view(), rows).await?;
            replacement.add_stored(rows, &counted)?;
        }
        let (rows, report) = replacement.finish();
        if !rows.is_empty() {
            let events = report.changed();
            let whose = only_organization(wanted.iter().map(|one| one.organization_id.as_str()));
            let details = json!({"events": events, "organization_id": whose});
            correction.audit("events.replace", reason, details).await?;
            correction.corrections.append(rows).await?;
        }
        Ok(report)
    }
}

/// An organization and a request of it.
type RequestName = (String, String);

/// The source whose events count for each request.
type CountedRequests = HashMap<RequestName, String>;

impl Corrector {
    /// The requests that events count for, and their sources, of those that
    /// have rows among `rows` of which none counts.
    async fn counted_requests(
        &self,
        view: &Arc<View>,
        rows: &RecordBatch,
    ) -> Result<CountedRequests> {
        let current = taken(rows, &current_rows(rows)?)?;
        let current: HashSet<EventName> = event_names(&current)?.into_iter().collect();
        let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, request) in event_names(rows)?.into_iter().zip(requests(rows)?) {
            if let Some(request) = request.filter(|_| !current.contains(&name)) {
                asked.entry(name.organization_id).or_default().insert(request);
            }
        }
        let mut counted = CountedRequests::new();
        for (organization_id, asked) in asked {
            let asked: Vec<String> = asked.into_iter().collect();
            let queries = &self.parts.queries;
            let rows = queries.events_by_request(view, &organization_id, &asked).await?;
            let current = taken(&rows, &current_rows(&rows)?)?;
            for (name, request) in event_names(&current)?.into_iter().zip(requests(&current)?) {
                if let Some(request) = request {
                    counted.insert((organization_id.clone(), request), name.source);
                }
            }
        }
        Ok(counted)
    }
}

/// The request of each row.
fn requests(rows: &RecordBatch) -> Result<Vec<Option<String>>> {
    let column = rows.column_by_name("request_id");
    let column = column.and_then(|column| column.as_string_opt::<i32>());
    let column = column.ok_or_else(|| Error::internal("rows have no request_id"))?;
    Ok(column.iter().map(|request| request.map(str::to_owned)).collect())
}

/// The events of `rows` that gave way to another one of their request.
fn lost(rows: &RecordBatch) -> Result<HashSet<EventName>> {
    let ids = rows.column_by_name("correction_id");
    let ids = ids.and_then(|column| column.as_string_opt::<i32>());
    let ids = ids.ok_or_else(|| Error::internal("rows have no correction_id"))?;
    let gave_way = |id: Option<&str>| id.is_some_and(|id| id.starts_with(PRECEDENCE_CORRECTION));
    let names = event_names(rows)?.into_iter().zip(ids.iter());
    Ok(names.filter(|(_, id)| gave_way(*id)).map(|(name, _)| name).collect())
}

impl ReplaceReport {
    fn changed(&self) -> usize {
        let changes = |status: &ReplaceStatus| {
            matches!(status, ReplaceStatus::Replaced | ReplaceStatus::Restored)
        };
        self.results.iter().filter(|result| changes(&result.status)).count()
    }
}

/// A replacement while its stored events are looked at.
#[derive(Debug)]
struct Replacement<'a> {
    correction: &'a Correction<'a>,
    prepared: PreparedRequest,
    /// Of each event of `prepared`; a later line of the same event wins.
    names: Vec<EventName>,
    statuses: HashMap<EventName, ReplaceStatus>,
    written: Vec<RecordBatch>,
}

impl<'a> Replacement<'a> {
    fn new(correction: &'a Correction<'a>, mut prepared: PreparedRequest) -> Result<Self> {
        // Months may have been closed while the request waited.
        prepared.rebook(&correction.directory)?;
        let names = event_names(&prepared.rows)?;
        Ok(Self { correction, prepared, names, statuses: HashMap::new(), written: vec![] })
    }

    /// Compares the stored rows of some events with what replaces them.
    fn add_stored(&mut self, rows: &RecordBatch, counted: &CountedRequests) -> Result<()> {
        let fresh = places(&self.prepared.rows)?;
        let requests: BTreeMap<EventName, Option<String>> =
            event_names(rows)?.into_iter().zip(requests(rows)?).collect();
        let lost = lost(rows)?;
        let current = places(&taken(rows, &current_rows(rows)?)?)?;
        let current_places = current_rows(rows)?;
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for (name, request) in requests {
            let Some(place) = fresh.get(&name).copied() else { continue };
            let named = &self.prepared.events[place].request_id;
            // Events of its own source leave it its place.
            let is_counted = |request: &String| {
                let source = counted.get(&(name.organization_id.clone(), request.clone()));
                source.is_some_and(|source| *source != name.source)
            };
            let status = match current.get(&name).map(|row| current_places[*row]) {
                _ if *named != request => {
                    ReplaceStatus::Rejected(Rejection::other_request(named.as_deref()))
                }
                None if lost.contains(&name) || request.as_ref().is_some_and(is_counted) => {
                    ReplaceStatus::Sighting
                }
                None => ReplaceStatus::Restored,
                Some(row) if self.is_same(rows, row, place)? => ReplaceStatus::Unchanged,
                Some(row) => {
                    old.push(row);
                    ReplaceStatus::Replaced
                }
            };
            if matches!(status, ReplaceStatus::Replaced | ReplaceStatus::Restored) {
                new.push(place);
            }
            self.statuses.insert(name, status);
        }
        self.write(&taken(rows, &old)?, &new)
    }

    /// Whether a row that takes the fresh one back would take the stored one
    /// back.
    fn is_same(&self, rows: &RecordBatch, row: usize, place: usize) -> Result<bool> {
        let stored = taken(rows, &[row])?;
        let fresh = taken(&self.prepared.rows, &[place])?;
        let back = reversals(&fresh, &self.own_bookings(&[place]), &self.correction.stamp)?;
        let both = concat_batches(&usage_events_schema(), [&stored, &back]);
        Ok(current_rows(&both.internal("comparing an event with its replacement")?)?.is_empty())
    }

    fn write(&mut self, old: &RecordBatch, new: &[usize]) -> Result<()> {
        let new_rows = taken(&self.prepared.rows, new)?;
        for rows in [
            self.correction.reversals(old)?,
            stamped(&new_rows, &self.own_bookings(new), &self.correction.stamp)?,
        ] {
            if rows.num_rows() > 0 {
                self.written.push(rows);
            }
        }
        Ok(())
    }

    /// Where the fresh events are booked already.
    fn own_bookings(&self, places: &[usize]) -> Vec<Booking> {
        let booking = |place: &usize| Booking {
            usage_date: self.prepared.events[*place].usage_date,
            // Stands in the row already, where there is one.
            correction_of_period: None,
        };
        places.iter().map(booking).collect()
    }

    fn finish(self) -> (Vec<RecordBatch>, ReplaceReport) {
        let mut names = self.names.iter();
        let results = self.prepared.lines.iter().map(|line| match &line.outcome {
            Err(rejection) => ReplaceResult {
                line: line.number,
                event_id: line.event_id.clone(),
                status: ReplaceStatus::Rejected(rejection.clone()),
            },
            Ok(_) => {
                let name = names.next();
                let status = name.and_then(|name| self.statuses.get(name).cloned());
                ReplaceResult {
                    line: line.number,
                    event_id: name.map(|name| name.event_id.clone()),
                    status: status.unwrap_or(ReplaceStatus::NotFound),
                }
            }
        });
        let results = results.collect();
        let changed = !self.written.is_empty();
        let correction_id = changed.then(|| self.correction.stamp.id.clone());
        (self.written, ReplaceReport { correction_id, results })
    }
}
