//! Events that do not count, since another event of their request does.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;

use super::measures::Row;
use super::reach::reach_parameters;
use super::{Queries, usage};
use crate::access::Reach;
use crate::error::{Error, Result};
use crate::flush::View;
use crate::model::Money;

const SIGHTINGS_SQL: &str = include_str!("../../queries/sightings.sql");

/// One page of sightings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingsRequest {
    /// Whose rows whoever asks may see. A sighting has neither team nor
    /// department, so that these show none.
    pub reach: Reach,
    /// Of one organization, or of all.
    pub organization_id: Option<String>,
    /// Of one request, or of all.
    pub request_id: Option<String>,
    /// Most rows on the page.
    pub limit: usize,
    /// The last row of the page before.
    pub after: Option<SightingPosition>,
}

/// Where a sighting stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingPosition {
    /// `received_at`, microseconds since 1970.
    pub time_micros: i64,
    /// Whose event.
    pub organization_id: String,
    /// Who sent it.
    pub source: String,
    /// The sender's identifier.
    pub event_id: String,
}

/// A page of sightings, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sightings {
    /// The page.
    pub items: Vec<Sighting>,
    /// Where the next page starts.
    pub next: Option<SightingPosition>,
}

/// An event that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named and documented like the columns of sightings")]
pub struct Sighting {
    pub received_at: DateTime<Utc>,
    pub organization_id: String,
    pub request_id: String,
    pub source: String,
    pub event_id: String,
    pub event_time: DateTime<Utc>,
    pub provider: String,
    pub model_name: String,
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub actual_api_cost: Option<Money>,
    pub charged_cost: Option<Money>,
    pub winner_source: String,
    pub winner_event_id: String,
}

impl Queries {
    /// One page of the events that do not count.
    pub async fn sightings(
        &self,
        view: &Arc<View>,
        request: &SightingsRequest,
    ) -> Result<Sightings> {
        let session = self.engine.session(view)?;
        let doing = "reading sightings";
        let rows = usage::run(&session, SIGHTINGS_SQL, parameters(request), doing).await?;
        let mut items = Row::all(&rows).map(read_sighting).collect::<Result<Vec<_>>>()?;
        let more = items.len() > request.limit;
        items.truncate(request.limit);
        let last = items.last().filter(|_| more);
        let next = last.map(|item| SightingPosition {
            time_micros: item.received_at.timestamp_micros(),
            organization_id: item.organization_id.clone(),
            source: item.source.clone(),
            event_id: item.event_id.clone(),
        });
        Ok(Sightings { items, next })
    }
}

fn parameters(request: &SightingsRequest) -> HashMap<String, ScalarValue> {
    let after = request.after.as_ref();
    let time = after.map_or(0, |position| position.time_micros);
    let time = ScalarValue::TimestampMicrosecond(Some(time), Some("UTC".into()));
    let text = |read: fn(&SightingPosition) -> &str| ScalarValue::from(after.map_or("", read));
    let rows = i64::try_from(request.limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut parameters = HashMap::from([
        ("organization_id".to_owned(), ScalarValue::Utf8(request.organization_id.clone())),
        ("request_id".to_owned(), ScalarValue::Utf8(request.request_id.clone())),
        ("after".to_owned(), after.is_some().into()),
        ("after_time".to_owned(), time),
        ("after_organization_id".to_owned(), text(|position| &position.organization_id)),
        ("after_source".to_owned(), text(|position| &position.source)),
        ("after_event_id".to_owned(), text(|position| &position.event_id)),
        ("limit".to_owned(), rows.into()),
    ]);
    parameters.extend(reach_parameters(&request.reach));
    parameters
}

fn read_sighting(row: Row<'_>) -> Result<Sighting> {
    let text = |name: &str| Ok::<_, Error>(row.text(name)?.map(str::to_owned));
    let required = |name: &str| Ok::<_, Error>(text(name)?.unwrap_or_default());
    let time = |name: &str| {
        row.time(name)?.ok_or_else(|| Error::internal(format!("a sighting has no {name}")))
    };
    Ok(Sighting {
        received_at: time("received_at")?,
        organization_id: required("organization_id")?,
        request_id: required("request_id")?,
        source: required("source")?,
        event_id: required("event_id")?,
        event_time: time("event_time")?,
        provider: required("provider")?,
        model_name: required("model_name")?,
        user_id: text("user_id")?,
        api_key_id: text("api_key_id")?,
        input_tokens: row.count("input_tokens")?,
        cache_read_tokens: row.count("cache_read_tokens")?,
        cache_write_tokens: row.count("cache_write_tokens")?,
        cache_write_1h_tokens: row.count("cache_write_1h_tokens")?,
        output_tokens: row.count("output_tokens")?,
        reasoning_tokens: row.count("reasoning_tokens")?,
        actual_api_cost: row.money("actual_api_cost")?,
        charged_cost: row.money("charged_cost")?,
        winner_source: required("winner_source")?,
        winner_event_id: required("winner_event_id")?,
    })
}
