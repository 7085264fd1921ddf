//! How an analytics answer is made: from the cache, as "not modified", or by
//! asking once however many requests ask the same at the same time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use moka::sync::Cache;
use serde::Serialize;
use tokio::sync::Semaphore;
use xxhash_rust::xxh3::xxh3_128;

use super::problem::Problem;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::View;

/// Memory of the cached answers, bytes.
const CACHE_BYTES_MAX: u64 = 32 << 20;
/// What an entry costs beside its body and key, bytes.
const ENTRY_BYTES: usize = 256;

/// The state of the data and the full request: equal names, equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AnswerName {
    state: [i64; 5],
    request: String,
}

impl AnswerName {
    /// Names the answer of `route` to `request`, whose debug form must hold
    /// everything that the answer depends on beside the view and the names
    /// of the directory, whose revision is `names`.
    pub(crate) fn new(view: &View, names: i64, route: &str, request: &impl fmt::Debug) -> Self {
        let sequence = i64::try_from(view.sequence).unwrap_or(i64::MAX);
        let state = [sequence, view.events.version, view.daily.version, view.as_of_micros, names];
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
        let [sequence, events, daily, as_of, names] = self.state;
        // The answer holds names and the program's shapes too, so a new
        // release does not confirm what an old one answered.
        let request = format!("{} {as_of} {names} {}", env!("CARGO_PKG_VERSION"), self.request);
        format!("\"{sequence}-{events}-{daily}-{:032x}\"", xxh3_128(request.as_bytes()))
    }
}

/// The bodies of recent answers, bounded by bytes; the least used leave.
#[derive(Debug, Clone)]
pub(crate) struct AnswerCache {
    bodies: Cache<AnswerName, Bytes>,
    questions: Arc<Semaphore>,
}

impl AnswerCache {
    /// At most `questions_max` questions run or wait for one that runs.
    pub(crate) fn new(questions_max: usize) -> Self {
        let weigher = |name: &AnswerName, body: &Bytes| {
            let bytes = name.request.len() + body.len() + ENTRY_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let bodies = Cache::builder().max_capacity(CACHE_BYTES_MAX).weigher(weigher).build();
        Self { bodies, questions: Arc::new(Semaphore::new(questions_max)) }
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
            count("unchanged");
            return Ok(unchanged);
        }
        let etag = name.etag();
        if let Some(body) = self.bodies.get(&name) {
            count("cache");
            return Ok(respond(StatusCode::OK, &etag, Some(body)));
        }
        let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else {
            let detail = "too many questions are under way; ask again in a moment";
            return Err(Problem::new(ErrorKind::Busy, detail));
        };
        count("question");
        let bodies = self.bodies.clone();
        let handle = tokio::runtime::Handle::current();
        // On a thread for blocking work, so waiting for another request's
        // answer stops nobody.
        let asked = tokio::task::spawn_blocking(move || {
            let asked = bodies.try_get_with(name, || handle.block_on(json(ask)));
            drop(permit);
            asked
        });
        let body = asked.await.internal("a question broke off")?.map_err(Problem::from)?;
        Ok(respond(StatusCode::OK, &etag, Some(body)))
    }
}

fn count(source: &'static str) {
    metrics::counter!("spendlake_answers_total", "from" => source).increment(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(request: &str) -> AnswerName {
        AnswerName { state: [1, 2, 3, 4, 5], request: request.to_owned() }
    }

    #[tokio::test]
    async fn a_question_is_asked_once_for_one_state_and_request() {
        let answers = AnswerCache::new(1);
        let headers = HeaderMap::new();
        let first = answers.answer(&headers, name("a"), async { Ok(1) }).await.expect("answer");
        let never = async { Err::<i32, _>(Error::internal("asked again")) };
        let second = answers.answer(&headers, name("a"), never).await.expect("from the cache");
        assert_eq!(first.headers()[header::ETAG], second.headers()[header::ETAG]);
        let other = answers.answer(&headers, name("b"), async { Ok(2) }).await.expect("answer");
        assert_ne!(first.headers()[header::ETAG], other.headers()[header::ETAG]);
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let answers = AnswerCache::new(1);
        let headers = HeaderMap::new();
        let failing = async { Err::<i32, _>(Error::unavailable("not yet")) };
        let problem = answers.answer(&headers, name("a"), failing).await.expect_err("a problem");
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answers.answer(&headers, name("a"), async { Ok(1) }).await.is_ok());
    }

    #[tokio::test]
    async fn more_questions_than_places_are_told_to_come_back() {
        let answers = AnswerCache::new(0);
        let asked = answers.answer(&HeaderMap::new(), name("a"), async { Ok(1) }).await;
        let response = asked.expect_err("a problem").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn an_etag_is_recognised_among_others_and_when_weakened() {
        let etag = name("a").etag();
        for held in [format!("\"x\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&held).expect("header"));
            assert!(name("a").unchanged(&headers).is_some(), "{held}");
            assert_eq!(name("b").unchanged(&headers).is_some(), held == "*");
        }
    }
}
