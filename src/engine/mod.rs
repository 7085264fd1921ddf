//! The only builder of DataFusion sessions: one shared memory pool, spill
//! folder and metadata cache; sessions that read exactly one [`View`]; ad-hoc
//! SQL with limits. The SQL text itself comes from `queries/` or the caller.

mod catalog;
mod deep;
mod directory_tables;
mod distinct_counts;
mod each_node;
mod errors;
mod functions;
mod growth;
mod harmless;
mod in_place;
mod layout;
mod memory;
mod named_tables;
mod once;
mod parameters;
mod pg_catalog;
mod places;
mod prune;
mod references;
mod registry;
mod runs;
mod same_names;
mod same_texts;
mod scan;
mod statement;
mod static_wall;
mod stopping;
mod stream;
mod system;
mod tenant_exec;
mod tenant_scan;
mod texts;
mod unordered;
mod wall;
mod workers;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use object_store::local::LocalFileSystem;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::access::{Permission, Principal, Reach};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::directory::{AuditTrail, SharedDirectory};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::View;
use catalog::{Audience, ViewTables};
use directory_tables::DirectoryTables;
use distinct_counts::DistinctCountsApart;
use errors::{Limits, describe_timeout, explain};
use in_place::ReadsInPlace;
use memory::{MemoryBounds, QueryMemory, WHOLE_SETTING};
use once::ONCE_PER_TEXT;
use pg_catalog::{PG_CATALOG, PgCatalog};
use places::{PlaceBounds, Places};
use registry::{Registry, cancelled};
use runs::AGGREGATE_RUNS;
use statement::parse;
use stream::Job;
use unordered::HIDE_UNORDERED_CASTS;
use workers::Workers;

pub use catalog::{CATALOG, SCHEMA};
pub(crate) use deep::is_longer_chain;
pub use named_tables::NamedTable;
pub use parameters::number_value;
pub use registry::{StatementInfo, StatementState};
pub use statement::{Description, Statement};
pub use stream::SqlStream;

/// Memory for Parquet footers and page indexes, bytes: a few thousand files.
const METADATA_CACHE_BYTES_MAX: usize = 256 << 20;

/// Statements that are planned at once in order to describe them.
const DESCRIBED_AT_ONCE_MAX: usize = 8;

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

/// Which state a statement reads: one that its caller holds, or the one of the
/// moment when it begins to run, which keeps no rows while it waits.
pub trait ViewSource: Send {
    /// That state.
    fn take(self) -> Result<Arc<View>>;
}

impl ViewSource for Arc<View> {
    fn take(self) -> Result<Arc<View>> {
        Ok(self)
    }
}

impl<F: FnOnce() -> Result<Arc<View>> + Send> ViewSource for F {
    fn take(self) -> Result<Arc<View>> {
        self()
    }
}

/// Builds sessions and runs SQL within the configured limits.
#[derive(Debug)]
pub struct Engine {
    template: Arc<SessionState>,
    static_tables: ArcSwap<Vec<StaticTable>>,
    directory: DirectoryTables,
    places: Places,
    registry: Arc<Registry>,
    describing: Semaphore,
    workers: Workers,
    limits: Arc<Limits>,
    pg_catalog: PgCatalog,
    /// Writes down users' statements; empty where nobody wants that.
    audit_trail: OnceLock<AuditTrail>,
}

impl Engine {
    /// Sets up the limits of `config`. Each session has the tables of what
    /// `directory` is then. Empties the spill folder
    /// `<data_dir>/tmp/sql`, so the caller must hold the data folder's lock.
    pub fn new(config: &Config, directory: SharedDirectory) -> Result<Self> {
        let memory = MemoryBounds::from(config);
        let runtime = runtime(config, memory.whole)?;
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(session_config(memory.whole))
            .with_runtime_env(runtime)
            .with_optimizer_rule(Arc::new(DistinctCountsApart))
            .with_physical_optimizer_rule(Arc::new(HIDE_UNORDERED_CASTS))
            .with_physical_optimizer_rule(Arc::new(ONCE_PER_TEXT))
            .with_physical_optimizer_rule(Arc::new(AGGREGATE_RUNS))
            .build();
        let state = same_names::guarded(state).internal("guarding the rules that move filters")?;
        let state = pg_catalog::with_functions(state).internal("adding PostgreSQL's functions")?;
        let state = functions::bounded(state).internal("bounding the functions of SQL")?;
        let template = Arc::new(state);
        Ok(Self {
            template: Arc::clone(&template),
            pg_catalog: PgCatalog::new(template).internal("building PostgreSQL's catalogs")?,
            static_tables: ArcSwap::default(),
            directory: DirectoryTables::new(directory),
            places: Places::new(PlaceBounds::from(config), memory),
            registry: Registry::new(Arc::new(SystemClock)),
            describing: Semaphore::new(DESCRIBED_AT_ONCE_MAX),
            workers: Workers::new(config.query_threads_max)?,
            limits: Arc::new(Limits::new(config, memory)),
            audit_trail: OnceLock::new(),
        })
    }

