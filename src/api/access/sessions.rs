//! Who asks, and people's sessions.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::AccessDoor;
use super::wire::{GrantBody, grant_bodies, scope_names};
use crate::access::{Origin, Principal, SessionView};
use crate::api::caller::Caller;
use crate::api::problem::Problem;

/// Who asks, and what it may.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Who {
    /// An account's or token's id, or what an identity provider calls somebody.
    id: String,
    /// What people call it.
    name: String,
    /// How it showed who it is: token, session, jwt, operator or anonymous.
    #[schema(example = "session")]
    origin: &'static str,
    /// Its roles, each once, the mightiest first.
    roles: Vec<&'static str>,
    /// Its roles, and what they are over.
    grants: Vec<GrantBody>,
    /// What it may do, roles and scopes taken together.
    #[schema(example = json!(["usage:read"]))]
    scopes: Vec<&'static str>,
    /// The organizations that it holds a role in; null where it is all of them.
    organizations: Option<BTreeSet<String>>,
}

/// A person's session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    /// Names it; it opens nothing.
    id: String,
    /// Whose it is: the account's id, or what an identity provider calls
    /// somebody.
    principal_id: String,
    /// What people call the person.
    name: String,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen_at: Option<DateTime<Utc>>,
    /// When it is over at the latest.
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
    /// What the browser calls itself, cut short.
    user_agent: Option<String>,
    /// Whether this request was made in it.
    current: bool,
}

/// Sessions, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// Those that the caller may see.
    items: Vec<SessionAnswer>,
    /// Always null: all are answered at once.
    next_cursor: Option<String>,
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        let roles: BTreeSet<_> = principal.grants().iter().map(|grant| grant.role()).collect();
        let may = principal.scopes().iter().filter(|scope| principal.may(*scope));
        let may: Vec<_> = may.collect();
        Self {
            id: principal.id().to_owned(),
            name: principal.name().to_owned(),
            origin: match principal.origin() {
                Origin::Token => "token",
                Origin::Session => "session",
                Origin::Jwt => "jwt",
                Origin::Operator => "operator",
                Origin::Anonymous => "anonymous",
            },
            roles: roles.into_iter().map(|role| role.name()).collect(),
            grants: grant_bodies(principal.grants()),
            scopes: scope_names(crate::access::Permissions::of(&may)),
            organizations: principal
                .organizations()
                .map(|ids| ids.into_iter().map(str::to_owned).collect()),
        }
    }
}

impl From<SessionView> for SessionAnswer {
    fn from(view: SessionView) -> Self {
        Self {
            id: view.id,
            principal_id: view.principal_id,
            name: view.name,
            created_at: view.created_at,
            last_seen_at: view.last_seen_at,
            expires_at: view.expires_at,
            user_agent: view.user_agent,
            current: view.current,
        }
    }
}

/// Who asks, and what it may.
#[utoipa::path(
    get, path = "/api/me", tag = "access",
    responses((status = 200, body = Who), (status = 401, body = Problem))
)]
pub(crate) async fn me(Caller(caller): Caller) -> Json<Who> {
    Json(Who::from(&*caller))
}

/// The caller's sessions; for whoever runs the platform, everybody's.
#[utoipa::path(
    get, path = "/api/sessions", tag = "access",
    responses((status = 200, body = SessionList), (status = 401, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn list_sessions(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    headers: HeaderMap,
) -> Result<Json<SessionList>, Problem> {
    let sessions = door.authenticator.sessions(&caller, door.cookies.secret(&headers))?;
    let items = sessions.into_iter().map(SessionAnswer::from).collect();
    Ok(Json(SessionList { items, next_cursor: None }))
}

/// Ends a session of the caller; for whoever runs the platform, anybody's.
#[utoipa::path(
    delete, path = "/api/sessions/{id}", tag = "access",
    params(("id" = String, Path, description = "The session's id, as listed")),
    responses(
        (status = 204, description = "It is over"), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn end_session(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    door.authenticator.end_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
