//! One process per data directory: a lock that dies with its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::DirectoryLock;

/// Who holds a data directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    process: u32,
    /// How it serves HTTP, once it does.
    #[serde(flatten)]
    serving: Option<Serving>,
}

/// How a process serves HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    /// Of the certificate of TLS; none for plain HTTP.
    #[serde(default)]
    pub(crate) certificate_sha256: Option<String>,
}

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

/// [`running_server`] takes the lock for a moment; a holder that stays longer
/// than this many looks is a real one.
const LOOK_TRIES: u32 = 10;
const LOOK_WAIT: Duration = Duration::from_millis(20);

/// The lock of a data directory, held until dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
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
        for _ in 0..LOOK_TRIES {
            match file.try_lock() {
                Ok(()) => {
                    let lock = Self { file };
                    lock.announce(None)?;
                    return Ok(lock);
                }
                // Perhaps only somebody who looks who holds it.
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_WAIT),
                Err(TryLockError::Error(error)) => {
                    return Err(Error::unavailable(doing()).caused_by(error));
                }
            }
        }
        Err(held(data_dir))
    }

    /// Writes down how this process serves HTTP.
    pub(crate) fn announce(&self, serving: Option<Serving>) -> Result<()> {
        let holder = Holder { process: std::process::id(), serving };
        let text = serde_json::to_vec(&holder).internal("writing the lock file")?;
        let write = || -> std::io::Result<()> {
            let mut file = &self.file;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        write().context(ErrorKind::Unavailable, "cannot write the lock file")
    }
}

/// A server that holds a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningServer {
    /// Where this machine reaches it.
    pub address: SocketAddr,
    /// SHA-256 of its certificate; none where it serves plain HTTP.
    pub certificate_sha256: Option<String>,
}

impl RunningServer {
    /// Where this machine reaches it.
    pub fn url(&self) -> String {
        let scheme = if self.certificate_sha256.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl From<Serving> for RunningServer {
    fn from(serving: Serving) -> Self {
        let Serving { mut address, certificate_sha256 } = serving;
        // Listening everywhere is listening here.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Self { address, certificate_sha256 }
    }
}

/// The server that holds `data_dir` now, if one does and serves HTTP.
pub fn running_server(data_dir: &Path) -> Option<RunningServer> {
    let mut file = File::open(data_dir.join("LOCK")).ok()?;
    // Only a held lock makes the file's content true.
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let holder: Holder = serde_json::from_str(&text).ok()?;
    holder.serving.map(RunningServer::from)
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
    fn a_second_opener_is_told_where_the_first_one_serves() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = FileLock::take(folder.path()).expect("lock");
        let address = SocketAddr::from(([127, 0, 0, 1], 4321));
        let serving = Serving { address, certificate_sha256: None };
        lock.announce(Some(serving.clone())).expect("announced");
        let error = FileLock::take(folder.path()).expect_err("held");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("http://127.0.0.1:4321"), "{error}");
        assert_eq!(running_server(folder.path()), Some(serving.into()));
        drop(lock);
        assert_eq!(running_server(folder.path()), None);
        FileLock::take(folder.path()).expect("free again");
    }

    #[test]
    fn a_server_on_every_address_is_reached_on_loopback() {
        let address = SocketAddr::from(([0, 0, 0, 0], 4321));
        let certificate_sha256 = Some("ab".to_owned());
        let server = RunningServer::from(Serving { address, certificate_sha256 });
        assert_eq!(server.url(), "https://127.0.0.1:4321");
    }

    #[test]
    fn every_opening_counts_and_the_id_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let first = open_node(folder.path()).expect("first");
        let second = open_node(folder.path()).expect("second");
        assert_eq!((first.epoch, second.epoch), (1, 2));
        assert_eq!(first.node_id, second.node_id);
    }
}
