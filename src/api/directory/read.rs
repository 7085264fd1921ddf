//! Reads what a request says about a thing, strictly.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::api::filters::organization_id;
use crate::api::json_body::read_json;
use crate::api::problem::Problem;
use crate::directory::{DirectoryKind, Fault, Fields, unknown};

/// The organization of a path, in lower case; what is no UUID is not known.
pub(super) fn organization_of(path_id: &str) -> Result<String, Problem> {
    let kind = DirectoryKind::Organization;
    organization_id(path_id).ok_or_else(|| unknown(kind, path_id, path_id).into())
}

/// The members of the JSON object that a body holds.
pub(super) fn fields(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Fields, Problem> {
    let object: Map<String, Value> = read_json(headers, body, "{\"name\": \"…\"}")?;
    Fields::of_json(&object).map_err(faulty)
}

/// The body's media type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let kind = kind.to_str().map_err(|_| {
        Problem::media_type("Content-Type is not text; send application/json".to_owned())
    })?;
    Ok(kind.split(';').next().map(|kind| kind.trim().to_ascii_lowercase()))
}

/// The problem of a record that breaks a rule.
pub(super) fn faulty(fault: Fault) -> Problem {
    let detail = fault.message();
    Problem::parameter(&fault.field, fault.value.as_deref().unwrap_or_default(), detail)
}
