//! Tells other processes of this machine where a data directory is served.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, ErrorKind, Result};

const FILE_NAME: &str = "serving.json";

/// How a process serves HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Serving {
    pub(super) process: u32,
    pub(super) address: SocketAddr,
    /// Of the certificate of TLS; none for plain HTTP.
    #[serde(default)]
    pub(super) certificate_sha256: Option<String>,
}

/// What is written down is true until this is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Announcement {
    _locked: File,
}

impl Announcement {
    /// Writes down how the holder of the directory serves. The file is locked
    /// only once it says so: what a killed server left in it is never believed,
    /// not even while the next one starts. The folder's lock must be held.
    pub(super) fn make(data_dir: &Path, serving: &Serving) -> Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let text = serde_json::to_vec(serving).internal("writing down where the server is")?;
        let write = || -> std::io::Result<File> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).open(&path)?;
            file.write_all(&text)?;
            // Whoever looks holds it for a moment.
            file.lock()?;
            Ok(file)
        };
        let doing = || format!("cannot write {}", path.display());
        Ok(Self { _locked: write().context(ErrorKind::Unavailable, doing())? })
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
        let Serving { mut address, certificate_sha256, .. } = serving;
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
    let mut file = File::open(data_dir.join(FILE_NAME)).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str::<Serving>(&text).ok().map(RunningServer::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::lock::FileLock;

    fn serving(port: u16) -> Serving {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Serving { process: std::process::id(), address, certificate_sha256: None }
    }

    #[test]
    fn a_second_opener_is_told_where_the_first_one_serves() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = FileLock::take(folder.path()).expect("lock");
        let announcement = Announcement::make(folder.path(), &serving(4321)).expect("announced");
        let error = FileLock::take(folder.path()).expect_err("held");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("http://127.0.0.1:4321"), "{error}");
        assert_eq!(running_server(folder.path()), Some(serving(4321).into()));
        drop(announcement);
        assert_eq!(running_server(folder.path()), None);
        drop(lock);
        FileLock::take(folder.path()).expect("free again");
    }

    #[test]
    fn the_address_of_a_server_that_is_gone_is_not_its_successors() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = FileLock::take(folder.path()).expect("lock");
        drop(Announcement::make(folder.path(), &serving(4321)).expect("announced"));
        drop(lock);
        let _lock = FileLock::take(folder.path()).expect("lock");
        assert_eq!(running_server(folder.path()), None);
        let _next = Announcement::make(folder.path(), &serving(4322)).expect("announced");
        assert_eq!(running_server(folder.path()), Some(serving(4322).into()));
    }

    #[test]
    fn a_server_on_every_address_is_reached_on_loopback() {
        let address = SocketAddr::from(([0, 0, 0, 0], 4321));
        let certificate_sha256 = Some("ab".to_owned());
        let server = RunningServer::from(Serving { address, certificate_sha256, ..serving(1) });
        assert_eq!(server.url(), "https://127.0.0.1:4321");
    }
}
