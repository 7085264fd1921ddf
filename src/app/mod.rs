//! Wiring: which parts exist, the order in which they start (lock, replay,
//! listen) and stop (drain, flush, close).

mod doctor;
mod lock;
mod observe;
mod serve;
mod verify;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::api::{Incoming, IngestDoor};
use crate::clock::Clock;
use crate::config::Config;
use crate::corrections::{Corrector, CorrectorParts};
use crate::directory::Directory;
use crate::engine::{Engine, StaticTable};
use crate::error::{Error, Result};
use crate::flush::{Opening, Store, View};
use crate::ingest::{Intake, IntakeLimits};
use crate::model::ClosedMonths;
use crate::pricing::PriceBook;
use crate::query::Queries;

pub use doctor::{Check, CheckStatus, DoctorReport};
pub use lock::{RunningServer, running_server};
pub use verify::{VerifyCheck, VerifyReport};

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
    /// Empty until the log is replayed.
    store: Arc<OnceLock<Arc<Store>>>,
    door: Arc<IngestDoor>,
    corrector: Arc<Corrector>,
    closed_months: Arc<ArcSwap<ClosedMonths>>,
}

impl App {
    /// Takes the data directory's lock and builds every part but the store,
    /// which [`App::replay`] opens.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let lock = Arc::new(lock::FileLock::take(&config.data_dir)?);
        let node = lock::open_node(&config.data_dir)?;
        let directory = Arc::new(Directory::load(&config.data_dir.join("directory.json"))?);
        let prices = Arc::clone(PriceBook::shipped());
        let engine = Arc::new(Engine::new(config)?);
        engine.set_static_tables(static_tables(&directory, &prices)?)?;
        let queries = Arc::new(Queries::new(Arc::clone(&engine), Arc::clone(&directory))?);
        let store = Arc::new(OnceLock::new());
        let limits = IntakeLimits::from(config);
        let closed_months: Arc<ArcSwap<ClosedMonths>> = Arc::default();
        let months = Arc::clone(&closed_months);
        let intake = Arc::new(Intake::new(Arc::clone(&directory), prices, months, limits));
        let corrector = Corrector::new(CorrectorParts {
            store: Arc::clone(&store),
            queries: Arc::clone(&queries),
            intake: Arc::clone(&intake),
            directory,
            clock: Arc::clone(&clock),
            closed_months: Arc::clone(&closed_months),
        });
        let door = IngestDoor::new(config, intake, Arc::clone(&store), Arc::clone(&clock));
        Ok(Arc::new(Self {
            config: config.clone(),
            clock,
            lock,
            node,
            engine,
            queries,
            store,
            door: Arc::new(door),
            corrector: Arc::new(corrector),
            closed_months,
        }))
    }

    /// Opens the store: replays what only the log holds. Nothing is answered
    /// before that.
    pub async fn replay(&self) -> Result<()> {
        let opening = Opening {
            application: format!("node/{}", self.node.node_id),
            epoch: self.node.epoch,
            directory_lock: Arc::<lock::FileLock>::clone(&self.lock),
            closed_months: Arc::clone(&self.closed_months),
        };
        let store = Store::open(&self.config, opening, Arc::clone(&self.clock)).await?;
        self.store.set(Arc::new(store)).map_err(|_| Error::internal("the store was opened twice"))
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

    /// Runs SQL.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Stores the events of a plain NDJSON body; durable when it returns.
    pub async fn ingest_bytes(&self, body: Bytes, request_id: String) -> Result<IngestReport> {
        self.door.ingest(Incoming::native(body), request_id).await
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
        match self.store.get() {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }
}

fn static_tables(directory: &Directory, prices: &PriceBook) -> Result<Vec<StaticTable>> {
    let mut tables: Vec<StaticTable> = directory
        .tables()?
        .into_iter()
        .map(|(name, batch)| StaticTable { name: name.to_owned(), batch })
        .collect();
    tables.push(StaticTable { name: "model_prices".to_owned(), batch: prices.to_batch()? });
    Ok(tables)
}