    /// The same with another clock, which says since when statements run.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.registry = Registry::new(clock);
        self
    }

    /// Writes every later statement of a user to the audit log, whatever door
    /// it comes through. The first trail stays.
    pub fn set_audit_trail(&self, trail: AuditTrail) {
        self.audit_trail.get_or_init(|| trail);
    }

    /// Replaces the static tables of all later sessions. A name that the lake
    /// or the directory uses is refused.
    pub fn set_static_tables(&self, tables: Vec<StaticTable>) -> Result<()> {
        tables.iter().try_for_each(check_static)?;
        self.static_tables.store(Arc::new(tables));
        Ok(())
    }

    /// Replaces one static table of all later sessions, or adds it.
    pub fn set_static_table(&self, table: StaticTable) -> Result<()> {
        check_static(&table)?;
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
        self.session_within(view, Reach::Everything)
    }

    /// A session as [`Engine::session`], in which every table and view holds
    /// only the rows within `reach`.
    pub fn session_within(&self, view: &Arc<View>, reach: Reach) -> Result<SessionContext> {
        Ok(SessionContext::new_with_state(self.state(view, Audience::Ourselves, reach)?))
    }

    /// Runs one read-only statement of a user over the rows that `caller` may
    /// ask of in SQL; nothing tells of any other. Runs beside the dashboards.
    /// Waits a bounded time for one of `query_concurrency_max` places (`Busy`),
    /// in turn with other principals; what the text or a parameter gets wrong
    /// is `Invalid`; reaching a limit is `LimitExceeded` and names the setting;
    /// one that somebody stopped is `Cancelled`. The returned stream holds the
    /// place and the time limit; dropping it cancels the statement.
    pub async fn sql(
        &self,
        view: impl ViewSource,
        caller: &Principal,
        statement: &Statement,
    ) -> Result<SqlStream> {
        check_caller(caller)?;
        check_length(&statement.text)?;
        // Before it runs: what broke off, or was refused, was tried too.
        if let Some(trail) = self.audit_trail.get() {
            trail.append(&caller.audit_of_sql(&statement.text)).await?;
        }
        // What cannot run needs no place.
        let text = statement.text.clone();
        let parsed = self.workers.spawn(async move { parse(&text) }).await;
        let parsed = parsed.internal("reading a statement")?;
        let parsed = parsed.map_err(|error| explain(error, &self.limits))?;
        let mut ticket = self.registry.enter(caller, &statement.text);
        let cancellation = ticket.cancellation();
        let placed = tokio::select! {
            () = cancellation.cancelled() => Err(cancelled()),
            placed = self.places.take(caller.share_id()) => placed,
        };
        let place = placed.inspect_err(|error| ticket.set_error(error))?;
        ticket.run();
        let view = view.take()?;
        let deadline = Instant::now() + self.limits.time;
        let state = self.users_state(&view, caller, Some(place.memory()))?;
        let (parameters, limits) = (statement.parameters.clone(), Arc::clone(&self.limits));
        let job = Job { state, parsed, parameters, place, ticket, deadline, limits };
        SqlStream::start(&self.workers, job).await
    }

    /// What a statement would answer and which parameters it takes, without
    /// running it. Bounded in time; takes none of the places where statements
    /// run, so that a client that describes before it asks waits only once.
    pub async fn describe(
        &self,
        view: Arc<View>,
        caller: &Principal,
        text: &str,
    ) -> Result<Description> {
        check_caller(caller)?;
        check_length(text)?;
        let described = timeout(self.limits.time, async {
            let _turn = self.describing.acquire().await.internal("waiting to plan a statement")?;
            let state = self.users_state(&view, caller, None)?;
            let text = text.to_owned();
            let planning = async move { statement::describe(&state, &text).await };
            let planned = self.workers.spawn(planning).await.internal("planning a statement")?;
            planned.map_err(|error| explain(error, &self.limits))
        });
        described.await.unwrap_or_else(|_| Err(describe_timeout(&self.limits)))
    }

    /// Runs `work` of a door (turning rows into bytes, say) beside the
    /// dashboards, like SQL itself. Dropping the handle stops the work.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        self.workers.spawn(work)
    }

    /// The statements that run or wait: the caller's own, or everybody's for
    /// whoever runs the platform.
    pub fn statements(&self, caller: &Principal) -> Vec<StatementInfo> {
        self.registry.open(caller)
    }

    /// One of these, or one that ended lately. `NotFound` for others'.
    pub fn statement(&self, caller: &Principal, id: &str) -> Result<StatementInfo> {
        self.registry.find(caller, id)
    }

    /// Stops a statement that runs or waits. `NotFound` for others'.
    pub async fn cancel(&self, caller: &Principal, id: &str) -> Result<()> {
        let whose = self.registry.principal_of(caller, id)?;
        if let Some(trail) = self.audit_trail.get().filter(|_| whose != caller.id()) {
            let details = serde_json::json!({ "principal_id": whose });
            trail.append(&caller.audit("sql.cancel", &format!("sql/{id}"), details)).await?;
        }
        self.registry.cancel(caller, id)
    }

    /// The state of one statement of `caller`, which computes on the threads
    /// of SQL and takes from `memory`.
    fn users_state(
        &self,
        view: &Arc<View>,
        caller: &Principal,
        memory: Option<Arc<dyn MemoryPool>>,
    ) -> Result<SessionState> {
        let state = self.state(view, Audience::Users, caller.reach(Permission::RunSql))?;
        let config = state.config().clone();
        let config = config.with_target_partitions(self.workers.threads());
        let config = config.with_extension(Arc::new(ReadsInPlace));
        let mut runtime = RuntimeEnvBuilder::from_runtime_env(state.runtime_env());
        if let Some(memory) = memory {
            runtime = runtime.with_memory_pool(memory);
        }
        let runtime = runtime.build_arc().internal("setting up a statement")?;
        Ok(SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_runtime_env(runtime)
            .build())
    }

    fn state(&self, view: &Arc<View>, audience: Audience, reach: Reach) -> Result<SessionState> {
        let tables = ViewTables::new(
            audience,
            Arc::clone(view),
            Arc::new(reach),
            [self.static_tables.load_full(), self.directory.current()?],
            Arc::clone(&self.template),
        );
        let about =
            (audience == Audience::Users).then(|| self.pg_catalog.schema(Arc::new(tables.plain())));
        let state = tables.into_session();
        if let (Some(about), Some(catalog)) = (about, state.catalog_list().catalog(CATALOG)) {
            catalog.register_schema(PG_CATALOG, about).internal("adding PostgreSQL's catalogs")?;
        }
        Ok(state)
    }
}

