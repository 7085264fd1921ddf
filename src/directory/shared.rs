//! The current state of the directory, for everybody who reads it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Directory;

/// A handle to the current [`Directory`]. Copies of the handle see the same
/// state; a reader takes it once for one piece of work.
#[derive(Debug, Clone, Default)]
pub struct SharedDirectory(Arc<ArcSwap<Directory>>);

impl SharedDirectory {
    /// Shares `directory` until another one is published.
    pub fn new(directory: Directory) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(directory)))
    }

    /// The current state.
    pub fn load(&self) -> Arc<Directory> {
        self.0.load_full()
    }

    /// Makes `directory` the current state, for all later readers.
    pub(super) fn publish(&self, directory: Arc<Directory>) {
        self.0.store(directory);
    }
}

impl From<Directory> for SharedDirectory {
    fn from(directory: Directory) -> Self {
        Self::new(directory)
    }
}
