//! Voids: events that should not count.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use serde_json::json;

use super::{Corrector, check_count, check_reason, only_organization};
use crate::error::{Context, Result};
use crate::model::current_rows;
use crate::query::{EventName, event_names};

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoidStatus {
    /// It counted until now.
    Voided,
    /// It did not count any more.
    AlreadyVoid,
    /// It was never stored.
    NotFound,
}

/// One event and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidResult {
    /// The event.
    pub event: EventName,
    /// What became of it.
    pub status: VoidStatus,
}

/// What a void did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidReport {
    /// Names the correction; `None` when nothing changed.
    pub correction_id: Option<String>,
    /// One result for each event, in the order of asking.
    pub results: Vec<VoidResult>,
}

impl Corrector {
    /// Takes `events` back, all of them in one step. Voiding an event again
    /// changes nothing.
    pub async fn void(&self, events: Vec<EventName>, reason: &str) -> Result<VoidReport> {
        check_reason(reason)?;
        check_count(events.len())?;
        let correction = self.begin().await?;
        let rows = self.parts.queries.events_by_name(&correction.view(), &events).await?;
        let mut statuses = HashMap::new();
        let mut taken_back = Vec::new();
        for rows in rows {
            for name in event_names(&rows)? {
                statuses.insert(name, VoidStatus::AlreadyVoid);
            }
            let current = taken(&rows, &current_rows(&rows)?)?;
            for name in event_names(&current)? {
                statuses.insert(name, VoidStatus::Voided);
            }
            taken_back.push(correction.reversals(&current)?);
        }
        taken_back.retain(|rows| rows.num_rows() > 0);
        let changed = !taken_back.is_empty();
        if changed {
            let voided = taken_back.iter().map(RecordBatch::num_rows).sum::<usize>();
            let whose = only_organization(events.iter().map(|one| one.organization_id.as_str()));
            let details = json!({"events": voided, "organization_id": whose});
            correction.audit("events.void", reason, details).await?;
            correction.corrections.append(taken_back).await?;
        }
        let status = |name: &EventName| statuses.get(name).copied().unwrap_or(VoidStatus::NotFound);
        let results =
            events.into_iter().map(|event| VoidResult { status: status(&event), event }).collect();
        Ok(VoidReport { correction_id: changed.then_some(correction.stamp.id), results })
    }
}

/// The rows at `places`.
pub(super) fn taken(rows: &RecordBatch, places: &[usize]) -> Result<RecordBatch> {
    let places: UInt64Array = places.iter().map(|place| *place as u64).collect();
    take_record_batch(rows, &places).internal("taking the current rows")
}

/// Where each event's row stands.
pub(super) fn places(rows: &RecordBatch) -> Result<BTreeMap<EventName, usize>> {
    Ok(event_names(rows)?.into_iter().zip(0..).collect())
}
