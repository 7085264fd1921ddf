//! Events that do not count, since another event of their request does.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::caller::Caller;
use super::cursor::{decode_sighting, encode_sighting, request_hash};
use super::filters::organization_id;
use super::list_params::limit;
use super::params::Params;
use super::problem::Problem;
use super::reading::Reading;
use super::wire::{money, time};
use crate::query::{self, SightingsRequest};

/// The parameters of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `sightings` reads")]
struct SightingParams {
    /// Only those of this organization.
    organization_id: Option<String>,
    /// Only those of this request (of a model).
    request_id: Option<String>,
    /// Most items on the page.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

/// A page of sightings, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sightings {
    /// The page.
    items: Vec<Sighting>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
    /// Every event acknowledged by then is in the answer.
    as_of: Option<String>,
}

/// An event that is in no sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sighting {
    /// When the request arrived that made it a sighting.
    received_at: String,
    /// Whose event.
    organization_id: String,
    /// The request that it shares with the event that counts.
    request_id: String,
    /// Who sent it.
    source: String,
    /// The sender's identifier.
    event_id: String,
    /// When the call happened.
    event_time: String,
    /// The provider.
    provider: String,
    /// The model.
    model_name: String,
    /// Who caused it.
    user_id: Option<String>,
    /// With which key.
    api_key_id: Option<String>,
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
    /// What the user pays by this event, US dollars; null when unknown.
    total_cost: Option<String>,
    /// What the provider charges by this event, US dollars; null when unknown.
    actual_api_cost: Option<String>,
    /// Who sent the event that counted when this one was found not to.
    winner_source: String,
    /// Its sender's identifier.
    winner_event_id: String,
}

/// Events of requests that another event counts for.
///
/// A call that gateway, tool and provider each report counts once, by the
/// event of the source that `source_precedence` names first; the others are
/// listed here and are in no sum. A sighting has neither team nor department:
/// roles over these show none.
#[utoipa::path(
    get, path = "/api/sightings", tag = "ingest",
    params(SightingParams),
    responses((status = 200, body = Sightings), (status = 304), (status = 400, body = Problem))
)]
pub(crate) async fn sightings(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = ["organization_id", "request_id", "limit", "cursor"];
    let params = Params::parse(query.as_deref(), &names)?;
    let rule = "it is a UUID in its hyphenated form";
    let organization_id = params.parsed("organization_id", rule, organization_id)?;
    let request_id = params.one("request_id")?.map(str::to_owned);
    let limit = limit(&params)?;
    let hash = request_hash(&(&organization_id, &request_id));
    let after = params.one("cursor")?.map(|cursor| decode_sighting(hash, cursor)).transpose()?;
    let reading = state.reading(&caller)?;
    let reach = reading.reach.clone();
    let request = SightingsRequest { reach, organization_id, request_id, limit, after };
    // Retention drops rows without a new event.
    let version = reading.view.sightings.version;
    let name = state.answer_name(&reading, "sightings", &(version, &request));
    let queries = Arc::clone(state.queries());
    let Reading { view, as_of, .. } = reading;
    let ask = async move {
        let page = queries.sightings(&view, &request).await?;
        Ok(Sightings {
            next_cursor: page.next.as_ref().map(|next| encode_sighting(hash, next)),
            items: page.items.into_iter().map(Sighting::from).collect(),
            as_of: as_of.text(),
        })
    };
    state.answers().answer(&headers, name, ask).await
}

impl From<query::Sighting> for Sighting {
    fn from(event: query::Sighting) -> Self {
        Self {
            received_at: time(event.received_at),
            organization_id: event.organization_id,
            request_id: event.request_id,
            source: event.source,
            event_id: event.event_id,
            event_time: time(event.event_time),
            provider: event.provider,
            model_name: event.model_name,
            user_id: event.user_id,
            api_key_id: event.api_key_id,
            input_tokens: event.input_tokens,
            cache_read_tokens: event.cache_read_tokens,
            cache_write_tokens: event.cache_write_tokens,
            cache_write_1h_tokens: event.cache_write_1h_tokens,
            output_tokens: event.output_tokens,
            reasoning_tokens: event.reasoning_tokens,
            total_cost: money(event.charged_cost),
            actual_api_cost: money(event.actual_api_cost),
            winner_source: event.winner_source,
            winner_event_id: event.winner_event_id,
        }
    }
}
