//! Access tokens.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AccessDoor;
use super::wire::{GrantBody, grant_bodies, grants_of, scope_names, scopes_of};
use crate::access::{MadeToken, OVERLAP_SECONDS_DEFAULT, TokenRequest, TokenView};
use crate::api::caller::Caller;
use crate::api::json_body::read_json;
use crate::api::problem::Problem;
use crate::error::{Error, Result};

/// A new token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What people call it.
    #[schema(example = "nightly report")]
    pub name: String,
    /// Its roles, at least one.
    pub grants: Vec<GrantBody>,
    /// What narrows the roles: some of usage:read, sql:read, events:write,
    /// organization:manage, platform:manage. Left out: nothing but what
    /// narrows whoever makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// From when on it is not taken, RFC 3339; left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether it belongs to whoever makes it and ends with it. Left out: true
    /// where its maker does not manage all that the roles are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned: Option<bool>,
}

/// What is known of a token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// Names it; it is a part of the token.
    #[schema(example = "0Zq3hT9kPw1")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// active, expired, revoked or replaced.
    #[schema(example = "active")]
    pub state: String,
    /// Its roles.
    pub grants: Vec<GrantBody>,
    /// What narrows the roles.
    pub scopes: Vec<String>,
    /// The account or token that it belongs to and ends with.
    pub owner: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    /// Who made it: the id of an account or token.
    pub created_by: String,
    /// From when on it is not taken.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// The token that took its place.
    pub replaced_by: Option<String>,
    /// Until when it is still taken, though replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub overlap_until: Option<DateTime<Utc>>,
}

/// A token that was just made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeTokenAnswer {
    /// The token itself. It is shown this once and kept nowhere.
    pub secret: String,
    /// What is known of it.
    pub token: TokenAnswer,
}

/// Tokens, the latest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// Those that the caller may see.
    pub items: Vec<TokenAnswer>,
    /// Always null: all are answered at once.
    pub next_cursor: Option<String>,
}

/// How to rotate a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// How long the old token is still taken, seconds, 0 to 2592000 (30 days);
    /// left out: a day.
    #[serde(default)]
    #[schema(example = 86400)]
    pub overlap_seconds: Option<u32>,
}

impl TokenBody {
    /// What is asked for.
    pub fn into_request(self) -> Result<TokenRequest> {
        let read = |text: &String| {
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
                Error::invalid(format!(
                    "expires_at is {text:?}; it is a time such as 2027-01-31T12:00:00Z"
                ))
            })?;
            Ok::<_, Error>(time.to_utc())
        };
        Ok(TokenRequest {
            name: self.name,
            grants: grants_of(self.grants)?,
            scopes: scopes_of(self.scopes.as_deref())?,
            expires_at: self.expires_at.as_ref().map(read).transpose()?,
            owned: self.owned,
        })
    }
}

impl RotateBody {
    /// How long the old token is still taken.
    pub fn overlap_seconds(&self) -> u32 {
        self.overlap_seconds.unwrap_or(OVERLAP_SECONDS_DEFAULT)
    }
}

impl From<TokenView> for TokenAnswer {
    fn from(view: TokenView) -> Self {
        Self {
            state: view.state.to_owned(),
            grants: grant_bodies(&view.grants),
            scopes: scope_names(view.scopes).into_iter().map(str::to_owned).collect(),
            id: view.id,
            name: view.name,
            owner: view.owner,
            created_at: view.created_at,
            created_by: view.created_by,
            expires_at: view.expires_at,
            last_used_at: view.last_used_at,
            revoked_at: view.revoked_at,
            replaced_by: view.replaced_by,
            overlap_until: view.overlap_until,
        }
    }
}

impl From<MadeToken> for MadeTokenAnswer {
    fn from(made: MadeToken) -> Self {
        Self { secret: made.secret, token: made.token.into() }
    }
}

/// The tokens that the caller may see: its own, and those over what it
/// manages; revoked ones included.
#[utoipa::path(
    get, path = "/api/tokens", tag = "access",
    responses((status = 200, body = TokenList), (status = 401, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn list_tokens(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
) -> Result<Json<TokenList>, Problem> {
    let items = door.authenticator.tokens(&caller)?.into_iter().map(TokenAnswer::from).collect();
    Ok(Json(TokenList { items, next_cursor: None }))
}

/// Makes a token, of what the caller holds itself. The answer is the only one
/// that ever shows it.
#[utoipa::path(
    post, path = "/api/tokens", tag = "access", request_body = TokenBody,
    responses(
        (status = 201, body = MadeTokenAnswer), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn create_token(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let example = r#"{"name": "…", "grants": [{"role": "analyst", "over": "platform"}]}"#;
    let body: TokenBody = read_json(&headers, body, example)?;
    let made = door.authenticator.create_token(&caller, body.into_request()?).await?;
    Ok(shown_once(made))
}

/// A token that the caller may see.
#[utoipa::path(
    get, path = "/api/tokens/{id}", tag = "access",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, body = TokenAnswer), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn get_token(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<TokenAnswer>, Problem> {
    Ok(Json(door.authenticator.token(&caller, &id)?.into()))
}

/// Revokes a token that the caller may see, at once. Doing so again changes
/// nothing.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", tag = "access",
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 200, body = TokenAnswer), (status = 401, body = Problem),
        (status = 403, description = "It is the last way in of a super admin", body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn revoke_token(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<TokenAnswer>, Problem> {
    Ok(Json(door.authenticator.revoke_token(&caller, &id).await?.into()))
}

/// Makes a token in the place of another one, which is still taken for a while.
#[utoipa::path(
    post, path = "/api/tokens/{id}/rotate", tag = "access", request_body = RotateBody,
    params(("id" = String, Path, description = "The old token's id")),
    responses(
        (status = 201, body = MadeTokenAnswer), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn rotate_token(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = match body {
        Ok(body) if body.is_empty() => RotateBody::default(),
        body => read_json(&headers, body, r#"{"overlap_seconds": 86400}"#)?,
    };
    let made = door.authenticator.rotate_token(&caller, &id, body.overlap_seconds()).await?;
    Ok(shown_once(made))
}

fn shown_once(made: MadeToken) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::CREATED, headers, Json(MadeTokenAnswer::from(made))).into_response()
}
