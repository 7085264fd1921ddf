//! One process per data directory: a lock that dies with its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::announcement::running_server;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::DirectoryLock;

/// What stays with the directory: who it is, and how often it was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    /// The layout of the data directory.
    format: u32,
    /// Names this directory in the tables' application transactions.
    pub(crate) node_id: String,
    /// Grows with every opening.
    pub(crate) epoch: u64,
}

/// The layout that this version reads and writes.
const FORMAT: u32 = 1;

/// The lock of a data directory, held until dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    _locked: File,
}

impl DirectoryLock for FileLock {}

impl FileLock {
    /// Takes the lock, or says who holds it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self> {
        let doing = || format!("cannot open the data directory {}", data_dir.display());
        std::fs::create_dir_all(data_dir).context(ErrorKind::Unavailable, doing())?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(data_dir.join("LOCK"))
            .context(ErrorKind::Unavailable, doing())?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _locked: file }),
            Err(TryLockError::WouldBlock) => Err(held(data_dir)),
            Err(TryLockError::Error(error)) => Err(Error::unavailable(doing()).caused_by(error)),
        }
    }
}

fn held(data_dir: &Path) -> Error {
    let who = running_server(data_dir).map_or_else(
        || "another process".to_owned(),
        |server| format!("the server at {}", server.url()),
    );
    Error::new(
        ErrorKind::Busy,
        format!(
            "{who} holds the data directory {}; two writers would lose data: stop it, or use \
             another directory (--data-dir)",
            data_dir.display()
        ),
    )
}

/// Reads who the directory is, and counts this opening. Call with the lock held.
pub(crate) fn open_node(data_dir: &Path) -> Result<Node> {
    let path = data_dir.join("node.json");
    let doing = || format!("cannot use {}", path.display());
    let mut node = match std::fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice::<Node>(&text).context(ErrorKind::Unavailable, doing())?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Random, not timed: two directories must never share an id.
            Node { format: FORMAT, node_id: uuid::Uuid::new_v4().to_string(), epoch: 0 }
        }
        Err(error) => return Err(Error::unavailable(doing()).caused_by(error)),
    };
    if node.format != FORMAT {
        return Err(Error::unavailable(format!(
            "{} has layout {}, this version reads {FORMAT}; start the version that wrote it",
            data_dir.display(),
            node.format
        )));
    }
    node.epoch += 1;
    write_durably(&path, &serde_json::to_vec_pretty(&node).internal(doing())?)?;
    Ok(node)
}

fn write_durably(path: &Path, text: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let draft = path.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().context(ErrorKind::Unavailable, format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opening_counts_and_the_id_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let first = open_node(folder.path()).expect("first");
        let second = open_node(folder.path()).expect("second");
        assert_eq!((first.epoch, second.epoch), (1, 2));
        assert_eq!(first.node_id, second.node_id);
    }
}
