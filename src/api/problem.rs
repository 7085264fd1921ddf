//! The one envelope of every error: RFC 9457 problem details.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, ErrorKind};

/// What went wrong, which value, the rule, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:spendlake:problem:` and a word.
    #[serde(rename = "type")]
    #[schema(example = "urn:spendlake:problem:invalid")]
    kind: &'static str,
    /// The kind in words, always the same for one type.
    #[schema(example = "The request is wrong")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What this occurrence is about and what to do.
    #[schema(value_type = String)]
    detail: Box<str>,
    /// The parameter that is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    parameter: Option<Box<str>>,
    /// The value that is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    value: Option<Box<str>>,
    /// The request's identifier; the log has more under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<Box<str>>,
    /// When to come back, seconds: the header Retry-After.
    #[serde(skip)]
    retry_after_seconds: Option<NonZeroU32>,
    /// For the log only.
    #[serde(skip)]
    log: Option<Box<str>>,
}

/// Status, type and title of each kind of error: the only place that knows.
fn answer_of(kind: ErrorKind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        ErrorKind::Invalid => {
            (StatusCode::BAD_REQUEST, "urn:spendlake:problem:invalid", "The request is wrong")
        }
        ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "urn:spendlake:problem:not-found", "There is no such thing")
        }
        ErrorKind::Unauthenticated => (
            StatusCode::UNAUTHORIZED,
            "urn:spendlake:problem:unauthenticated",
            "Who asks is not known",
        ),
        ErrorKind::Forbidden => {
            (StatusCode::FORBIDDEN, "urn:spendlake:problem:forbidden", "This is not allowed")
        }
        ErrorKind::Busy => {
            (StatusCode::SERVICE_UNAVAILABLE, "urn:spendlake:problem:busy", "Too much is under way")
        }
        ErrorKind::RateLimited => (
            StatusCode::TOO_MANY_REQUESTS,
            "urn:spendlake:problem:rate-limited",
            "This sender sends too much",
        ),
        ErrorKind::LimitExceeded => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:spendlake:problem:limit-exceeded",
            "A limit was reached",
        ),
        ErrorKind::Cancelled => {
            (StatusCode::CONFLICT, "urn:spendlake:problem:cancelled", "This was cancelled")
        }
        ErrorKind::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:spendlake:problem:unavailable",
            "The service cannot do this now",
        ),
        ErrorKind::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:spendlake:problem:internal",
            "Something is broken here",
        ),
    }
}

/// When to come back, seconds, where the error does not know better.
fn retry_after_seconds_of(kind: ErrorKind) -> Option<u32> {
    match kind {
        ErrorKind::Busy | ErrorKind::RateLimited => Some(1),
        ErrorKind::Unavailable => Some(5),
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::LimitExceeded
        | ErrorKind::Cancelled
        | ErrorKind::Internal => None,
    }
}

impl Problem {
    /// A problem of `kind` that is put right as `detail` says.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let (status, name, title) = answer_of(kind);
        let mut problem = Self::with_status(status, name, title, detail.into());
        problem.retry_after_seconds = retry_after_seconds_of(kind).and_then(NonZeroU32::new);
        problem
    }

    /// A query parameter is wrong: `detail` holds the rule and the way out.
    pub fn parameter(name: &str, value: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ErrorKind::Invalid, detail);
        problem.parameter = Some(name.into());
        problem.value = Some(value.into());
        problem
    }

    /// The body is too large in a way that `detail` explains.
    pub fn body_too_large(detail: impl Into<String>) -> Self {
        let title = "The body is too large";
        let kind = "urn:spendlake:problem:body-too-large";
        Self::with_status(StatusCode::PAYLOAD_TOO_LARGE, kind, title, detail.into())
    }

    /// Something of this name is there already and says otherwise.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        let title = "This is there already, with other content";
        let kind = "urn:spendlake:problem:conflict";
        Self::with_status(StatusCode::CONFLICT, kind, title, detail.into())
    }

    /// No route has this path.
    pub(crate) fn no_route(path: &str) -> Self {
        let detail = format!("there is nothing at {path}; /api/openapi.json lists every route");
        Self::new(ErrorKind::NotFound, detail)
    }

    /// The path has a route, but not for this method.
    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let detail =
            format!("{path} does not take {method}; /api/openapi.json lists what it takes");
        let title = "The route does not take this method";
        Self::with_status(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:spendlake:problem:method-not-allowed",
            title,
            detail,
        )
    }

    /// Nobody knows who asks.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "this route needs credentials: an access token as Bearer or as the password \
                      of Basic, or a session";
        Self::new(ErrorKind::Unauthenticated, detail)
    }

    /// The body is in a format that the route does not read.
    pub(crate) fn media_type(detail: String) -> Self {
        let title = "The body's media type is not read here";
        Self::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:spendlake:problem:media-type",
            title,
            detail,
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What this occurrence is about and what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    fn with_status(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: String,
    ) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            value: None,
            request_id: None,
            retry_after_seconds: None,
            log: None,
        }
    }
}

