//! Statements that run, so that another call can cancel them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::handles::Handle;
use crate::access::Principal;

/// Statements that run, by the handles of their tickets.
#[derive(Debug, Default)]
pub(super) struct RunningStatements(Arc<Mutex<HashMap<Handle, Entry>>>);

#[derive(Debug)]
struct Entry {
    owner: String,
    cancelled: CancellationToken,
}

/// One statement that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    handle: Handle,
    cancelled: CancellationToken,
    all: Arc<Mutex<HashMap<Handle, Entry>>>,
}

impl RunningStatements {
    /// The statement of this ticket begins to run. How many do at once is the
    /// engine's business.
    pub(super) fn begin(&self, owner: &Principal, handle: Handle) -> Running {
        let cancelled = CancellationToken::new();
        let entry = Entry { owner: owner.id().to_owned(), cancelled: cancelled.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, entry);
        Running { handle, cancelled, all: Arc::clone(&self.0) }
    }

    /// Cancels the statement of this ticket; false where `owner` has none such.
    pub(super) fn cancel(&self, owner: &Principal, handle: &[u8]) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(handle).filter(|entry| entry.owner == owner.id());
        if let Some(entry) = found {
            entry.cancelled.cancel();
        }
        found.is_some()
    }
}

impl Running {
    /// Resolves when somebody cancels it.
    pub(super) fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.cancelled.clone().cancelled_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Origin, Permissions};

    #[tokio::test]
    async fn only_its_principal_cancels_a_statement_and_only_while_it_runs() {
        let principal = |id| Principal::new(id, id, Origin::Token, Vec::new(), Permissions::ALL);
        let (ada, eve) = (principal("ada"), principal("eve"));
        let statements = RunningStatements::default();
        let running = statements.begin(&ada, [7; 32]);
        assert!(!statements.cancel(&eve, &[7; 32]));
        assert!(!running.cancelled.is_cancelled());
        assert!(statements.cancel(&ada, &[7; 32]));
        running.cancelled().await;
        drop(running);
        assert!(!statements.cancel(&ada, &[7; 32]), "it is over");
    }
}
