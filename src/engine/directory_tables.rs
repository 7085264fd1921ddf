//! The tables of the directory, made once for each of its states.

use std::sync::{Arc, Mutex, PoisonError};

use super::StaticTable;
use crate::directory::{Directory, SharedDirectory};
use crate::error::Result;

/// Makes the tables when a session first asks for those of a new state, so
/// that a change costs nothing while nobody reads.
#[derive(Debug)]
pub(super) struct DirectoryTables {
    directory: SharedDirectory,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    of: Arc<Directory>,
    tables: Arc<Vec<StaticTable>>,
}

impl DirectoryTables {
    pub(super) fn new(directory: SharedDirectory) -> Self {
        Self { directory, made: Mutex::new(None) }
    }

    /// `tables` whatever a directory would say.
    #[cfg(test)]
    pub(super) fn fixed(tables: Vec<StaticTable>) -> Self {
        let directory = SharedDirectory::default();
        let made = Made { of: directory.load(), tables: Arc::new(tables) };
        Self { directory, made: Mutex::new(Some(made)) }
    }

    /// The tables of the directory as it is now.
    pub(super) fn current(&self) -> Result<Arc<Vec<StaticTable>>> {
        let directory = self.directory.load();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| Arc::ptr_eq(&made.of, &directory)) {
            return Ok(Arc::clone(&made.tables));
        }
        let tables = directory.tables()?.into_iter();
        let tables = tables.map(|(name, batch)| StaticTable { name: name.to_owned(), batch });
        let tables = Arc::new(tables.collect::<Vec<_>>());
        *made = Some(Made { of: directory, tables: Arc::clone(&tables) });
        Ok(tables)
    }
}