/// What an internal error says is for the log; the caller learns that it
/// happened.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.kind() != ErrorKind::Internal {
            let mut problem = Self::new(error.kind(), error.full_message());
            let said = error.retry_after_seconds().and_then(NonZeroU32::new);
            problem.retry_after_seconds = said.or(problem.retry_after_seconds);
            return problem;
        }
        let detail = "the request could not be answered because of a defect or damaged data; \
                      the log says more";
        let mut problem = Self::new(ErrorKind::Internal, detail);
        problem.log = Some(error.full_message().into());
        problem
    }
}

/// Answers of one question are shared between requests, and so are its errors.
impl From<Arc<Error>> for Problem {
    fn from(error: Arc<Error>) -> Self {
        match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            Err(shared) => Error::new(shared.kind(), shared.full_message()).into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Middleware: writes the request's identifier (`x-request-id`) into problems
/// and the causes of internal errors into the log.
pub async fn complete_problems(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let id: Option<Box<str>> = id.map(Into::into);
    let mut response = next.run(request).await;
    let known = response.extensions_mut().remove::<Problem>();
    let Some(mut problem) = known.or_else(|| problem_of_plain(&response)) else {
        return response;
    };
    if let Some(cause) = &problem.log {
        tracing::error!(request_id = id.as_deref(), cause, "a request failed");
    }
    problem.request_id = id;
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut completed = problem.into_response();
    completed.extensions_mut().remove::<Problem>();
    if let Some(allow) = allow {
        completed.headers_mut().insert(header::ALLOW, allow);
    }
    completed
}

/// An error that a library answered in plain words becomes a problem too.
fn problem_of_plain(response: &Response) -> Option<Problem> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !plain || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let words = status.canonical_reason().unwrap_or("The request failed");
    let detail = format!("{words}; /api/openapi.json says what each route takes");
    Some(Problem::with_status(status, "urn:spendlake:problem:http", words, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status_and_says_when_to_come_back() {
        for (kind, status, retry) in [
            (ErrorKind::Invalid, 400, None),
            (ErrorKind::NotFound, 404, None),
            (ErrorKind::Unauthenticated, 401, None),
            (ErrorKind::Forbidden, 403, None),
            (ErrorKind::Busy, 503, Some("1")),
            (ErrorKind::RateLimited, 429, Some("1")),
            (ErrorKind::LimitExceeded, 422, None),
            (ErrorKind::Cancelled, 409, None),
            (ErrorKind::Unavailable, 503, Some("5")),
            (ErrorKind::Internal, 500, None),
        ] {
            let response = Problem::from(Error::new(kind, "words")).into_response();
            assert_eq!(response.status(), status, "{kind:?}");
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(header.map(|value| value.as_bytes()), retry.map(str::as_bytes), "{kind:?}");
        }
    }

    #[test]
    fn an_error_that_knows_when_to_come_back_says_so() {
        let error = Error::new(ErrorKind::RateLimited, "words").retry_after(7);
        let response = Problem::from(error).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn what_is_broken_inside_stays_inside() {
        let problem = Problem::from(Error::internal("secret").caused_by("deeper"));
        assert_eq!(problem.log.as_deref(), Some("secret: deeper"));
        let shown = serde_json::to_string(&problem).expect("JSON");
        assert!(!shown.contains("secret") && !shown.contains("deeper"), "{shown}");
    }
}
