//! The login of people by an OpenID Connect provider: one route sends the
//! browser there, the other takes it back and opens a session.

mod cookie;
mod page;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{AccessDoor, Peer};
use super::directory::DirectoryDoor;
use super::not_ready;
use super::params::Params;
use super::problem::Problem;
use crate::access::{
    CALLBACK_PATH, FailedLogin, LOGIN_SECONDS_MAX, LoggedIn, LoginAnswer, Oidc, SessionOwner,
    Visitor,
};
use crate::directory::Audit;
use crate::error::{Context as _, Error, Result};

/// Who the audit log says it was that did not get in.
const NOBODY: &str = "anonymous";

/// What the login goes through.
#[derive(Debug, Clone)]
pub struct OidcDoor {
    /// None where no provider is set up.
    pub oidc: Option<Arc<Oidc>>,
    /// Opens sessions, and says how cookies are guarded.
    pub access: AccessDoor,
    /// Holds the audit log.
    pub directory: DirectoryDoor,
}

/// Both routes, over `door`.
pub(super) fn routes<S>(door: OidcDoor) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(callback)).with_state(door)
}

impl OidcDoor {
    fn oidc(&self) -> Result<&Oidc> {
        self.oidc.as_deref().filter(|oidc| oidc.takes_people()).ok_or_else(|| {
            Error::not_found(
                "people do not log in by OpenID Connect here; an administrator can set \
                 oidc_issuer and oidc_client_id",
            )
        })
    }
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `login` reads")]
struct LoginParams {
    /// Where to go after the login: a path of this server; default `/`.
    return_to: Option<String>,
}

/// Sends a browser to the identity provider to log in.
#[utoipa::path(
    get, path = "/api/oidc/login", tag = "access", params(LoginParams),
    responses(
        (status = 303, description = "To the provider's page"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem)
    )
)]
async fn login(
    State(door): State<OidcDoor>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visitor = door.access.visitor(&peer, &headers);
    let begun = begin(&door, &visitor, query.as_deref()).await;
    begun.unwrap_or_else(|problem| page::refusal(&headers, problem))
}

async fn begin(
    door: &OidcDoor,
    visitor: &Visitor,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let oidc = door.oidc()?;
    let params = Params::parse(query, &["return_to"])?;
    // Each login takes a place that another one may need.
    door.access.authenticator.count_attempt(visitor)?;
    let begun = oidc.begin_login(params.one("return_to")?).await?;
    let kept = cookie::set(door.access.cookies, &begun.browser_secret, LOGIN_SECONDS_MAX)?;
    Ok(redirect(&begun.location, [kept])?)
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `callback` reads")]
struct CallbackParams {
    /// Names the login.
    state: Option<String>,
    /// Stands for the tokens.
    code: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// The provider that answers (RFC 9207).
    iss: Option<String>,
}

/// Takes a browser back from the identity provider: opens a session and goes
/// on to where the login was to end.
#[utoipa::path(
    get, path = CALLBACK_PATH, tag = "access", params(CallbackParams),
    responses(
        (status = 303, description = "To `return_to` of the login, with the session's cookie"),
        (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
async fn callback(
    State(door): State<OidcDoor>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = read_answer(query.as_deref());
    let mut response = match finish(&door, &peer, &headers, &answer).await {
        Ok(response) => response,
        Err(error) => page::refusal(&headers, error.into()),
    };
    response.headers_mut().append(header::SET_COOKIE, cookie::clear(door.access.cookies));
    response
}

/// What the provider sent. It may send more than is known here, and does.
fn read_answer(query: Option<&str>) -> LoginAnswer {
    let mut answer = LoginAnswer::default();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let place = match name.as_ref() {
            "state" => &mut answer.state,
            "code" => &mut answer.code,
            "error" => &mut answer.error,
            "iss" => &mut answer.issuer,
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    answer
}

async fn finish(
    door: &OidcDoor,
    peer: &Peer,
    headers: &HeaderMap,
    answer: &LoginAnswer,
) -> Result<Response> {
    let oidc = door.oidc()?;
    let browser = cookie::secret(door.access.cookies, headers);
    let LoggedIn { subject, principal, return_to } = match oidc.finish_login(answer, browser).await
    {
        Ok(logged_in) => logged_in,
        Err(failed) => return Err(write_down(door, failed, None).await?),
    };
    let name = format!("{}#{}", subject.issuer, subject.subject);
    let opened = async {
        let owner = match door.access.authenticator.account_of_subject(&subject)? {
            // What an administrator wrote down of somebody goes before what
            // the provider says.
            Some(account) => SessionOwner::Account(account.id().to_owned()),
            None => SessionOwner::Principal(principal?),
        };
        let visitor = door.access.visitor(peer, headers);
        door.access.authenticator.open_session(owner, &visitor).await
    };
    match opened.await {
        Ok(session) => {
            let kept = door.access.cookies.set(&session.secret, session.lasts.num_seconds())?;
            redirect(&return_to, [kept])
        }
        Err(error) => Err(write_down(door, error.into(), Some(name)).await?),
    }
}

/// Writes down a login that failed; the session writes down one that did not.
/// An answer to a login that nobody began, or a second one of another browser,
/// is only counted: anybody can send them, as many as they like.
async fn write_down(
    door: &OidcDoor,
    failed: FailedLogin,
    subject: Option<String>,
) -> Result<Error> {
    let FailedLogin { error, is_news } = failed;
    metrics::counter!("spendlake_oidc_login_failures_total").increment(1);
    if is_news {
        let audit = Audit {
            actor: NOBODY.to_owned(),
            action: "login.failed".to_owned(),
            subject: subject.unwrap_or_else(|| "account/unknown".to_owned()),
            details: json!({ "by": "oidc", "reason": error.to_string() }),
        };
        let directory = door.directory.get().ok_or_else(not_ready)?;
        directory.append_audit(&audit).await?;
    }
    Ok(error)
}

/// To another page, which must not learn the address that led there: it holds
/// the code.
fn redirect<const N: usize>(location: &str, cookies: [HeaderValue; N]) -> Result<Response> {
    let location = HeaderValue::from_str(location).internal("writing a redirection")?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
