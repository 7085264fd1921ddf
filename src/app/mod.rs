//! Wiring: which parts exist, the order in which they start (lock, replay,
//! listen) and stop (drain, flush, close).

mod announcement;
mod doctor;
mod flight;
mod http;
mod listen;
mod lock;
mod observe;
mod operator_file;
mod pg;
mod serve;
mod tls;
mod verify;

#[cfg(test)]
mod oidc_tests;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::access::{Authenticator, Oidc, Randomness, SystemRandomness, install_crypto};
use crate::api::{Incoming, IngestDoor, OperatorToken};
use crate::clock::Clock;
use crate::config::Config;
use crate::corrections::{Corrector, CorrectorParts};
use crate::directory::{AuditTrail, DirectoryStore, Registrar, SharedDirectory};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flush::{Opening, Retention, Store, View};
use crate::ingest::{Intake, IntakeLimits};
use crate::prices::{PriceParts, Prices, RepriceRequest};
use crate::pricing::RepriceReport;
use crate::query::{Queries, off_workers};

pub use announcement::{RunningServer, running_server};
pub use doctor::{Check, CheckStatus, DoctorReport, UNPRICED_MODELS, unpriced_check};
pub use operator_file::operator_token;
pub use tls::ServerTls;

pub(crate) use tls::fingerprint;
pub use verify::{VerifyCheck, VerifyReport};

pub use crate::api::{
    ImportedReport, Reconciliation, ReconciliationFigures, ReconciliationItem, ReportOptions,
};
pub use crate::ingest::ReportFormat;
pub use crate::query::{Cause, ReconciliationRequest};

pub use crate::flush::{CompactReport, IngestReport, LineStatus};

/// Everything of one data directory.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Arc<dyn Clock>,
    lock: Arc<lock::FileLock>,
    node: lock::Node,
    engine: Arc<Engine>,
    queries: Arc<Queries>,
    /// What the directory holds, for everybody who reads it.
    names: SharedDirectory,
    /// Empty until [`App::replay`].
    directory: Arc<OnceLock<Arc<DirectoryStore>>>,
    registrar: Arc<OnceLock<Registrar>>,
    polling: OnceLock<Polling>,
    upkeep: OnceLock<Polling>,
    noting_uses: OnceLock<Polling>,
    /// Empty until the log is replayed.
    store: Arc<OnceLock<Arc<Store>>>,
    prices: Arc<Prices>,
    door: Arc<IngestDoor>,
    corrector: Arc<Corrector>,
    authenticator: Arc<Authenticator>,
    operator: OperatorToken,
    /// None where the settings name no identity provider.
    oidc: Option<Arc<Oidc>>,
}

