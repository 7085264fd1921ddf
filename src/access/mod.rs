//! Who may do and see what: principals, their roles, and the rows they reach.
//! Decisions only; where credentials are kept is the directory's business.

mod authenticator;
mod credential;
mod grant;
mod permission;
mod principal;
mod randomness;
mod reach;

pub use authenticator::Authenticator;
pub use credential::{
    Credential, JwtVerifier, NewSession, SCRAM_ITERATIONS, ScramVerifier, SessionOwner,
};
pub use grant::{Domain, Grant, Role};
pub use permission::{Permission, Permissions};
pub use principal::{Origin, Principal};
pub use randomness::{Randomness, SystemRandomness};
pub use reach::{Reach, RowReach};
