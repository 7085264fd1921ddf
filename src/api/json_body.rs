//! Reads JSON bodies of small requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::error::ErrorKind;

/// Largest body, bytes: axum's own default.
const BODY_BYTES_MAX: usize = 2 << 20;

/// The body as a `T`. `example` shows a right one to whoever sent a wrong one.
pub(super) fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    example: &str,
) -> Result<T, Problem> {
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            let detail = format!("the body is {kind:?}; this route reads application/json");
            return Err(Problem::media_type(detail));
        }
    }
    let body = body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(format!(
            "the body exceeds {BODY_BYTES_MAX} bytes; send less at once"
        )),
        _ => Problem::new(ErrorKind::Invalid, format!("the body broke off: {rejected}")),
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body cannot be read: {error}; send {example}");
        Problem::new(ErrorKind::Invalid, detail)
    })
}
