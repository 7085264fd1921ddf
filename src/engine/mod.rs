//! The only builder of DataFusion sessions: one shared memory pool, spill
//! folder and metadata cache; sessions that read exactly one [`View`]; ad-hoc
//! SQL with limits. The SQL text itself comes from `queries/` or the caller.

mod catalog;
mod directory_tables;
mod errors;
mod functions;
mod memory;
mod named_tables;
mod prune;
mod scan;
mod statement;
mod stream;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use object_store::local::LocalFileSystem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::access::Principal;
use crate::config::Config;
use crate::directory::{AuditTrail, SharedDirectory};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::View;
use catalog::{Audience, ViewTables, session_state};
use directory_tables::DirectoryTables;
use errors::{Limits, explain, query_timeout};
use memory::QueryMemory;

pub use catalog::{CATALOG, SCHEMA};
pub use named_tables::NamedTable;
pub use statement::{Description, Statement};
pub use stream::SqlStream;

/// Memory for Parquet footers and page indexes, bytes: a few thousand files.
const METADATA_CACHE_BYTES_MAX: usize = 256 << 20;

/// How long a statement waits for a place before it is answered `Busy`.
const ADMISSION_WAIT: Duration = Duration::from_secs(10);

/// How long a statement may be planned in order to describe it.
const DESCRIBE_TIME: Duration = Duration::from_secs(10);

/// Memory that each sort sets aside for its last merge, bytes.
const SORT_MERGE_BYTES_MAX: usize = 10 << 20;

/// Longest SQL text, bytes.
const SQL_BYTES_MAX: usize = 1 << 20;

/// A table that every session has beside those of the lake: `model_prices`,
/// `organizations`, …
#[derive(Debug, Clone)]
pub struct StaticTable {
    /// Its name in SQL.
    pub name: String,
    /// All its rows.
    pub batch: RecordBatch,
}

/// Builds sessions and runs SQL within the configured limits.
#[derive(Debug)]
pub struct Engine {
    template: Arc<SessionState>,
    static_tables: ArcSwap<Vec<StaticTable>>,
    directory: DirectoryTables,
    permits: Arc<Semaphore>,
    limits: Arc<Limits>,
    /// Writes down users' statements; empty where nobody wants that.
    audit_trail: OnceLock<AuditTrail>,
}

impl Engine {
    /// Sets up the limits of `config`. Each session has the tables of what
    /// `directory` is then. Empties the spill folder
    /// `<data_dir>/tmp/sql`, so the caller must hold the data folder's lock.
    pub fn new(config: &Config, directory: SharedDirectory) -> Result<Self> {
        let runtime = runtime(config)?;
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(session_config(config.query_memory_bytes_max))
            .with_runtime_env(runtime)
            .build();
        Ok(Self {
            template: Arc::new(
                functions::bounded(state).internal("bounding the functions of SQL")?,
            ),
            static_tables: ArcSwap::default(),
            directory: DirectoryTables::new(directory),
            permits: Arc::new(Semaphore::new(config.query_concurrency_max)),
            limits: Arc::new(Limits::new(config)),
            audit_trail: OnceLock::new(),
        })
    }

    /// Writes every later statement of a user to the audit log, whatever door
    /// it comes through. The first trail stays.
    pub fn set_audit_trail(&self, trail: AuditTrail) {
        self.audit_trail.get_or_init(|| trail);
    }

    /// Replaces the static tables of all later sessions. A name that the lake
    /// or the directory uses is refused.
    pub fn set_static_tables(&self, tables: Vec<StaticTable>) -> Result<()> {
        if let Some(table) = tables.iter().find(|table| catalog::is_reserved(&table.name)) {
            let name = &table.name;
            return Err(Error::invalid(format!("table {name} is one of our own names")));
        }
        self.static_tables.store(Arc::new(tables));
        Ok(())
    }

    /// Replaces one static table of all later sessions, or adds it.
    pub fn set_static_table(&self, table: StaticTable) -> Result<()> {
        if catalog::is_reserved(&table.name) {
            let name = &table.name;
            return Err(Error::invalid(format!("table {name} is one of the lake's own names")));
        }
        // Another table may be replaced at the same time: neither gets lost.
        self.static_tables.rcu(|tables| {
            let others = tables.iter().filter(|other| other.name != table.name).cloned();
            others.chain([table.clone()]).collect::<Vec<_>>()
        });
        Ok(())
    }

    /// A session in which every table and view reads exactly `view`. Nothing
    /// limits its time or text: it is for our own queries.
    pub fn session(&self, view: &Arc<View>) -> Result<SessionContext> {
        Ok(SessionContext::new_with_state(self.state(view, Audience::Ourselves)?))
    }

