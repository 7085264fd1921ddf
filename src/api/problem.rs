//! The one envelope of every error: RFC 9457 problem details.

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
    kind: String,
    /// The kind in words, always the same for one type.
    #[schema(example = "The request is wrong")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What this occurrence is about and what to do.
    detail: String,
    /// The parameter that is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The value that is wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The request's identifier; the log has more under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// For the log only.
    #[serde(skip)]
    log: Option<String>,
}

/// Status, type and title of each kind of error: the only place that knows.
fn answer_of(kind: ErrorKind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid", "The request is wrong"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This is not allowed"),
        ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much is under way"),
        ErrorKind::LimitExceeded => {
            (StatusCode::UNPROCESSABLE_ENTITY, "limit-exceeded", "A limit was reached")
        }
        ErrorKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service cannot do this now")
        }
        ErrorKind::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is broken here")
        }
    }
}

const RETRY_BUSY: &str = "1";
const RETRY_UNAVAILABLE: &str = "5";

impl Problem {
    /// A problem of `kind` that is put right as `detail` says.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let (status, word, title) = answer_of(kind);
        Self::with_status(status, word, title, detail.into())
    }

    /// A query parameter is wrong: `detail` holds the rule and the way out.
    pub fn parameter(name: &str, value: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ErrorKind::Invalid, detail);
        problem.parameter = Some(name.to_owned());
        problem.value = Some(value.to_owned());
        problem
    }

    /// The body is too large in a way that `detail` explains.
    pub fn body_too_large(detail: impl Into<String>) -> Self {
        let title = "The body is too large";
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::with_status(status, "body-too-large", title, detail.into())
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
        Self::with_status(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail)
    }

    /// The body is in a format that the route does not read.
    pub(crate) fn media_type(detail: String) -> Self {
        let title = "The body's media type is not read here";
        Self::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", title, detail)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn with_status(
        status: StatusCode,
        word: &'static str,
        title: &'static str,
        detail: String,
    ) -> Self {
        Self {
            kind: format!("urn:spendlake:problem:{word}"),
            title,
            status: status.as_u16(),
            detail,
            parameter: None,
            value: None,
            request_id: None,
            log: None,
        }
    }
}

/// What an internal error says is for the log; the caller learns that it
/// happened.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.kind() != ErrorKind::Internal {
            return Self::new(error.kind(), error.full_message());
        }
        let detail = "the request could not be answered because of a defect or damaged data; \
                      the log says more";
        let mut problem = Self::new(ErrorKind::Internal, detail);
        problem.log = Some(error.full_message());
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
        let retry = match self.kind.rsplit(':').next() {
            Some("busy") => Some(RETRY_BUSY),
            Some("unavailable") => Some(RETRY_UNAVAILABLE),
            _ => None,
        };
        let mut response = (self.status(), Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Middleware: writes the request's identifier (`x-request-id`) into problems
/// and the causes of internal errors into the log.
pub async fn complete_problems(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let id = id.map(str::to_owned);
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
    Some(Problem::with_status(status, "http", words, detail))
}
