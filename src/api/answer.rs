//! How an analytics answer is made: from the cache, as "not modified", or by
//! asking once however many requests ask the same at the same time.

use std::fmt;
use std::future::Future;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use moka::sync::Cache;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::problem::Problem;
use crate::error::{Context, Error, Result};
use crate::flush::View;

/// Memory of the cached answers, bytes.
const CACHE_BYTES_MAX: u64 = 32 << 20;
/// What an entry costs beside its body and key, bytes.
const ENTRY_BYTES: usize = 256;

/// The state of the data and the full request: equal names, equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AnswerName {
    state: [i64; 4],
    request: String,
}

impl AnswerName {
    /// Names the answer of `route` to `request`, whose debug form must hold
    /// everything that the answer depends on beside the view.
    pub(crate) fn new(view: &View, route: &str, request: &impl fmt::Debug) -> Self {
        let sequence = i64::try_from(view.sequence).unwrap_or(i64::MAX);
        let state = [sequence, view.events.version, view.daily.version, view.as_of_micros];
        Self { state, request: format!("{route} {request:?}") }
    }

    /// "Not modified", when the caller holds this very answer.
    pub(crate) fn unchanged(&self, headers: &HeaderMap) -> Option<Response> {
        let etag = self.etag();
        holds(headers, &etag).then(|| respond(StatusCode::NOT_MODIFIED, &etag, None))
    }

    /// Says which answer `headers` belong to.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        mark(headers, &self.etag());
    }

    fn etag(&self) -> String {
        let [sequence, events, daily, as_of] = self.state;
        // The answer holds names and the program's shapes too, so a new
        // release does not confirm what an old one answered.
        let request = format!("{} {as_of} {}", env!("CARGO_PKG_VERSION"), self.request);
        format!("\"{sequence}-{events}-{daily}-{:032x}\"", xxh3_128(request.as_bytes()))
    }
}

/// The bodies of recent answers, bounded by bytes; the least used leave.
#[derive(Debug, Clone)]
pub(crate) struct AnswerCache(Cache<AnswerName, Bytes>);

impl AnswerCache {
    pub(crate) fn new() -> Self {
        let weigher = |name: &AnswerName, body: &Bytes| {
            let bytes = name.request.len() + body.len() + ENTRY_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(CACHE_BYTES_MAX).weigher(weigher).build())
    }

    /// Answers `name`: "not modified" when the caller has it, else the JSON of
    /// what `ask` finds, which runs away from the async workers and once for
    /// all requests that wait for it.
    pub(crate) async fn answer<T: Serialize + 'static>(
        &self,
        headers: &HeaderMap,
        name: AnswerName,
        ask: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<Response, Problem> {
        if let Some(unchanged) = name.unchanged(headers) {
            return Ok(unchanged);
        }
        let etag = name.etag();
        if let Some(body) = self.0.get(&name) {
            return Ok(respond(StatusCode::OK, &etag, Some(body)));
        }
        let cache = self.0.clone();
        let handle = tokio::runtime::Handle::current();
        // On a thread for blocking work, so waiting for another request's
        // answer stops nobody.
        let asked = tokio::task::spawn_blocking(move || {
            cache.try_get_with(name, || handle.block_on(json(ask)))
        });
        let body = asked.await.internal("a question broke off")?.map_err(Problem::from)?;
        Ok(respond(StatusCode::OK, &etag, Some(body)))
    }
}

async fn json<T: Serialize>(ask: impl Future<Output = Result<T>>) -> Result<Bytes, Error> {
    let answer = ask.await?;
    let body = serde_json::to_vec(&answer).internal("writing an answer as JSON")?;
    Ok(Bytes::from(body))
}

/// Whether `If-None-Match` names `etag`, strongly or weakly.
fn holds(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == etag)
}

fn respond(status: StatusCode, etag: &str, body: Option<Bytes>) -> Response {
    let mut response = (status, body.map_or_else(Body::empty, Body::from)).into_response();
    let headers = response.headers_mut();
    if status == StatusCode::OK {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    mark(headers, etag);
    response
}

fn mark(headers: &mut HeaderMap, etag: &str) {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}
