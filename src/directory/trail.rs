//! Writes to the audit log from wherever something is done.

use std::sync::{Arc, OnceLock};

use super::audit::Audit;
use super::store::DirectoryStore;
use crate::error::{Error, Result};

/// The audit log's writing end. Copies write to the same log.
#[derive(Debug, Clone)]
pub struct AuditTrail(Arc<OnceLock<Arc<DirectoryStore>>>);

impl AuditTrail {
    /// Over a directory that may open later.
    pub fn new(directory: Arc<OnceLock<Arc<DirectoryStore>>>) -> Self {
        Self(directory)
    }

    /// Writes down what somebody does. Durable when it returns; what cannot be
    /// written down is not to be done.
    pub async fn append(&self, audit: &Audit) -> Result<()> {
        let store = self.0.get().ok_or_else(|| {
            Error::unavailable("the directory is being opened; try again shortly")
        })?;
        store.append_audit(audit).await
    }
}
