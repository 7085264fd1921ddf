//! Storage that fails on demand, for tests here and in `tests/`.

mod memory;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use memory::MemoryStorage;

use super::{WalFile, WalStorage};

const UNLIMITED: u64 = u64::MAX;

/// The switches of a [`FaultyStorage`]; all can be turned while it is in use.
#[derive(Debug)]
pub struct Faults {
    space_bytes: AtomicU64,
    is_sync_failing: AtomicBool,
    is_truncate_failing: AtomicBool,
    sync_calls: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            space_bytes: AtomicU64::new(UNLIMITED),
            is_sync_failing: AtomicBool::new(false),
            is_truncate_failing: AtomicBool::new(false),
            sync_calls: AtomicU64::new(0),
        }
    }
}

impl Faults {
    /// The disk takes `bytes` more, then part of a write, then nothing.
    pub fn fill_disk_after(&self, bytes: u64) {
        self.space_bytes.store(bytes, Ordering::SeqCst);
    }

    /// The disk takes everything again.
    pub fn free_disk(&self) {
        self.space_bytes.store(UNLIMITED, Ordering::SeqCst);
    }

    /// Whether syncing a file or the folder is an error from now on.
    pub fn fail_sync(&self, is_failing: bool) {
        self.is_sync_failing.store(is_failing, Ordering::SeqCst);
    }

    /// Whether cutting or removing a file is an error from now on.
    pub fn fail_truncate(&self, is_failing: bool) {
        self.is_truncate_failing.store(is_failing, Ordering::SeqCst);
    }

    /// How often a file or the folder was synced, failures included.
    pub fn sync_calls(&self) -> u64 {
        self.sync_calls.load(Ordering::SeqCst)
    }

    /// Takes up to `wanted` bytes of the space that is left.
    fn take_space(&self, wanted: usize) -> usize {
        let left = self.space_bytes.load(Ordering::SeqCst);
        if left == UNLIMITED {
            return wanted;
        }
        let taken = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.space_bytes.store(left - taken as u64, Ordering::SeqCst);
        taken
    }

    fn check_sync(&self) -> io::Result<()> {
        self.sync_calls.fetch_add(1, Ordering::SeqCst);
        check(&self.is_sync_failing, "the test fails this sync")
    }

    fn check_truncate(&self) -> io::Result<()> {
        check(&self.is_truncate_failing, "the test fails this truncation")
    }
}

fn check(is_failing: &AtomicBool, message: &'static str) -> io::Result<()> {
    if is_failing.load(Ordering::SeqCst) { Err(io::Error::other(message)) } else { Ok(()) }
}

/// Another storage, with faults in front of it.
#[derive(Debug)]
pub struct FaultyStorage {
    inner: Arc<dyn WalStorage>,
    faults: Arc<Faults>,
}

impl FaultyStorage {
    /// Wraps `inner`; without a switch turned it behaves the same.
    pub fn new(inner: Arc<dyn WalStorage>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    fn wrap(&self, inner: Box<dyn WalFile>) -> Box<dyn WalFile> {
        Box::new(FaultyFile { inner, faults: Arc::clone(&self.faults) })
    }
}

impl WalStorage for FaultyStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        Ok(self.wrap(self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        Ok(self.wrap(self.inner.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.faults.check_truncate()?;
        self.inner.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.faults.check_sync()?;
        self.inner.sync_directory()
    }

    fn describe(&self, name: &str) -> String {
        self.inner.describe(name)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Box<dyn WalFile>,
    faults: Arc<Faults>,
}

impl WalFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = self.faults.take_space(bytes.len());
        self.inner.append(&bytes[..taken])?;
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.overwrite(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.check_sync()?;
        self.inner.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.faults.check_truncate()?;
        self.inner.truncate(length)
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.inner.read_all()
    }
}
