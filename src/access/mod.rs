//! Who may do and see what: principals, their roles, and the rows they reach.
//! Decisions only; where credentials are kept is the directory's business.

mod authenticator;
mod claims;
mod code_flow;
mod credential;
mod grant;
mod jwks;
mod jwt;
mod keys;
mod machines;
mod oidc;
mod oidc_settings;
mod permission;
mod principal;
mod provider;
mod randomness;
mod reach;
#[cfg(test)]
pub(crate) mod test_issuer;

pub use authenticator::Authenticator;
pub use code_flow::{BegunLogin, FailedLogin, LOGIN_SECONDS_MAX, LoggedIn, LoginAnswer};
pub use credential::{
    Credential, JwtVerifier, NewSession, SCRAM_ITERATIONS, ScramVerifier, SessionOwner,
};
pub use grant::{Domain, Grant, Role};
pub use oidc::Oidc;
pub use oidc_settings::CALLBACK_PATH;
pub use permission::{Permission, Permissions};
pub use principal::{Origin, Principal};
pub use provider::install_crypto;
pub use randomness::{Randomness, SystemRandomness};
pub use reach::{Reach, RowReach};
