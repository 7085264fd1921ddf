//! Who may do and see what: principals, their roles, and the rows they reach;
//! and who asks: tokens, accounts and sessions, which the directory keeps.

mod accounts;
mod attempts;
mod audited;
mod audits;
mod authenticator;
mod credential;
mod grant;
mod granting;
mod init;
mod last_admin;
mod passwords;
mod permission;
mod principal;
mod randomness;
mod reach;
mod sessions;
mod snapshot;
mod token;
mod tokens;

#[cfg(test)]
mod tests;

pub use accounts::{AccountChange, AccountRequest, AccountView};
pub use authenticator::{Authenticator, INIT_TOKEN_ID};
pub use credential::{
    Credential, JwtVerifier, NewSession, SCRAM_ITERATIONS, ScramVerifier, SessionOwner,
};
pub use grant::{Domain, Grant, Role};
pub use init::SetupRequest;
pub use permission::{Permission, Permissions};
pub use principal::{Origin, Principal};
pub use randomness::{Randomness, SystemRandomness};
pub use reach::{Reach, RowReach};
pub use sessions::{Login, SessionView, Visitor};
pub use tokens::{MadeToken, OVERLAP_SECONDS_DEFAULT, TokenRequest, TokenView};

#[cfg(test)]
pub(crate) use randomness::SeededRandomness;
