//! One conversation: its totals and its events.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Days, Utc};
use datafusion::common::ScalarValue;

use super::list::{Item, ListRequest, Page};
use super::measures::{Row, days_of_date};
use super::reach::reach_parameters;
use super::{Queries, usage};
use crate::access::Reach;
use crate::error::{Error, Result};
use crate::flush::View;
use crate::model::Money;
use crate::rollup::{DateBucket, Dimension, UsageFilter};

const EVENTS_SQL: &str = include_str!("../../queries/conversation_events.sql");

/// One page of a conversation's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRequest {
    /// Whose rows whoever asks may see: of others, neither events nor sums.
    pub reach: Reach,
    /// Whose conversation.
    pub organization_id: String,
    /// Which.
    pub conversation_id: String,
    /// Most events on the page.
    pub limit: usize,
    /// The last event of the page before.
    pub after: Option<EventPosition>,
}

/// Where an event stands in its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPosition {
    /// `event_time`, microseconds since 1970.
    pub time_micros: i64,
    /// Who sent it.
    pub source: String,
    /// The sender's identifier.
    pub event_id: String,
    /// +1 for usage, −1 for its reversal.
    pub quantity: i64,
}

/// A conversation and a page of its events, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The whole conversation.
    pub whole: Item,
    /// The page.
    pub events: Vec<ConversationEvent>,
    /// Where the next page starts.
    pub next: Option<EventPosition>,
}

/// One event as it is stored; a reversal's measures are negative.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named and documented like the columns of usage_events")]
pub struct ConversationEvent {
    pub event_id: String,
    pub source: String,
    pub event_time: DateTime<Utc>,
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    pub team_id: Option<String>,
    pub department: Option<String>,
    pub provider: String,
    pub model_name: String,
    pub status: String,
    pub topic: Option<String>,
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub total_cost: Option<Money>,
    pub actual_api_cost: Option<Money>,
    pub cost_source: String,
    pub price_version: Option<String>,
    pub duration_ms: Option<i64>,
    pub entry: String,
    pub quantity: i64,
}

impl Queries {
    /// The conversation and one page of its events; not found when it never
    /// had any within the reach.
    pub async fn conversation(
        &self,
        view: &Arc<View>,
        request: &ConversationRequest,
    ) -> Result<Conversation> {
        let whole = self.conversation_whole(view, request).await?;
        let session = self.engine.session(view)?;
        let parameters = event_parameters(request, &whole);
        let doing = "reading a conversation's events";
        let rows = usage::run(&session, EVENTS_SQL, parameters, doing).await?;
        let mut events = Row::all(&rows).map(read_event).collect::<Result<Vec<_>>>()?;
        let more = events.len() > request.limit;
        events.truncate(request.limit);
        let last = events.last().filter(|_| more);
        let next = last.map(|event| EventPosition {
            time_micros: event.event_time.timestamp_micros(),
            source: event.source.clone(),
            event_id: event.event_id.clone(),
            quantity: event.quantity,
        });
        Ok(Conversation { whole, events, next })
    }

    async fn conversation_whole(
        &self,
        view: &Arc<View>,
        request: &ConversationRequest,
    ) -> Result<Item> {
        let mut filter = UsageFilter::all(request.reach.clone());
        filter.organization_ids = vec![request.organization_id.clone()];
        filter.conversation_ids = vec![request.conversation_id.clone()];
        let list = ListRequest {
            filter,
            group_by: vec![Dimension::Organization, Dimension::Conversation],
            date_bucket: DateBucket::Day,
            sort: "name",
            descending: false,
            limit: 1,
            after: None,
        };
        let Page { items, .. } = self.list(view, &list).await?;
        items.into_iter().next().ok_or_else(|| unknown_conversation(&request.conversation_id))
    }
}

/// Answers a conversation that never had an event, or none that may be seen.
pub fn unknown_conversation(id: &str) -> Error {
    Error::not_found(format!("no event ever named the conversation {id:?}; check the id"))
}

fn event_parameters(request: &ConversationRequest, whole: &Item) -> HashMap<String, ScalarValue> {
    // An organization's local date is at most a day away from the UTC date.
    let day = |time: Option<DateTime<Utc>>| time.unwrap_or_default().date_naive();
    let from = day(whole.first_event_time);
    let to = day(whole.last_event_time);
    let from = from.checked_sub_days(Days::new(1)).unwrap_or(from);
    let to = to.checked_add_days(Days::new(1)).unwrap_or(to);
    let date = |date| ScalarValue::Date32(Some(days_of_date(date)));
    let after = request.after.as_ref();
    let time = after.map_or(0, |position| position.time_micros);
    let text = |read: fn(&EventPosition) -> &str| ScalarValue::from(after.map_or("", read));
    let rows = i64::try_from(request.limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut parameters = HashMap::from([
        ("organization_id".to_owned(), request.organization_id.as_str().into()),
        ("conversation_id".to_owned(), request.conversation_id.as_str().into()),
        ("date_from".to_owned(), date(from)),
        ("date_to".to_owned(), date(to)),
        ("after".to_owned(), after.is_some().into()),
        (
            "after_time".to_owned(),
            ScalarValue::TimestampMicrosecond(Some(time), Some("UTC".into())),
        ),
        ("after_source".to_owned(), text(|position| &position.source)),
        ("after_event_id".to_owned(), text(|position| &position.event_id)),
        ("after_quantity".to_owned(), after.map_or(0, |position| position.quantity).into()),
        ("limit".to_owned(), rows.into()),
    ]);
    parameters.extend(reach_parameters(&request.reach));
    parameters
}

fn read_event(row: Row<'_>) -> Result<ConversationEvent> {
    let text = |name: &str| Ok::<_, Error>(row.text(name)?.map(str::to_owned));
    let required = |name: &str| Ok::<_, Error>(text(name)?.unwrap_or_default());
    let event_time = row.time("event_time")?;
    Ok(ConversationEvent {
        event_id: required("event_id")?,
        source: required("source")?,
        event_time: event_time.ok_or_else(|| Error::internal("an event has no time"))?,
        user_id: text("user_id")?,
        api_key_id: text("api_key_id")?,
        team_id: text("team_id")?,
        department: text("department")?,
        provider: required("provider")?,
        model_name: required("model_name")?,
        status: required("status")?,
        topic: text("topic")?,
        input_tokens: row.count("input_tokens")?,
        cache_read_tokens: row.count("cache_read_tokens")?,
        cache_write_tokens: row.count("cache_write_tokens")?,
        cache_write_1h_tokens: row.count("cache_write_1h_tokens")?,
        output_tokens: row.count("output_tokens")?,
        reasoning_tokens: row.count("reasoning_tokens")?,
        total_cost: row.money("charged_cost")?,
        actual_api_cost: row.money("actual_api_cost")?,
        cost_source: required("cost_source")?,
        price_version: text("price_version")?,
        duration_ms: row.long("duration_ms")?,
        entry: required("entry")?,
        quantity: row.count("quantity")?,
    })
}
