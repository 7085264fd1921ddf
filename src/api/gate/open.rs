//! For tests of what is answered, not to whom: everybody may do everything.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;

use super::{Authenticate, Gate, GateParts, OperatorToken};
use crate::access::{Credential, Principal, SystemRandomness};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// A gate that asks nobody who they are.
pub(in crate::api) fn open_gate() -> Arc<Gate> {
    let config = Config { insecure_anonymous: true, ..Config::default() };
    let parts = GateParts {
        authenticator: Arc::new(NobodyKnown),
        operator: OperatorToken::generate(&SystemRandomness).expect("a token"),
        trail: None,
        clock: Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)),
    };
    Arc::new(Gate::new(&config, parts).expect("a gate"))
}

#[derive(Debug)]
struct NobodyKnown;

#[async_trait]
impl Authenticate for NobodyKnown {
    async fn authenticate(&self, _: &Credential) -> Result<Arc<Principal>> {
        Err(Error::new(ErrorKind::Unauthenticated, "nobody is known here"))
    }
}
