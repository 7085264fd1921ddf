//! Judges a group of requests against everything acknowledged before, in the
//! order of their arrival.

use std::collections::HashMap;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use chrono::{DateTime, Utc};

use super::old_events::OldEvents;
use super::record::FrameContent;
use super::report::{IngestReport, LineResult, LineStatus, refused_result};
use crate::error::{Context, Result};
use crate::ingest::{EventKey, PreparedRequest, rejected_batch};
use crate::model::{rejected_events_schema, usage_events_schema};

/// Stands for a fingerprint that is no longer known (the memory of keys was
/// rebuilt from the lake): a copy of such an event counts as a duplicate.
pub(super) const UNKNOWN_FINGERPRINT: u64 = 0;

/// One request, ready to be judged.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) prepared: PreparedRequest,
    /// Stored keys of the days of its old events.
    pub(super) old: OldEvents,
    pub(super) request_id: String,
    pub(super) received_at: DateTime<Utc>,
}

/// What is to be stored of a group, and what to answer once it is.
#[derive(Debug)]
pub(super) struct JudgedGroup {
    pub(super) content: FrameContent,
    pub(super) reports: Vec<IngestReport>,
}

/// Judges each line of each request: `find` looks a key up in the memory of
/// everything acknowledged before the group.
pub(super) fn judge(
    group: &mut [PendingRequest],
    mut find: impl FnMut(u128) -> Result<Option<u64>>,
) -> Result<JudgedGroup> {
    let mut fresh: HashMap<u128, u64> = HashMap::new();
    let (mut keys, mut events, mut rejected, mut reports) = (vec![], vec![], vec![], vec![]);
    for request in group {
        let mut report = IngestReport::default();
        let mut keep = Vec::with_capacity(request.prepared.events.len());
        let mut refused = 0_usize;
        for line in &mut request.prepared.lines {
            let Ok(key) = line.outcome else {
                if let Err(rejection) = &line.outcome {
                    report.push(refused_result(line, rejection, false));
                }
                refused += 1;
                continue;
            };
            let event = &request.prepared.events[keep.len()];
            let known = match fresh.get(&key.key) {
                Some(first) => Some(*first == key.fingerprint),
                None => find(key.key)?
                    .map(|first| first == key.fingerprint || first == UNKNOWN_FINGERPRINT)
                    .or_else(|| request.old.find(key.key, event)),
            };
            keep.push(known.is_none());
            if known == Some(false) {
                line.refuse_as_conflict(event);
                if let Err(rejection) = &line.outcome {
                    report.push(refused_result(line, rejection, true));
                }
                refused += 1;
                continue;
            }
            if known.is_none() {
                fresh.insert(key.key, key.fingerprint);
                keys.push(EventKey { ..key });
            }
            let status = if known.is_none() { LineStatus::Accepted } else { LineStatus::Duplicate };
            let (line, rounded) = (line.number, line.rounded);
            report.push(LineResult {
                line,
                event_id: Some(event.event_id.clone()),
                status,
                rounded,
            });
        }
        events.push(kept_rows(&request.prepared.rows, keep)?);
        if refused > 0 {
            let (id, at) = (&request.request_id, request.received_at);
            rejected.push(rejected_batch(&request.prepared.lines, id, at)?);
        }
        reports.push(report);
    }
    let doing = "joining the rows of a group";
    let content = FrameContent {
        keys,
        events: concat_batches(&usage_events_schema(), &events).internal(doing)?,
        rejected: concat_batches(&rejected_events_schema(), &rejected).internal(doing)?,
    };
    Ok(JudgedGroup { content, reports })
}

fn kept_rows(rows: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch> {
    if keep.iter().all(|keep| *keep) {
        return Ok(rows.clone());
    }
    filter_record_batch(rows, &BooleanArray::from(keep)).internal("leaving out duplicates")
}
