//! People's accounts.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AccessDoor;
use super::wire::{GrantBody, grant_bodies, grants_of};
use crate::access::{AccountChange, AccountRequest, AccountView};
use crate::api::caller::Caller;
use crate::api::json_body::read_json;
use crate::api::problem::Problem;
use crate::directory::IssuedSubject;
use crate::error::{Error, Result};

/// A new account.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountBody {
    /// The person's address; no two accounts have the same.
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// What people call the person.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// The roles, at least one.
    pub grants: Vec<GrantBody>,
    /// The first password, 12 characters or more; left out where an identity
    /// provider vouches for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What the identity provider calls the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What changes of an account; what is left out stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChangeBody {
    /// What people call the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All roles from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<GrantBody>>,
    /// Whether nobody gets in by it, nor by tokens that belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A new password, 12 characters or more. Every session of the account
    /// ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The password so far: needed by whoever changes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<String>,
}

/// What is known of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountAnswer {
    /// A UUID.
    pub id: String,
    /// The person's address.
    pub email: Option<String>,
    /// What people call the person.
    pub name: String,
    /// The roles.
    pub grants: Vec<GrantBody>,
    /// Whether it has a password here.
    pub has_password: bool,
    /// The identity provider.
    pub issuer: Option<String>,
    /// What the identity provider calls the person.
    pub subject: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    /// Since when nobody gets in by it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Accounts in the order in which they were made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountList {
    /// Those that the caller may see.
    pub items: Vec<AccountAnswer>,
    /// Always null: all are answered at once.
    pub next_cursor: Option<String>,
}

impl AccountBody {
    /// What is asked for.
    pub fn into_request(self) -> Result<AccountRequest> {
        let subject = match (self.issuer, self.subject) {
            (Some(issuer), Some(subject)) => Some(IssuedSubject { issuer, subject }),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(
                    "issuer and subject belong together: name both, or neither",
                ));
            }
        };
        let (email, name, password) = (self.email, self.name, self.password);
        Ok(AccountRequest { email, name, grants: grants_of(self.grants)?, password, subject })
    }
}

impl AccountChangeBody {
    /// What is asked for.
    pub fn into_change(self) -> Result<AccountChange> {
        Ok(AccountChange {
            name: self.name,
            grants: self.grants.map(grants_of).transpose()?,
            disabled: self.disabled,
            password: self.password,
            current_password: self.current_password,
        })
    }
}

impl From<AccountView> for AccountAnswer {
    fn from(view: AccountView) -> Self {
        let subject = view.subject.map(|one| (one.issuer, one.subject));
        let (issuer, subject) = subject.unzip();
        Self {
            grants: grant_bodies(&view.grants),
            id: view.id,
            email: view.email,
            name: view.name,
            has_password: view.has_password,
            issuer,
            subject,
            created_at: view.created_at,
            disabled_at: view.disabled_at,
        }
    }
}

/// Passwords stay out of logs.
impl std::fmt::Debug for AccountBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccountBody").field("email", &self.email).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AccountChangeBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccountChangeBody")
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// The accounts that the caller may see: its own, and those whose roles are
/// all over what it manages.
#[utoipa::path(
    get, path = "/api/accounts", tag = "access",
    responses((status = 200, body = AccountList), (status = 401, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn list_accounts(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
) -> Result<Json<AccountList>, Problem> {
    let accounts = door.authenticator.accounts(&caller)?;
    let items = accounts.into_iter().map(AccountAnswer::from).collect();
    Ok(Json(AccountList { items, next_cursor: None }))
}

/// Makes an account of roles over what the caller manages.
#[utoipa::path(
    post, path = "/api/accounts", tag = "access", request_body = AccountBody,
    responses(
        (status = 201, body = AccountAnswer), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn create_account(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let example = r#"{"email": "…", "name": "…", "grants": […], "password": "…"}"#;
    let body: AccountBody = read_json(&headers, body, example)?;
    let made = door.authenticator.create_account(&caller, body.into_request()?).await?;
    Ok((StatusCode::CREATED, Json(AccountAnswer::from(made))).into_response())
}

/// An account that the caller may see.
#[utoipa::path(
    get, path = "/api/accounts/{id}", tag = "access",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, body = AccountAnswer), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn get_account(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<AccountAnswer>, Problem> {
    Ok(Json(door.authenticator.account(&caller, &id)?.into()))
}

/// Changes an account: its own name and password anybody, the rest whoever
/// manages all that its roles are over.
#[utoipa::path(
    put, path = "/api/accounts/{id}", tag = "access", request_body = AccountChangeBody,
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = 200, body = AccountAnswer), (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, description = "Not the caller's to change, or the last super admin", body = Problem),
        (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn change_account(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AccountAnswer>, Problem> {
    let body: AccountChangeBody = read_json(&headers, body, r#"{"disabled": true}"#)?;
    let changed = door.authenticator.change_account(&caller, &id, body.into_change()?).await?;
    Ok(Json(changed.into()))
}

/// Removes an account: its sessions end, and the tokens that belong to it.
#[utoipa::path(
    delete, path = "/api/accounts/{id}", tag = "access",
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = 204, description = "It is gone"), (status = 401, body = Problem),
        (status = 403, description = "Not the caller's to remove, or the last super admin", body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn delete_account(
    State(door): State<AccessDoor>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    door.authenticator.delete_account(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