impl App {
    /// Takes the data directory's lock and builds every part but the store,
    /// which [`App::replay`] opens.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let lock = Arc::new(lock::FileLock::take(&config.data_dir)?);
        let node = lock::open_node(&config.data_dir)?;
        let names = SharedDirectory::default();
        let engine = Engine::new(config, names.clone())?.with_clock(Arc::clone(&clock));
        let engine = Arc::new(engine);
        let queries = Arc::new(Queries::new(Arc::clone(&engine), names.clone())?);
        let store = Arc::new(OnceLock::new());
        let parts = PriceParts {
            engine: Arc::clone(&engine),
            queries: Arc::clone(&queries),
            clock: Arc::clone(&clock),
        };
        let prices = Prices::open(&config.data_dir, parts)?;
        let limits = IntakeLimits::from(config);
        let intake = Arc::new(Intake::new(names.clone(), prices.active(), limits));
        let directory = Arc::new(OnceLock::new());
        let corrector = Corrector::new(CorrectorParts {
            store: Arc::clone(&store),
            queries: Arc::clone(&queries),
            intake: Arc::clone(&intake),
            directory: names.clone(),
            directory_store: Arc::clone(&directory),
            data_dir: config.data_dir.clone(),
            retention: Retention::from(config),
            clock: Arc::clone(&clock),
        });
        let registrar = Arc::new(OnceLock::new());
        let clocks = Arc::clone(&clock);
        let door =
            IngestDoor::new(config, intake, Arc::clone(&store), Arc::clone(&registrar), clocks);
        engine.set_audit_trail(AuditTrail::new(Arc::clone(&directory)));
        let (authenticator, oidc) = open_access(config, &clock)?;
        Ok(Arc::new(Self {
            config: config.clone(),
            clock,
            lock,
            node,
            engine,
            queries,
            names,
            directory,
            registrar,
            polling: OnceLock::new(),
            upkeep: OnceLock::new(),
            noting_uses: OnceLock::new(),
            store,
            prices,
            door: Arc::new(door),
            corrector: Arc::new(corrector),
            authenticator,
            oidc,
            operator: OperatorToken::generate(&SystemRandomness)?,
        }))
    }

    /// Opens the directory and the store: replays what only the log holds.
    /// Nothing is answered before that.
    pub async fn replay(&self) -> Result<()> {
        self.open_directory().await?;
        let opening = Opening {
            application: format!("node/{}", self.node.node_id),
            epoch: self.node.epoch,
            directory_lock: Arc::<lock::FileLock>::clone(&self.lock),
            directory: self.names.clone(),
        };
        let store = Store::open(&self.config, opening, Arc::clone(&self.clock)).await?;
        let twice = || Error::internal("the store was opened twice");
        self.store.set(Arc::new(store)).map_err(|_| twice())?;
        self.corrector.resume_forgetting().await?;
        let upkeep = tokio::spawn(drop_expired(Arc::clone(&self.corrector)));
        self.upkeep.set(Polling(upkeep.abort_handle())).map_err(|_| twice())
    }

    /// Who asks: checks credentials once [`App::replay`] has opened the directory.
    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.authenticator
    }

    /// Changes stored events.
    pub fn corrector(&self) -> &Arc<Corrector> {
        &self.corrector
    }

    /// The directory must be there before the first event: it decides local
    /// dates. Opened before it may listen where others can reach it, too.
    async fn open_directory(&self) -> Result<()> {
        if self.directory.get().is_some() {
            return Ok(());
        }
        let (names, clock) = (self.names.clone(), Arc::clone(&self.clock));
        let directory = DirectoryStore::open(&self.config, names, clock).await?;
        directory.import_legacy(&self.config.data_dir).await?;
        self.authenticator.open(Arc::clone(&directory)).await?;
        let twice = || Error::internal("the directory was opened twice");
        let polling = Polling(tokio::spawn(Arc::clone(&directory).poll()).abort_handle());
        let uses = tokio::spawn(Arc::clone(&self.authenticator).note_uses());
        self.noting_uses.set(Polling(uses.abort_handle())).map_err(|_| twice())?;
        self.polling.set(polling).map_err(|_| twice())?;
        let registrar = Registrar::start(Arc::clone(&directory));
        self.registrar.set(registrar).map_err(|_| twice())?;
        self.directory.set(directory).map_err(|_| twice())
    }

    /// [`App::start`] and [`App::replay`].
    pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let app = Self::start(config, clock)?;
        app.replay().await?;
        Ok(app)
    }

    fn store(&self) -> Result<&Arc<Store>> {
        self.store
            .get()
            .ok_or_else(|| Error::unavailable("the log is being replayed; try again shortly"))
    }

    /// The current state; a query takes it once.
    pub fn view(&self) -> Result<Arc<View>> {
        Ok(self.store()?.view())
    }

    /// Organizations and what belongs to them.
    pub fn directory(&self) -> Result<&Arc<DirectoryStore>> {
        self.directory
            .get()
            .ok_or_else(|| Error::unavailable("the directory is being opened; try again shortly"))
    }

    /// Waits until the ids of all events stored so far are registered.
    pub async fn settle_directory(&self) {
        if let Some(registrar) = self.registrar.get() {
            registrar.settle().await;
        }
    }

    /// Runs SQL.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The price lists, and repricing by them.
    pub fn prices(&self) -> &Arc<Prices> {
        &self.prices
    }

    /// Prices stored events anew, or shows what that would change.
    pub async fn reprice(&self, request: RepriceRequest) -> Result<RepriceReport> {
        let (prices, corrector) = (Arc::clone(&self.prices), Arc::clone(&self.corrector));
        off_workers(async move { prices.reprice(&corrector, &request).await }).await
    }

    /// Stores the events of a plain NDJSON body; durable when it returns.
    pub async fn ingest_bytes(&self, body: Bytes, request_id: String) -> Result<IngestReport> {
        self.door.ingest(Incoming::native(body), request_id).await
    }

    /// Puts a provider's report in the place of what was imported of its days
    /// before; durable when it returns.
    pub async fn import_report(
        &self,
        format: ReportFormat,
        body: Bytes,
        options: ReportOptions,
    ) -> Result<ImportedReport> {
        self.door.import_report(format, body, options).await
    }

    /// Why a provider's charges and our costs differ.
    pub async fn reconciliation(&self, request: &ReconciliationRequest) -> Result<Reconciliation> {
        let answer = self.queries.reconciliation(&self.view()?, request).await?;
        Ok(Reconciliation::new(request, &answer))
    }

    /// Commits everything that is hot and covers it by the rollup.
    pub async fn flush(&self) -> Result<()> {
        self.store()?.flush().await
    }

    /// Flushes, then rewrites every day of more than one file, then deletes
    /// replaced files past their retention.
    pub async fn compact(&self) -> Result<CompactReport> {
        let store = self.store()?;
        let report = store.compact().await?;
        let hours = i64::from(self.config.vacuum_retention_hours);
        store.clean_up(chrono::TimeDelta::hours(hours)).await?;
        Ok(report)
    }

    /// Recomputes the stored rollup from the events.
    pub async fn rebuild_rollup(&self) -> Result<()> {
        self.store()?.rebuild_rollup().await
    }

    /// Recomputes every sum from the events and names the first difference.
    pub async fn verify(&self) -> Result<VerifyReport> {
        verify::verify(&self.engine, self.store()?).await
    }

    /// Looks at what an operator would look at.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        doctor::doctor(self).await
    }

    /// Drains, flushes, closes.
    pub async fn close(&self) -> Result<()> {
        let closed = match self.store.get() {
            Some(store) => store.close().await,
            None => Ok(()),
        };
        self.settle_directory().await;
        if let Some(directory) = self.directory.get() {
            if let Err(error) = self.authenticator.note_uses_now().await {
                let error = error.full_message();
                tracing::warn!(error, "the last use of credentials was not written down");
            }
            directory.close().await;
        }
        closed
    }
}

/// Those who find out who asks.
fn open_access(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<Authenticator>, Option<Arc<Oidc>>)> {
    install_crypto();
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    let oidc = Oidc::open(config, clock, &randomness)?.map(Arc::new);
    let authenticator = Authenticator::new(config, Arc::clone(clock), randomness)?;
    if let Some(verifier) = oidc.as_ref().and_then(|oidc| oidc.jwt_verifier()) {
        authenticator.set_jwt_verifier(verifier);
    }
    Ok((Arc::new(authenticator), oidc))
}

/// Drops days past their age, once an hour.
async fn drop_expired(corrector: Arc<Corrector>) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_secs(3600);
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Err(error) = corrector.expire(false).await {
            tracing::error!(error = error.full_message(), "retention failed; it is tried again");
        }
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Polling(tokio::task::AbortHandle);

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.abort();
    }
}
