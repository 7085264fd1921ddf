//! Making files survive a power cut: every sync goes through here, so a test
//! can count them and make one fail.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Context, Error, ErrorKind, Result};

/// The two calls that make a file durable.
pub(crate) trait DiskSync: Debug + Send + Sync {
    /// Writes the content of `file`, found at `path`, to the disk itself.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Writes the entries of the directory at `path` to the disk itself.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's `fsync`.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl DiskSync for SystemDisk {
    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// A disk that stops being trusted after its first failed sync: the kernel
/// may have dropped the pages, so a second sync that succeeds proves nothing.
#[derive(Debug)]
pub(crate) struct DurableDisk {
    disk: Arc<dyn DiskSync>,
    failed: AtomicBool,
}

impl DurableDisk {
    pub(crate) fn new(disk: Arc<dyn DiskSync>) -> Self {
        Self { disk, failed: AtomicBool::new(false) }
    }

    /// An error once any sync has failed; only a restart clears it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(Error::unavailable(
                "an earlier sync of the lake to disk failed; nothing more is written; check the \
                 disk and restart: the write-ahead log still holds every acknowledged event",
            ));
        }
        Ok(())
    }

    pub(crate) fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        self.watch(self.disk.sync_file(file, path))
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.watch(self.disk.sync_directory(path))
    }

    /// Creates `path` below the existing `root` and syncs the parent of each
    /// directory that is new.
    pub(crate) fn create_directory(&self, root: &Path, path: &Path) -> io::Result<()> {
        if path == root || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(root);
        self.create_directory(root, parent)?;
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_directory(parent)
    }

    /// Puts a finished file in its place: syncs it, renames it to `path` and
    /// syncs the directory.
    pub(crate) fn publish(&self, file: &File, temporary: &Path, path: &Path) -> Result<()> {
        let publish = || {
            self.sync_file(file, temporary)?;
            std::fs::rename(temporary, path)?;
            self.sync_directory(path.parent().unwrap_or(Path::new("/")))
        };
        publish().context(ErrorKind::Unavailable, format!("{} cannot be saved", path.display()))
    }

    fn watch(&self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.failed.store(true, Ordering::SeqCst);
        }
        result
    }
}
