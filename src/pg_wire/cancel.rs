//! Who may end which statement: a number and a secret that only the
//! connection's own client was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// Every open connection.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last_id: i32,
    handles: HashMap<i32, Arc<Handle>>,
}

/// What a connection and a request to cancel share.
#[derive(Debug)]
struct Handle {
    secret: i32,
    /// Of the statement that runs now.
    running: Mutex<Option<CancellationToken>>,
}

/// A connection's place among the others; dropping it gives it up.
#[derive(Debug)]
pub(super) struct CancelKey {
    cancels: Arc<Cancels>,
    handle: Arc<Handle>,
    /// The number that clients call a process.
    pub(super) id: i32,
}

impl Cancels {
    /// A place for a new connection, with this secret.
    pub(super) fn register(self: &Arc<Self>, secret: i32) -> CancelKey {
        let handle = Arc::new(Handle { secret, running: Mutex::new(None) });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let id = loop {
            open.last_id = if open.last_id == i32::MAX { 1 } else { open.last_id + 1 };
            if !open.handles.contains_key(&open.last_id) {
                break open.last_id;
            }
        };
        open.handles.insert(id, Arc::clone(&handle));
        CancelKey { cancels: Arc::clone(self), handle, id }
    }

    /// Ends what the connection runs now, if the secret is its own. Whoever
    /// asks is told nothing.
    pub(super) fn cancel(&self, id: i32, secret: i32) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = open.handles.get(&id) else { return };
        if bool::from(handle.secret.to_be_bytes().ct_eq(&secret.to_be_bytes())) {
            let running = handle.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = running.as_ref() {
                running.cancel();
            }
        }
    }
}

impl CancelKey {
    /// What the client has to show.
    pub(super) fn secret(&self) -> i32 {
        self.handle.secret
    }

    /// A statement begins: from now on a request ends it, and no earlier one
    /// does.
    pub(super) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.handle.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        token
    }

    /// The statement is over.
    pub(super) fn end(&self) {
        *self.handle.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for CancelKey {
    fn drop(&mut self) {
        let mut open = self.cancels.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.handles.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_secret_ends_the_running_statement() {
        let cancels = Arc::new(Cancels::default());
        let (one, other) = (cancels.register(11), cancels.register(22));
        let (running, others) = (one.begin(), other.begin());
        cancels.cancel(one.id, 22);
        cancels.cancel(other.id + 1, 11);
        assert!(!running.is_cancelled());
        cancels.cancel(one.id, 11);
        assert!(running.is_cancelled() && !others.is_cancelled());
        one.end();
        // What comes late does not end the next statement.
        cancels.cancel(one.id, 11);
        assert!(!one.begin().is_cancelled());
        let id = other.id;
        drop(other);
        cancels.cancel(id, 22);
        assert!(!others.is_cancelled());
    }
}
