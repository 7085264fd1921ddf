//! How an analytics answer is made: from the cache, as "not modified", or by
//! asking once however many requests ask the same at the same time.
//!
//! The name of an answer holds whose rows it is about, so that no cached answer
//! and no `ETag` serves anybody who may see other rows.

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
use super::reading::Reading;
use crate::access::Reach;
use crate::error::{Context, Error, ErrorKind, Result};

/// Memory of the cached answers, bytes.
const CACHE_BYTES_MAX: u64 = 32 << 20;
/// What an entry costs beside its body and key, bytes.
const ENTRY_BYTES: usize = 256;

/// The state of the data, whose rows count, and the full request: equal names,
/// equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AnswerName {
    state: [i64; 5],
    request: String,
    /// Whether every row is within the reach of whoever asks. The state is of
    /// all rows: only who may see all of them may see it change.
    of_everything: bool,
}

impl AnswerName {
    /// Names the answer of `route` to `request`, whose debug form must hold
    /// everything that the answer depends on beside what `reading` holds and the
    /// names of the directory, whose revision is `names`.
    pub(crate) fn new(
        reading: &Reading,
        names: i64,
        route: &str,
        request: &impl fmt::Debug,
    ) -> Self {
        let Reading { view, reach, as_of } = reading;
        let sequence = i64::try_from(view.sequence).unwrap_or(i64::MAX);
        let state = [sequence, view.events.version, view.daily.version, as_of.micros(), names];
        Self {
            state,
            request: format!("{route} {reach:?} {request:?}"),
            of_everything: *reach == Reach::Everything,
        }
    }

    /// "Not modified", when the caller holds this very answer and the state of
    /// the data is enough to tell.
    pub(crate) fn unchanged(&self, headers: &HeaderMap) -> Option<Response> {
        let etag = self.state_etag().filter(|etag| holds(headers, etag))?;
        Some(respond(StatusCode::NOT_MODIFIED, Some(&etag), None))
    }

    /// Says which answer `headers` belong to, where the state tells.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        mark(headers, self.state_etag().as_deref());
    }

    /// Names the answer by the state of all data; `None` where that would tell
    /// of rows that the caller may not see.
    fn state_etag(&self) -> Option<String> {
        let [sequence, events, daily, as_of, names] = self.state;
        // The answer holds names and the program's shapes too, so a new
        // release does not confirm what an old one answered.
        let request = format!("{} {as_of} {names} {}", env!("CARGO_PKG_VERSION"), self.request);
        let hash = xxh3_128(request.as_bytes());
        self.of_everything.then(|| format!("\"{sequence}-{events}-{daily}-{hash:032x}\""))
    }

    /// Names the answer by its content. A weak name, since it says nothing of
    /// `as_of`, which moves on with the clock.
    fn content_etag(&self, body: &Bytes) -> String {
        let (before, after) = around_as_of(body);
        let hashes = [self.request.as_bytes(), before, after].map(xxh3_128);
        let hash = xxh3_128(format!("{} {hashes:?}", env!("CARGO_PKG_VERSION")).as_bytes());
        format!("W/\"{hash:032x}\"")
    }

    fn respond(&self, headers: &HeaderMap, body: Bytes) -> Response {
        let etag = self.state_etag().unwrap_or_else(|| self.content_etag(&body));
        if holds(headers, &etag) {
            return respond(StatusCode::NOT_MODIFIED, Some(&etag), None);
        }
        respond(StatusCode::OK, Some(&etag), Some(body))
    }
}

/// What stands before and after the value of the answer's own `as_of`. Within
/// a text its quotes would be escaped; and it comes after all items.
fn around_as_of(body: &[u8]) -> (&[u8], &[u8]) {
    const NAME: &[u8] = b"\"as_of\":";
    let Some(start) = body.windows(NAME.len()).rposition(|part| part == NAME) else {
        return (body, &[]);
    };
    let (before, rest) = body.split_at(start + NAME.len());
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}'));
    (before, rest.get(end.unwrap_or(rest.len())..).unwrap_or_default())
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
        if let Some(body) = self.bodies.get(&name) {
            count("cache");
            return Ok(name.respond(headers, body));
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
        let key = name.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let asked = bodies.try_get_with(key, || handle.block_on(json(ask)));
            drop(permit);
            asked
        });
        let body = asked.await.internal("a question broke off")?.map_err(Problem::from)?;
        Ok(name.respond(headers, body))
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
    let strong = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
    let etag = strong(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|held| held == "*" || strong(held) == etag)
}

fn respond(status: StatusCode, etag: Option<&str>, body: Option<Bytes>) -> Response {
    let mut response = (status, body.map_or_else(Body::empty, Body::from)).into_response();
    let headers = response.headers_mut();
    if status == StatusCode::OK {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    mark(headers, etag);
    response
}

fn mark(headers: &mut HeaderMap, etag: Option<&str>) {
    if let Some(Ok(etag)) = etag.map(HeaderValue::from_str) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::access::RowReach;

    fn name(request: &str) -> AnswerName {
        AnswerName { state: [1, 2, 3, 4, 5], request: request.to_owned(), of_everything: true }
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
    fn the_name_of_an_answer_holds_whose_rows_it_is_about() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let view = Arc::new(crate::api::tests::fixture::empty_view(&folder));
        let reaches = [
            Reach::Everything,
            Reach::nothing(),
            Reach::within("a", RowReach::Whole),
            Reach::within("b", RowReach::Whole),
            Reach::within("a", RowReach::of_team("t")),
            Reach::within("a", RowReach::of_department("t")),
            Reach::within("a", RowReach::of_user("t")),
        ];
        let named = |reach: &Reach| {
            let reading = Reading::new(Arc::clone(&view), reach.clone(), DateTime::UNIX_EPOCH);
            AnswerName::new(&reading, 0, "summary", &"the same")
        };
        let body = Bytes::from_static(b"{}");
        for (one, reach) in reaches.iter().enumerate() {
            for other in &reaches[..one] {
                let (name, other) = (named(reach), named(other));
                assert_ne!(name.request, other.request, "{reach:?}");
                assert_ne!(name.content_etag(&body), other.content_etag(&body), "{reach:?}");
            }
            assert_eq!(named(reach).state_etag().is_some(), *reach == Reach::Everything);
        }
    }

    #[test]
    fn a_name_by_content_says_nothing_of_the_moment_and_everything_of_the_rest() {
        let etag =
            |body: &'static str| name("a").content_etag(&Bytes::from_static(body.as_bytes()));
        let first = etag(r#"{"name":"\"as_of\":","as_of":"2026-01-01","date_to":"x"}"#);
        assert_eq!(first, etag(r#"{"name":"\"as_of\":","as_of":"2026-01-02","date_to":"x"}"#));
        assert_ne!(first, etag(r#"{"name":"\"as_of\":","as_of":"2026-01-01","date_to":"y"}"#));
        assert_ne!(first, etag(r#"{"name":"other","as_of":"2026-01-01","date_to":"x"}"#));
        assert_ne!(etag(r#"{"as_of":null}"#), etag("{}"));
        assert!(first.starts_with("W/"), "{first}");
    }

    #[test]
    fn an_etag_is_recognised_among_others_and_when_weakened() {
        let etag = name("a").state_etag().expect("a name");
        for held in [format!("\"x\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&held).expect("header"));
            assert!(name("a").unchanged(&headers).is_some(), "{held}");
            assert_eq!(name("b").unchanged(&headers).is_some(), held == "*");
        }
    }
}