fn check_caller(caller: &Principal) -> Result<()> {
    if caller.may(Permission::RunSql) {
        return Ok(());
    }
    let (name, scope) = (caller.name(), Permission::RunSql.scope());
    Err(Error::new(ErrorKind::Forbidden, format!("{name} may not run SQL, which needs {scope}")))
}

fn check_length(text: &str) -> Result<()> {
    let bytes = text.len();
    if bytes <= SQL_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!("the SQL text has {bytes} bytes; {SQL_BYTES_MAX} are allowed")))
}

/// Whether `table` may stand beside the tables of the lake and the directory.
fn check_static(table: &StaticTable) -> Result<()> {
    let name = &table.name;
    if catalog::is_reserved(name) {
        return Err(Error::invalid(format!("table {name} is one of our own names")));
    }
    if !static_wall::has_rule(name) {
        let message = format!("nobody decided who sees which rows of table {name}");
        return Err(Error::internal(message));
    }
    Ok(())
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
    // Which texts are views is said by each table.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Whether filters are applied while reading is said by each scan.
    options.execution.parquet.pushdown_filters = false;
    options.execution.parquet.reorder_filters = true;
    config
}

fn runtime(config: &Config, memory_bytes: usize) -> Result<Arc<RuntimeEnv>> {
    let spill = spill_folder(&config.data_dir)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill]))
        .with_max_temp_directory_size(config.query_spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(memory_bytes, WHOLE_SETTING)))
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
