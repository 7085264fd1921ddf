//! Who may do and see what: principals, their roles, and the rows they reach;
//! and who asks: tokens, accounts and sessions, which the directory keeps.

mod account_changes;
mod accounts;
mod attempts;
mod audited;
mod audits;
mod authenticator;
mod claims;
mod code_flow;
mod credential;
mod directory_reach;
mod forgetting;
mod grant;
mod granting;
mod init;
mod jwks;
mod jwt;
mod keys;
mod last_admin;
mod machines;
mod oidc;
mod oidc_settings;
mod passwords;
mod permission;
mod principal;
mod provider;
mod randomness;
mod reach;
mod rotation;
mod sessions;
mod shares;
mod snapshot;
mod token;
mod tokens;

#[cfg(test)]
pub(crate) mod test_issuer;
#[cfg(test)]
mod tests;

pub use account_changes::AccountChange;
pub use accounts::{AccountRequest, AccountView};
pub use authenticator::{Authenticator, INIT_TOKEN_ID};
pub use code_flow::{BegunLogin, FailedLogin, LOGIN_SECONDS_MAX, LoggedIn, LoginAnswer};
pub use credential::{
    Credential, JwtVerifier, NewSession, SCRAM_ITERATIONS, ScramVerifier, SessionOwner, Vouched,
};
pub use directory_reach::DirectoryReach;
pub use forgetting::{credentials_name, forget_in_credentials};
pub use grant::{Domain, Grant, Role};
pub use init::SetupRequest;
pub use oidc::Oidc;
pub use oidc_settings::CALLBACK_PATH;
pub use permission::{Permission, Permissions};
pub use principal::{Origin, Principal};
pub use provider::install_crypto;
pub use randomness::{Randomness, SystemRandomness};
pub use reach::{Reach, RowReach};
pub use rotation::OVERLAP_SECONDS_DEFAULT;
pub use sessions::{Login, SessionView, Visitor};
pub use tokens::{MadeToken, TokenRequest, TokenView};

pub(crate) use shares::{Share, Shares};

#[cfg(test)]
pub(crate) use randomness::SeededRandomness;
