//! Changes of stored events. Events are facts and never edited: a correction
//! takes a row back by a reversal and, where needed, puts another in its
//! place, so that sums stay right and the history stays readable.
//!
//! Each correction holds [`crate::flush::Corrections`] while it reads, decides
//! and writes, so that no two of them work on the same events.

mod close;
mod correction;
mod forget;
mod replace;
mod retention;
mod void;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::access::Principal;
use crate::clock::Clock;
use crate::directory::{DirectoryStore, SharedDirectory};
use crate::error::{Error, Result};
use crate::flush::{Retention, Store};
use crate::ingest::Intake;
use crate::model::CorrectionStamp;
use crate::query::Queries;

pub use close::ClosingCheck;
pub use correction::Correction;
pub use forget::ForgetReport;
pub use replace::{ReplaceReport, ReplaceResult, ReplaceStatus};
pub use retention::Expired;
pub use void::{VoidReport, VoidResult, VoidStatus};

/// Events that one void or replacement may name.
pub const EVENTS_MAX: usize = 10_000;

/// What corrections need. Every method waits until it is alone.
#[derive(Debug)]
pub struct Corrector {
    parts: Arc<CorrectorParts>,
    /// Who the audit log says it was.
    actor: String,
}

/// The parts of a [`Corrector`].
#[derive(Debug)]
pub struct CorrectorParts {
    /// Empty until the log is replayed.
    pub store: Arc<OnceLock<Arc<Store>>>,
    /// Reads stored events.
    pub queries: Arc<Queries>,
    /// Reads replacements.
    pub intake: Arc<Intake>,
    /// Knows time zones.
    pub directory: SharedDirectory,
    /// The data directory.
    pub data_dir: PathBuf,
    /// How long tables keep their days.
    pub retention: Retention,
    /// Keeps the audit log; empty until the directory is open.
    pub directory_store: Arc<OnceLock<Arc<DirectoryStore>>>,
    /// Stamps corrections.
    pub clock: Arc<dyn Clock>,
}

impl Corrector {
    /// A corrector over these parts, for this machine's operator.
    pub fn new(parts: CorrectorParts) -> Self {
        Self { parts: Arc::new(parts), actor: Principal::operator().actor() }
    }

    /// The same for `actor`, whom the audit log then names.
    #[must_use]
    pub fn acting_for(&self, actor: String) -> Self {
        Self { parts: Arc::clone(&self.parts), actor }
    }

    fn store(&self) -> Result<&Arc<Store>> {
        let store = self.parts.store.get();
        store.ok_or_else(|| {
            Error::unavailable("the log is being replayed; try again in a few seconds")
        })
    }

    fn directory_store(&self) -> Result<&Arc<DirectoryStore>> {
        let store = self.parts.directory_store.get();
        store.ok_or_else(|| Error::unavailable("the directory is being opened; try again shortly"))
    }

    /// Begins a correction, once no other one is under way.
    pub async fn begin(&self) -> Result<Correction<'_>> {
        let corrections = self.store()?.corrections().await;
        Ok(Correction {
            corrector: self,
            corrections,
            stamp: self.stamp(),
            directory: self.parts.directory.load(),
        })
    }

    /// What the rows of a new correction carry.
    fn stamp(&self) -> CorrectionStamp {
        let at = self.parts.clock.now();
        let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
        let time =
            uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos());
        CorrectionStamp { id: uuid::Uuid::new_v7(time).to_string(), at }
    }
}

/// A reason is kept with the correction for whoever audits it.
fn check_reason(reason: &str) -> Result<()> {
    const REASON_CHARS_MAX: usize = 500;
    let length = reason.chars().count();
    if reason.trim().is_empty() {
        return Err(Error::invalid("reason is empty; say in a few words why the events change"));
    }
    if length > REASON_CHARS_MAX {
        return Err(Error::invalid(format!(
            "reason is {length} characters long; at most {REASON_CHARS_MAX} are kept"
        )));
    }
    Ok(())
}

/// The organization that all of these are of; none where there are several.
fn only_organization<'a>(mut ids: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = ids.next()?;
    ids.all(|id| id == first).then_some(first)
}

fn check_count(count: usize) -> Result<()> {
    if count > EVENTS_MAX {
        return Err(Error::new(
            crate::error::ErrorKind::LimitExceeded,
            format!("the request names {count} events; at most {EVENTS_MAX} are changed at once"),
        ));
    }
    Ok(())
}
