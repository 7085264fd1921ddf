//! One conversation and its events.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::caller::Caller;
use super::cursor::{decode_event, encode_event, request_hash};
use super::filters::organization_id;
use super::items::ListItem;
use super::list_params::limit;
use super::params::Params;
use super::problem::Problem;
use super::reading::Reading;
use super::wire::{money, time};
use crate::query::{self, ConversationRequest, unknown_conversation};
use crate::rollup::Dimension;

/// The parameters of a conversation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `conversation` reads")]
struct ConversationParams {
    /// Whose conversation; needed when several organizations use the id.
    organization_id: Option<String>,
    /// Most events on the page.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

/// A conversation over all time, and a page of its events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversation {
    /// The whole conversation.
    #[serde(flatten)]
    whole: ListItem,
    /// The events, by time.
    items: Vec<ConversationEvent>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
    /// Every event acknowledged by then is in the answer.
    as_of: Option<String>,
}

/// One event as it was sent; the measures of a reversal are negative.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationEvent {
    /// The sender's identifier.
    event_id: String,
    /// Who sent it.
    source: String,
    /// When the call happened.
    event_time: String,
    /// Who caused it.
    user_id: Option<String>,
    /// With which key.
    api_key_id: Option<String>,
    /// The team at that time.
    team_id: Option<String>,
    /// The department at that time.
    department: Option<String>,
    /// The provider.
    provider: String,
    /// The model.
    model_name: String,
    /// active, completed or failed.
    status: String,
    /// What it was about.
    topic: Option<String>,
    /// Prompt tokens outside any cache.
    input_tokens: i64,
    /// Prompt tokens read from a cache.
    cache_read_tokens: i64,
    /// Prompt tokens written to a five-minute cache.
    cache_write_tokens: i64,
    /// Prompt tokens written to a one-hour cache.
    cache_write_1h_tokens: i64,
    /// Generated tokens.
    output_tokens: i64,
    /// The part of output_tokens spent on reasoning.
    reasoning_tokens: i64,
    /// What the user pays, US dollars; null when unknown.
    total_cost: Option<String>,
    /// What the provider charges, US dollars; null when unknown.
    actual_api_cost: Option<String>,
    /// reported, computed or unpriced.
    cost_source: String,
    /// The price list used, when computed.
    price_version: Option<String>,
    /// How long the call took.
    duration_ms: Option<i64>,
    /// usage or reversal.
    entry: String,
}

/// One conversation: the totals and events of it that may be seen.
#[utoipa::path(
    get, path = "/api/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation"), ConversationParams),
    responses((status = 200, body = Conversation), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn conversation(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["organization_id", "limit", "cursor"])?;
    let rule = "it is a UUID in its hyphenated form";
    let named = params.parsed("organization_id", rule, organization_id)?;
    let limit = limit(&params)?;
    let reading = state.reading(&caller)?;
    let organization_id = match named {
        Some(named) if reading.reach.of_organization(&named).is_none() => {
            return Err(unknown_conversation(&id).into());
        }
        Some(organization_id) => organization_id,
        None => {
            let found = state.organizations_of(&reading, Dimension::Conversation, &id).await?;
            one_organization(&id, &found)?
        }
    };
    let hash = request_hash(&(&organization_id, &id));
    let after = params.one("cursor")?.map(|cursor| decode_event(hash, cursor)).transpose()?;
    let reach = reading.reach.clone();
    let request = ConversationRequest { reach, organization_id, conversation_id: id, limit, after };
    let name = state.answer_name(&reading, "conversation", &request);
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let conversation = queries.conversation(&view, &request).await?;
        Ok(Conversation {
            next_cursor: conversation.next.as_ref().map(|next| encode_event(hash, next)),
            items: conversation.events.into_iter().map(ConversationEvent::from).collect(),
            whole: conversation.whole.into(),
            as_of: as_of.text(),
        })
    };
    state.answers().answer(&headers, name, ask).await
}

fn one_organization(id: &str, organizations: &[String]) -> Result<String, Problem> {
    if organizations.len() > 1 {
        let all = organizations.join(", ");
        let detail = format!(
            "the conversation {id:?} occurs in several organizations: {all}; \
             say which with organization_id"
        );
        return Err(Problem::parameter("organization_id", "", detail));
    }
    organizations.first().cloned().ok_or_else(|| unknown_conversation(id).into())
}

impl From<query::ConversationEvent> for ConversationEvent {
    fn from(event: query::ConversationEvent) -> Self {
        Self {
            event_id: event.event_id,
            source: event.source,
            event_time: time(event.event_time),
            user_id: event.user_id,
            api_key_id: event.api_key_id,
            team_id: event.team_id,
            department: event.department,
            provider: event.provider,
            model_name: event.model_name,
            status: event.status,
            topic: event.topic,
            input_tokens: event.input_tokens,
            cache_read_tokens: event.cache_read_tokens,
            cache_write_tokens: event.cache_write_tokens,
            cache_write_1h_tokens: event.cache_write_1h_tokens,
            output_tokens: event.output_tokens,
            reasoning_tokens: event.reasoning_tokens,
            total_cost: money(event.total_cost),
            actual_api_cost: money(event.actual_api_cost),
            cost_source: event.cost_source,
            price_version: event.price_version,
            duration_ms: event.duration_ms,
            entry: event.entry,
        }
    }
}
