//! The ways in and out of people: login, logout, first run.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::Who;
use super::{AccessDoor, Peer};
use crate::access::{Login, NewSession, SetupRequest};
use crate::api::json_body::read_json;
use crate::api::problem::Problem;

/// What a person types to get in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    /// The account's address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Its password.
    password: String,
}

/// What whoever has the setup code says of itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupBody {
    /// The code that the server printed when it started.
    code: String,
    /// The address of the new account.
    #[schema(example = "ada@example.com")]
    email: String,
    /// What people call the person.
    #[schema(example = "Ada Lovelace")]
    name: String,
    /// The account's password, 12 characters or more.
    password: String,
}

/// Opens a session for whoever knows an account's password. The answer sets
/// its cookie.
#[utoipa::path(
    post, path = "/api/login", tag = "access", request_body = LoginBody, security(()),
    responses(
        (status = 200, body = Who), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn log_in(
    State(door): State<AccessDoor>,
    peer: Peer,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body: LoginBody = read_json(&headers, body, r#"{"email": "…", "password": "…"}"#)?;
    let login = Login { email: body.email, password: body.password };
    let session = door.authenticator.log_in(&login, &door.visitor(&peer, &headers)).await?;
    opened(&door, &session, StatusCode::OK)
}

/// Ends the session of the request's cookie, where there is one.
#[utoipa::path(
    post, path = "/api/logout", tag = "access", security(()),
    responses((status = 204, description = "There is no session any more"), (status = 503, body = Problem))
)]
pub(crate) async fn log_out(
    State(door): State<AccessDoor>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(secret) = door.cookies.secret(&headers) {
        door.authenticator.close_session(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, door.cookies.clear())]).into_response())
}

/// Makes the first super admin, by the code that the server printed when it
/// started without one, and opens a session for it.
#[utoipa::path(
    post, path = "/api/setup", tag = "access", request_body = SetupBody, security(()),
    responses(
        (status = 201, body = Who), (status = 400, body = Problem),
        (status = 403, description = "The code is wrong, used or too old", body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn set_up(
    State(door): State<AccessDoor>,
    peer: Peer,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let example = r#"{"code": "…", "email": "…", "name": "…", "password": "…"}"#;
    let SetupBody { code, email, name, password } = read_json(&headers, body, example)?;
    let request = SetupRequest { code, email, name, password };
    let session = door.authenticator.set_up(request, &door.visitor(&peer, &headers)).await?;
    opened(&door, &session, StatusCode::CREATED)
}

/// Says who got in, and sets the cookie.
fn opened(
    door: &AccessDoor,
    session: &NewSession,
    status: StatusCode,
) -> Result<Response, Problem> {
    let cookie = door.cookies.set(&session.secret, session.seconds_max())?;
    let headers = [(header::SET_COOKIE, cookie)];
    Ok((status, headers, Json(Who::from(&*session.principal))).into_response())
}
