//! Arrow Flight SQL: the same SQL as through the other doors, in record
//! batches over gRPC, for ADBC drivers. It only reads, and every call shows a
//! credential.

mod actions;
mod credentials;
mod handles;
mod listener;
mod metadata;
mod parameters;
mod rows;
mod running;
mod server;
mod service;
mod sql_info;
mod statements;
mod status;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::access::{Credential, Principal, Randomness};
use crate::api::{FailedAttempts, TakeView};
use crate::engine::Engine;
use crate::error::Result;

pub use server::serve;

/// Knows whose credential it is.
#[async_trait]
pub trait Logins: fmt::Debug + Send + Sync {
    /// Whose `credential` is now; `Unauthenticated` where it does not hold.
    async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>>;
}

/// What the door leads to, and its limits.
pub struct FlightParts {
    /// Runs and describes statements.
    pub engine: Arc<Engine>,
    /// The state of now; `Unavailable` until the log is replayed.
    pub view: Box<TakeView>,
    /// Knows who makes a call.
    pub logins: Arc<dyn Logins>,
    /// Whoever shows no credential, where nobody is asked for one.
    pub anyone: Option<Arc<Principal>>,
    /// Writes down refused credentials.
    pub failures: Arc<FailedAttempts>,
    /// Whether calls come through a proxy, which says who made them.
    pub behind_proxy: bool,
    /// Makes tickets that nobody guesses.
    pub randomness: Arc<dyn Randomness>,
    /// Most connections at once.
    pub connections_max: usize,
    /// How long a client may take no rows before its statement ends; as long
    /// as a statement may run.
    pub stall: Duration,
}

impl fmt::Debug for FlightParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FlightParts").finish_non_exhaustive()
    }
}
