//! The statements that run or wait, and the way to stop one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::engine::StatementInfo;

/// One statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementItem {
    /// The header x-statement-id of its answer.
    id: String,
    /// Whose it is.
    principal_id: String,
    principal_name: String,
    /// waiting, running, done, failed or cancelled.
    #[schema(example = "running")]
    state: &'static str,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    since: DateTime<Utc>,
    /// Rows answered so far.
    rows: u64,
    /// The beginning of its text, without the values of parameters.
    text: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Statements, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementList {
    items: Vec<StatementItem>,
}

impl From<StatementInfo> for StatementItem {
    fn from(info: StatementInfo) -> Self {
        let StatementInfo { id, principal_id, principal_name, text, since, state, rows, error } =
            info;
        let state = state.name();
        Self { id, principal_id, principal_name, state, since, rows, text, error }
    }
}

/// The statements that wait or run: one's own, or everybody's for a super
/// admin.
#[utoipa::path(
    get, path = "/api/sql/statements", tag = "sql",
    responses((status = 200, body = StatementList))
)]
pub(crate) async fn statements(
    State(state): State<ApiState>,
    Caller(caller): Caller,
) -> Json<StatementList> {
    let items = state.engine().statements(&caller).into_iter().map(StatementItem::from);
    Json(StatementList { items: items.collect() })
}

/// One statement, which may have ended lately: this is where to look up why an
/// answer broke off.
#[utoipa::path(
    get, path = "/api/sql/statements/{id}", tag = "sql",
    params(("id" = String, Path, description = "The statement")),
    responses((status = 200, body = StatementItem), (status = 404, body = Problem))
)]
pub(crate) async fn statement(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<StatementItem>, Problem> {
    Ok(Json(state.engine().statement(&caller, &id)?.into()))
}

/// Cancels a statement that waits or runs.
#[utoipa::path(
    delete, path = "/api/sql/statements/{id}", tag = "sql",
    params(("id" = String, Path, description = "The statement")),
    responses((status = 204, description = "It ends now"), (status = 404, body = Problem))
)]
pub(crate) async fn cancel_statement(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    state.engine().cancel(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
