//! The directory as a file: all of it out, many records in at once.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::read::media_type;
use super::{DirectoryDoor, audit, store};
use crate::api::caller::Caller;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::directory::exchange::{self, FileFormat};
use crate::error::{Context, ErrorKind};

/// Largest file, bytes: some hundred thousand records.
const FILE_BYTES_MAX: usize = 64 << 20;

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportAnswer {
    /// Records that were not there.
    created: u64,
    /// Records that said something else.
    changed: u64,
    /// Records that said the same.
    unchanged: u64,
}

/// Adds or replaces every record of a file: all of them, or, where one is
/// wrong, none.
///
/// CSV has a header and a column `kind`: organization, department, team, user,
/// membership or api_key. JSON is an array of objects with the same names. A
/// field that a file does not mention stays as it is.
#[utoipa::path(
    post, path = "/api/directory/import", tag = "directory",
    request_body(content((String = "text/csv"), (String = "application/json"))),
    responses(
        (status = 200, body = ImportAnswer), (status = 400, body = Problem), (status = 413, body = Problem),
        (status = 415, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn import_directory(
    State(door): State<DirectoryDoor>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportAnswer>, Problem> {
    let format = match media_type(&headers)?.as_deref() {
        Some("text/csv") => FileFormat::Csv,
        Some("application/json") => FileFormat::Json,
        other => {
            let kind = other.unwrap_or_default();
            let detail = format!("the body is {kind:?}; send text/csv or application/json");
            return Err(Problem::media_type(detail));
        }
    };
    let bytes = axum::body::to_bytes(body, FILE_BYTES_MAX).await.map_err(|error| {
        if error.to_string().contains("length limit") {
            Problem::body_too_large(format!(
                "the file is larger than {FILE_BYTES_MAX} bytes; send it in parts"
            ))
        } else {
            Problem::new(ErrorKind::Invalid, "the body broke off; nothing of it was stored")
        }
    })?;
    let store = store(&door)?;
    let records = tokio::task::spawn_blocking(move || exchange::parse(&bytes, format))
        .await
        .internal("reading a directory file")??;
    let imported = store.edit(move |edit| {
        let report = exchange::import(edit, records)?;
        if report.created + report.changed > 0 {
            let details = serde_json::to_value(report).internal("writing down an import")?;
            edit.audit(audit(
                &caller,
                "directory.import".to_owned(),
                "directory".to_owned(),
                details,
            ));
        }
        Ok(report)
    });
    let exchange::ImportReport { created, changed, unchanged } = imported.await?;
    Ok(Json(ImportAnswer { created, changed, unchanged }))
}

/// Everything that the directory knows now, as a file that can be imported
/// again. Earlier names are not in it.
#[utoipa::path(
    get, path = "/api/directory/export", tag = "directory",
    params(("format" = Option<String>, Query, description = "json (default) or csv")),
    responses(
        (status = 200, content((String = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem)
    )
)]
pub(crate) async fn export_directory(
    State(door): State<DirectoryDoor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &["format"])?;
    let format = params.parsed("format", "it is json or csv", |name| match name {
        "json" => Some(FileFormat::Json),
        "csv" => Some(FileFormat::Csv),
        _ => None,
    })?;
    let format = format.unwrap_or(FileFormat::Json);
    let directory = store(&door)?.shared().load();
    let file = tokio::task::spawn_blocking(move || exchange::export(&directory, format))
        .await
        .internal("writing a directory file")??;
    let kind = match format {
        FileFormat::Json => "application/json",
        FileFormat::Csv => "text/csv; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, kind)], file).into_response())
}
