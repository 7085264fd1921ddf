//! Stand-in for the wiring: the signatures that the command line is written
//! against.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flush::View;

/// Everything of one data directory.
#[derive(Debug)]
pub struct App(Arc<Engine>);

/// What became of one request's events.
#[derive(Debug, Clone, Default)]
pub struct IngestReport {
    /// Lines stored.
    pub accepted: u64,
    /// Lines that had been stored before.
    pub duplicate: u64,
    /// Lines whose id had been stored with other content.
    pub conflict: u64,
    /// Lines that broke a rule.
    pub rejected: u64,
    /// Each line, in order.
    pub results: Vec<LineResult>,
}

/// One line's result.
#[derive(Debug, Clone)]
pub struct LineResult {
    /// Its number in the request, from 1.
    pub line: u64,
    /// What became of it.
    pub status: LineStatus,
}

/// What became of one line.
#[derive(Debug, Clone)]
pub enum LineStatus {
    /// Stored.
    Accepted,
    /// Acknowledged before.
    Duplicate,
    /// Acknowledged before with other content.
    Conflict(Rejection),
    /// Broke a rule.
    Rejected(Rejection),
}

/// Why a line was refused.
#[derive(Debug, Clone)]
pub struct Rejection(String);

impl Rejection {
    /// The reason as a sentence.
    pub fn message(&self) -> String {
        self.0.clone()
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompactReport {
    /// Days that were rewritten.
    pub days: usize,
    /// Files replaced.
    pub files_removed: usize,
    /// Files that replace them.
    pub files_added: usize,
    /// Bytes of the replaced files.
    pub bytes_removed: u64,
    /// Bytes of the new files.
    pub bytes_added: u64,
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyCheck {
    /// What was compared.
    pub name: &'static str,
    /// The first difference; `None` when there is none.
    pub difference: Option<String>,
}

/// Every comparison.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// Rows of `usage_events`.
    pub events: u64,
    /// The comparisons.
    pub checks: Vec<VerifyCheck>,
}

impl VerifyReport {
    /// Whether nothing differs.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.difference.is_none())
    }
}

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub status: CheckStatus,
    /// What was seen, and what to do about it.
    pub detail: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct DoctorReport {
    /// The checks.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether nothing failed.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status != CheckStatus::Failed)
    }
}

/// A server that holds a data directory.
#[derive(Debug, Clone, Copy)]
pub struct RunningServer {
    /// Where it listens.
    pub address: SocketAddr,
}

/// The server that holds `data_dir`, read from its lock file.
pub fn running_server(_data_dir: &Path) -> Option<RunningServer> {
    None
}

impl App {
    /// Takes the data directory's lock; [`App::serve`] replays its log.
    pub fn start(_config: &Config, _clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Err(stub())
    }

    /// Locks and opens `config.data_dir`, and replays its log.
    pub async fn open(_config: &Config, _clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Err(stub())
    }

    /// Everything acknowledged so far.
    pub fn view(&self) -> Result<Arc<View>> {
        Err(stub())
    }

    /// Runs SQL.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.0
    }

    /// Stores NDJSON events; durable when it returns.
    pub async fn ingest_bytes(&self, _body: Bytes, _request_id: String) -> Result<IngestReport> {
        Err(stub())
    }

    /// Moves what is hot into the lake.
    pub async fn flush(&self) -> Result<()> {
        Err(stub())
    }

    /// Merges small files.
    pub async fn compact(&self) -> Result<CompactReport> {
        Err(stub())
    }

    /// Recomputes and compares.
    pub async fn verify(&self) -> Result<VerifyReport> {
        Err(stub())
    }

    /// Looks at everything that can be wrong.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        Err(stub())
    }

    /// Serves HTTP until `shutdown`, then drains, flushes and closes.
    pub async fn serve(
        self: Arc<Self>,
        _listener: tokio::net::TcpListener,
        _shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        Err(stub())
    }

    /// Drains, flushes and closes.
    pub async fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn stub() -> Error {
    Error::internal("this branch has no wiring yet")
}
