//! Finds out whose credential a request shows.

use std::sync::Arc;

use super::credential::{Credential, JwtVerifier, NewSession, ScramVerifier, SessionOwner};
use super::principal::Principal;
use super::randomness::Randomness;
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::DirectoryStore;
use crate::error::{Error, Result};

/// Checks credentials from memory: no request waits for the database.
#[derive(Debug)]
pub struct Authenticator {}

impl Authenticator {
    /// One that knows nobody yet: `Unavailable` until [`Authenticator::open`].
    pub fn new(_config: &Config, _clock: Arc<dyn Clock>, _randomness: Arc<dyn Randomness>) -> Self {
        Self {}
    }

    /// Reads every credential of `store`, and brings in what the settings say
    /// about the first administrator.
    pub async fn open(&self, _store: Arc<DirectoryStore>) -> Result<()> {
        Err(not_ready())
    }

    /// Checks JWTs by `verifier` from now on.
    pub fn set_jwt_verifier(&self, _verifier: Arc<dyn JwtVerifier>) {}

    /// Whose credential it is. `Unauthenticated` where it is not known, has
    /// expired or was revoked: the message does not say which, the log does.
    pub async fn authenticate(&self, _credential: &Credential) -> Result<Arc<Principal>> {
        Err(not_ready())
    }

    /// What SCRAM checks the token of this id by. An id that is not known has
    /// one as well, that nothing fits.
    pub fn scram(&self, _token_id: &str) -> Result<ScramVerifier> {
        Err(not_ready())
    }

    /// Whose token it is that SCRAM found right.
    pub fn token_principal(&self, _token_id: &str) -> Result<Arc<Principal>> {
        Err(not_ready())
    }

    /// Whether there is a token or an account of a super admin that holds now.
    pub fn has_super_admin(&self) -> Result<bool> {
        Err(not_ready())
    }

    /// Opens a session, after whoever asks was found to be `owner`.
    pub async fn open_session(
        &self,
        _owner: SessionOwner,
        _user_agent: Option<&str>,
    ) -> Result<NewSession> {
        Err(not_ready())
    }

    /// Ends the session of this secret, where there is one.
    pub async fn close_session(&self, _secret: &str) -> Result<()> {
        Err(not_ready())
    }
}

fn not_ready() -> Error {
    Error::unavailable("the directory is being opened; try again shortly")
}
