//! The local file system as an object store that syncs what it writes.
//!
//! The library's own local store never calls `fsync`, so after a power cut a
//! commit could be an empty file, or gone after the log was truncated.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path as DiskPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

use super::durable::DurableDisk;

const STORE: &str = "SyncedStore";

/// Reads and lists through [`LocalFileSystem`]; writes itself, in the order
/// content, sync, name, sync of the directory. A file is never visible before
/// its content is on the disk.
#[derive(Debug, Clone)]
pub(crate) struct SyncedStore {
    files: Arc<LocalFileSystem>,
    disk: Arc<DurableDisk>,
    staged: Arc<AtomicU64>,
}

impl SyncedStore {
    /// A store over the whole local file system.
    pub(crate) fn new(disk: Arc<DurableDisk>) -> Self {
        Self { files: Arc::new(LocalFileSystem::new()), disk, staged: Arc::default() }
    }

    async fn write(
        &self,
        location: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<PutResult> {
        let path = self.files.path_to_filesystem(location)?;
        let exclusive = match mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put_opts with PutMode::Update".to_owned(),
                    implementer: STORE.to_owned(),
                });
            }
        };
        let (disk, number) = (Arc::clone(&self.disk), self.staged.fetch_add(1, Ordering::Relaxed));
        let written = tokio::task::spawn_blocking(move || {
            write_synced(&disk, &path, &payload, exclusive, number)
        })
        .await
        .map_err(|source| Error::JoinError { source })?;
        match written {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: location.to_string(), source: source.into() })
            }
            Err(source) => Err(generic(source)),
        }
    }
}

/// `#` and digits at the end of a name hide the file from the store's
/// listings, so what a crash leaves behind is never taken for a commit.
fn staging_path(path: &DiskPath, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("#{number}"));
    PathBuf::from(name)
}

fn write_synced(
    disk: &DurableDisk,
    path: &DiskPath,
    payload: &PutPayload,
    exclusive: bool,
    number: u64,
) -> io::Result<()> {
    disk.check().map_err(io::Error::other)?;
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    disk.create_directory(DiskPath::new("/"), folder)?;
    let staging = staging_path(path, number);
    let named = write_content(disk, &staging, payload).and_then(|()| {
        // A hard link fails where the name is taken, a rename replaces.
        if exclusive { std::fs::hard_link(&staging, path) } else { std::fs::rename(&staging, path) }
    });
    if exclusive || named.is_err() {
        // The name is only the way to the link; what stays behind is unlisted.
        let _ = std::fs::remove_file(&staging);
    }
    named?;
    disk.sync_directory(folder)
}

fn write_content(disk: &DurableDisk, staging: &DiskPath, payload: &PutPayload) -> io::Result<()> {
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).open(staging)?;
    for part in payload {
        file.write_all(part)?;
    }
    disk.sync_file(&file, staging)
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: source.into() }
}

impl std::fmt::Display for SyncedStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for SyncedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.write(location, payload, options.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload =
            BufferedUpload { store: self.clone(), location: location.clone(), parts: vec![] };
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        let (disk, path) = (Arc::clone(&self.disk), self.files.path_to_filesystem(to)?);
        let sync = move || {
            disk.sync_file(&File::open(&path)?, &path)?;
            disk.sync_directory(path.parent().unwrap_or(DiskPath::new("/")))
        };
        tokio::task::spawn_blocking(sync)
            .await
            .map_err(|source| Error::JoinError { source })?
            .map_err(generic)
    }
}

/// Collects the parts and writes them as one synced file. The only large
/// objects that come this way are checkpoints, a few megabytes.
#[derive(Debug)]
struct BufferedUpload {
    store: SyncedStore,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for BufferedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts);
        let payload: PutPayload = parts.into_iter().flatten().collect();
        self.store.write(&self.location, payload, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
