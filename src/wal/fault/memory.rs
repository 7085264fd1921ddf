//! A folder in memory that can lose power.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wal::{WalFile, WalStorage};

#[derive(Debug, Default, Clone)]
struct Contents {
    now: Vec<u8>,
    /// As of the last sync.
    durable: Vec<u8>,
    /// What the next sync writes.
    dirty: Range<usize>,
}

impl Contents {
    fn mark_dirty(&mut self, written: Range<usize>) {
        self.dirty = if self.dirty.is_empty() {
            written
        } else {
            self.dirty.start.min(written.start)..self.dirty.end.max(written.end)
        };
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        let dirty = self.dirty.start..self.dirty.end.min(self.now.len());
        if let Some(bytes) = self.now.get(dirty.clone()) {
            self.durable[dirty].copy_from_slice(bytes);
        }
        self.dirty = 0..0;
    }
}

#[derive(Debug, Default)]
struct Folder {
    files: BTreeMap<String, Arc<Mutex<Contents>>>,
    /// The names as of the last sync of the folder.
    durable: BTreeMap<String, Arc<Mutex<Contents>>>,
}

/// Segments in memory; what was not synced is lost in a [`power_cut`](Self::power_cut).
#[derive(Debug, Default)]
pub struct MemoryStorage {
    folder: Mutex<Folder>,
}

impl MemoryStorage {
    /// What is left after a power cut: synced names and bytes, and of each
    /// file's unsynced end the first `tail_bytes` bytes.
    pub fn power_cut(&self, tail_bytes: usize) -> Self {
        let mut files = BTreeMap::new();
        for (name, contents) in &locked(&self.folder).durable {
            let contents = locked(contents);
            let mut left = contents.durable.clone();
            let tail = contents.now.get(left.len()..).unwrap_or_default();
            left.extend_from_slice(&tail[..tail.len().min(tail_bytes)]);
            files.insert(name.clone(), left);
        }
        Self::of(files)
    }

    /// What a failed fsync does: unsynced bytes stay readable, but count as
    /// written, so that later syncs skip them unless they are written again.
    pub fn lose_dirty_marks(&self) {
        for contents in locked(&self.folder).files.values() {
            locked(contents).dirty = 0..0;
        }
    }

    /// A folder that durably holds `files`.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files: BTreeMap<_, _> = files
            .into_iter()
            .map(|(name, bytes)| {
                let contents = Contents { now: bytes.clone(), durable: bytes, dirty: 0..0 };
                (name, Arc::new(Mutex::new(contents)))
            })
            .collect();
        Self { folder: Mutex::new(Folder { durable: files.clone(), files }) }
    }

    /// Every file's bytes as a reader sees them now, by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = locked(&self.folder);
        folder.files.iter().map(|(name, file)| (name.clone(), locked(file).now.clone())).collect()
    }
}

impl WalStorage for MemoryStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.folder).files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        let mut folder = locked(&self.folder);
        if folder.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let contents = Arc::<Mutex<Contents>>::default();
        folder.files.insert(name.to_owned(), Arc::clone(&contents));
        Ok(Box::new(MemoryFile(contents)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        let folder = locked(&self.folder);
        let contents = folder.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile(Arc::clone(contents))))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = locked(&self.folder).files.remove(name);
        removed.map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut folder = locked(&self.folder);
        folder.durable = folder.files.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile(Arc<Mutex<Contents>>);

impl WalFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut contents = locked(&self.0);
        let start = contents.now.len();
        contents.now.extend_from_slice(bytes);
        contents.mark_dirty(start..start + bytes.len());
        Ok(())
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut contents = locked(&self.0);
        let over = contents.now.get_mut(..bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        over.copy_from_slice(bytes);
        contents.mark_dirty(0..bytes.len());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        locked(&self.0).sync();
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        locked(&self.0).now.resize(length, 0);
        Ok(())
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(locked(&self.0).now.clone())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
