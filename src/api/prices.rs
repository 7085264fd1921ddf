//! Price lists: which there are, their content, a new one, the active one.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::error::{Context, ErrorKind, Result};
use crate::prices::{BOOK_BYTES_MAX, Imported, Prices, Version};
use crate::pricing::BookDifference;

/// Differences that a conflict names at most.
const DIFFERENCES_SHOWN_MAX: usize = 3;

/// A price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceVersion {
    /// Its name: the `price_version` of the events it priced.
    pub price_version: String,
    /// How many rows it has.
    pub rows: usize,
    /// Whether events are priced by it now.
    pub active: bool,
    /// Whether it is the one built into the program.
    pub built_in: bool,
    /// When it became active, each time (RFC 3339, UTC).
    pub activated_at: Vec<String>,
}

/// Every price list, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceVersions {
    /// The lists.
    pub versions: Vec<PriceVersion>,
}

/// What became of a list that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PutAnswer {
    /// The list.
    pub price_version: String,
    /// True where it is new, false where it was there with the same content.
    pub stored: bool,
}

/// What became of an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivationAnswer {
    /// The list that is active now.
    pub price_version: String,
    /// False where it was active before.
    pub changed: bool,
}

impl From<Version> for PriceVersion {
    fn from(version: Version) -> Self {
        let shown = |time: &chrono::DateTime<_>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        Self {
            price_version: version.price_version,
            rows: version.rows,
            active: version.is_active,
            built_in: version.is_built_in,
            activated_at: version.activated_at.iter().map(shown).collect(),
        }
    }
}

impl From<&Prices> for PriceVersions {
    fn from(prices: &Prices) -> Self {
        Self { versions: prices.versions().into_iter().map(PriceVersion::from).collect() }
    }
}

/// Every price list, and which one is active.
#[utoipa::path(
    get, path = "/api/prices", tag = "prices",
    responses((status = 200, body = PriceVersions))
)]
pub(super) async fn price_versions(State(prices): State<Arc<Prices>>) -> Json<PriceVersions> {
    Json(PriceVersions::from(&*prices))
}

/// A price list as CSV, byte for byte as it was sent.
#[utoipa::path(
    get, path = "/api/prices/{version}", tag = "prices",
    params(("version" = String, Path, description = "The list's name")),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 404, body = Problem)
    )
)]
pub(super) async fn price_list(
    State(prices): State<Arc<Prices>>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let book = prices.book(Some(&version))?;
    let csv = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((csv, book.csv_text().to_owned()).into_response())
}

/// Stores a price list under a new name. A list never changes: sending the
/// same again is fine, other content under the same name is refused.
#[utoipa::path(
    put, path = "/api/prices/{version}", tag = "prices",
    params(("version" = String, Path, description = "The list's name")),
    request_body(content = String, content_type = "text/csv", description = "The columns of data/prices/README.md"),
    responses(
        (status = 200, description = "It was there with the same content", body = PutAnswer),
        (status = 201, description = "Stored", body = PutAnswer),
        (status = 400, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem)
    )
)]
pub(super) async fn put_price_list(
    State(prices): State<Arc<Prices>>,
    Path(version): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let text = read_text(body).await?;
    let name = version.clone();
    let imported = tokio::task::spawn_blocking(move || prices.import(&name, &text));
    let imported = imported.await.internal("storing a price list")?;
    let (status, stored) = match imported? {
        Imported::Stored => (StatusCode::CREATED, true),
        Imported::AlreadyThere => (StatusCode::OK, false),
        Imported::Differs(difference) => {
            return Err(Problem::conflict(conflict_detail(&version, &difference)));
        }
    };
    Ok((status, Json(PutAnswer { price_version: version, stored })).into_response())
}

/// Prices events by this list from now on. Stored events stay as they are.
#[utoipa::path(
    post, path = "/api/prices/{version}/activate", tag = "prices",
    params(("version" = String, Path, description = "The list's name")),
    responses((status = 200, body = ActivationAnswer), (status = 404, body = Problem))
)]
pub(super) async fn activate_price_list(
    State(prices): State<Arc<Prices>>,
    Path(version): Path<String>,
) -> Result<Json<ActivationAnswer>, Problem> {
    let name = version.clone();
    let activated = tokio::task::spawn_blocking(move || prices.activate(&name));
    let changed = activated.await.internal("activating a price list")??;
    Ok(Json(ActivationAnswer { price_version: version, changed }))
}

async fn read_text(body: Body) -> Result<String, Problem> {
    let bytes = axum::body::to_bytes(body, BOOK_BYTES_MAX).await.map_err(|error| {
        if error.to_string().contains("length limit") {
            Problem::body_too_large(format!("a price list has at most {BOOK_BYTES_MAX} bytes"))
        } else {
            Problem::new(ErrorKind::Invalid, "the body broke off; nothing of it was stored")
        }
    })?;
    String::from_utf8(bytes.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let detail = format!("byte {at} of the price list is not UTF-8; save the CSV as UTF-8");
        Problem::new(ErrorKind::Invalid, detail)
    })
}

/// Which version it is, and how the two differ.
fn conflict_detail(version: &str, difference: &BookDifference) -> String {
    let BookDifference { added, removed, changed } = difference;
    let all: Vec<&String> = changed.iter().chain(removed).chain(added).collect();
    let shown = all.iter().take(DIFFERENCES_SHOWN_MAX).map(|line| line.as_str());
    let shown = shown.collect::<Vec<_>>().join("; ");
    let count = all.len();
    format!(
        "the price list {version} is there already and differs in {count} rows ({shown}); a list \
         never changes, since events name it: send this one under another name"
    )
}
