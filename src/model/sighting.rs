//! Sightings: events of a request that another event of it counts for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};

use super::schema::sightings_schema;
use crate::error::{Context, Error, Result};

/// The event that counts in the place of a sighting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// Who sent it.
    pub source: String,
    /// The sender's identifier.
    pub event_id: String,
}

/// The rows of `sightings` for `events`, rows of `usage_events` that do not
/// count, one winner for each; `received_at` is when that was found.
pub fn sightings_batch(
    events: &RecordBatch,
    winners: &[&Winner],
    received_at: DateTime<Utc>,
) -> Result<RecordBatch> {
    let count = events.num_rows();
    if winners.len() != count {
        return Err(Error::internal(format!("{count} sightings have {} winners", winners.len())));
    }
    let days = i32::try_from(received_at.timestamp().div_euclid(86_400)).unwrap_or(i32::MAX);
    let times = TimestampMicrosecondArray::from(vec![received_at.timestamp_micros(); count]);
    let texts = |read: fn(&Winner) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(winners.iter().map(|winner| read(winner))))
    };
    let schema = sightings_schema();
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        Ok(match field.name().as_str() {
            "received_at" => Arc::new(times.clone().with_timezone("UTC")),
            "received_date" => Arc::new(Date32Array::from(vec![days; count])),
            "winner_source" => texts(|winner| &winner.source),
            "winner_event_id" => texts(|winner| &winner.event_id),
            name => {
                let missing = || Error::internal(format!("a sighting has no column {name}"));
                Arc::clone(events.column_by_name(name).ok_or_else(missing)?)
            }
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(schema, columns).internal("building rows of sightings")
}