    /// Runs one read-only statement of a user. Waits a bounded time for one of
    /// `query_concurrency_max` places (`Busy`); what the text gets wrong is
    /// `Invalid`; reaching a limit is `LimitExceeded` and names the setting.
    /// The returned stream holds the place and the time limit; dropping it
    /// cancels the statement.
    pub async fn sql(
        &self,
        view: Arc<View>,
        caller: &Principal,
        statement: &Statement,
    ) -> Result<SqlStream> {
        let text = statement.text.as_str();
        check_length(text)?;
        // Before it runs: what broke off, or was refused, was tried too.
        if let Some(trail) = self.audit_trail.get() {
            trail.append(&caller.audit_of_sql(text)).await?;
        }
        let permit = self.admit().await?;
        let deadline = Instant::now() + self.limits.time;
        let state = self.state(&view, Audience::Users)?;
        match timeout_at(deadline, stream::start(&state, text)).await {
            Ok(Ok(inner)) => Ok(SqlStream::new(inner, deadline, permit, Arc::clone(&self.limits))),
            Ok(Err(error)) => Err(explain(error, &self.limits)),
            Err(_) => Err(query_timeout(&self.limits)),
        }
    }

    /// What a statement would answer and which parameters it takes, without
    /// running it. Bounded in time like [`Engine::sql`], but takes none of the
    /// places where statements run.
    pub async fn describe(
        &self,
        view: Arc<View>,
        _caller: &Principal,
        text: &str,
    ) -> Result<Description> {
        check_length(text)?;
        let state = self.state(&view, Audience::Users)?;
        match timeout(DESCRIBE_TIME, statement::describe(&state, text)).await {
            Ok(described) => described.map_err(|error| explain(error, &self.limits)),
            Err(_) => Err(query_timeout(&self.limits)),
        }
    }

    /// Runs `work` of a door (turning rows into bytes, say) beside the
    /// dashboards, like SQL itself. Dropping the handle stops the work.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(tokio::spawn(work))
    }

    async fn admit(&self) -> Result<OwnedSemaphorePermit> {
        let wait = ADMISSION_WAIT.min(self.limits.time);
        match timeout(wait, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(permit) => permit.internal("waiting for a place to run SQL"),
            Err(_) => {
                let most = self.limits.concurrency;
                let message = format!(
                    "{most} SQL statements are running, the most allowed \
                     (query_concurrency_max); send this one again a little later"
                );
                Err(Error::new(ErrorKind::Busy, message))
            }
        }
    }

    fn state(&self, view: &Arc<View>, audience: Audience) -> Result<SessionState> {
        let tables = ViewTables::new(
            audience,
            Arc::clone(view),
            [self.static_tables.load_full(), self.directory.current()?],
            Arc::clone(&self.template),
        );
        Ok(session_state(&self.template, Arc::new(tables)))
    }
}

fn check_length(text: &str) -> Result<()> {
    let bytes = text.len();
    if bytes <= SQL_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!("the SQL text has {bytes} bytes; {SQL_BYTES_MAX} are allowed")))
}

/// Settings that every session shares.
fn session_config(memory_bytes: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_sort_spill_reservation_bytes(SORT_MERGE_BYTES_MAX.min(memory_bytes / 32));
    let options = config.options_mut();
    // A literal such as 0.1 next to money stays exact.
    options.sql_parser.parse_float_as_decimal = true;
    // Our text columns are Utf8, so that hot rows, files and answers agree
    // without a conversion.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Analysts ask for few of many rows more often than for all of them.
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    config
}

fn runtime(config: &Config) -> Result<Arc<RuntimeEnv>> {
    let spill = spill_folder(&config.data_dir)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill]))
        .with_max_temp_directory_size(config.query_spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(config.query_memory_bytes_max)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(METADATA_CACHE_BYTES_MAX)
        .build_arc()
        .internal("setting up the query engine")?;
    let files = ObjectStoreUrl::local_filesystem();
    runtime.register_object_store(files.as_ref(), Arc::new(LocalFileSystem::new()));
    Ok(runtime)
}

/// Empties and makes the folder that spilling SQL writes to: what a stopped
/// process left there is of no use to anyone.
fn spill_folder(data_dir: &Path) -> Result<PathBuf> {
    let folder = data_dir.join("tmp").join("sql");
    let shown = folder.display();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context(ErrorKind::Unavailable, format!("emptying {shown}"));
        }
        _ => {}
    }
    fs::create_dir_all(&folder).context(ErrorKind::Unavailable, format!("creating {shown}"))?;
    Ok(folder)
}
