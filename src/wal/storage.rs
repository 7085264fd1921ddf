//! Where segments live: a folder on disk, or a stand-in with faults.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A folder of segment files.
pub trait WalStorage: Debug + Send + Sync {
    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Creates an empty file; an existing one is an `AlreadyExists` error.
    fn create(&self, name: &str) -> io::Result<Box<dyn WalFile>>;
    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Box<dyn WalFile>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes created and removed names durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// The file as a person finds it, for messages.
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// One segment file.
pub trait WalFile: Debug + Send {
    /// Writes all of `bytes` at the end. After an error the end is unknown
    /// until [`truncate`](Self::truncate) has set it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes `bytes` over the first bytes of the file, in place.
    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes contents and length durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `length` bytes; appending continues there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// The whole contents.
    fn read_all(&mut self) -> io::Result<Vec<u8>>;
}

/// The real folder.
#[derive(Debug)]
pub struct DiskStorage {
    dir: PathBuf,
}

impl DiskStorage {
    /// Uses the folder `dir`, creating it where it is missing. Its parent is
    /// synced, so that the folder itself survives a power cut.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        File::open(fs::canonicalize(dir.join(".."))?)?.sync_all()?;
        Ok(Self { dir })
    }

    fn file(&self, name: &str, options: &mut OpenOptions) -> io::Result<Box<dyn WalFile>> {
        let file = options.read(true).write(true).open(self.dir.join(name))?;
        let end = file.metadata()?.len();
        Ok(Box::new(DiskFile { file, end }))
    }
}

impl WalStorage for DiskStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // A name that is not UTF-8 is no segment.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        self.file(name, OpenOptions::new().create_new(true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn WalFile>> {
        self.file(name, &mut OpenOptions::new())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn describe(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    end: u64,
}

impl WalFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, 0)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.end = length;
        Ok(())
    }

    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.end).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}
