//! Tokens, accounts, sessions, and the first run.

mod accounts;
mod login;
mod pages;
mod sessions;
mod tokens;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::cookie::CookiePolicy;
use crate::access::{Authenticator, Visitor};

pub use accounts::{AccountAnswer, AccountBody, AccountChangeBody, AccountList};
pub use tokens::{MadeTokenAnswer, RotateBody, TokenAnswer, TokenBody, TokenList};
pub use wire::GrantBody;

/// What the routes of access go through.
#[derive(Debug, Clone)]
pub struct AccessDoor {
    /// Keeps and checks credentials.
    pub authenticator: Arc<Authenticator>,
    /// How a session's cookie is named and guarded.
    pub cookies: CookiePolicy,
    /// Whether people sign in by an identity provider as well.
    pub offers_oidc: bool,
}

/// Every route, over `door`.
pub(super) fn routes(door: AccessDoor) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::get_token, tokens::revoke_token))
        .routes(routes!(tokens::rotate_token))
        .routes(routes!(accounts::list_accounts, accounts::create_account))
        .routes(routes!(accounts::get_account, accounts::change_account, accounts::delete_account))
        .routes(routes!(login::log_in))
        .routes(routes!(login::log_out))
        .routes(routes!(login::set_up))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::end_session))
        .routes(routes!(pages::login_page))
        .routes(routes!(pages::setup_page))
        .with_state(door)
}

/// Where a request comes from, as far as the connection says.
#[derive(Debug)]
pub(super) struct Peer(Option<SocketAddr>);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map(|peer| peer.0)))
    }
}

impl AccessDoor {
    pub(super) fn visitor(&self, peer: &Peer, headers: &HeaderMap) -> Visitor {
        let user_agent = headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok());
        Visitor {
            address: peer.0.map(|peer| peer.ip()),
            user_agent: user_agent.map(str::to_owned),
            session_secret: self.cookies.secret(headers).map(str::to_owned),
        }
    }
}
