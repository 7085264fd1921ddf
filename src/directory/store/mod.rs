//! The directory at rest: SQLite in the data folder, or PostgreSQL by URL, by
//! the same statements. Every change is one transaction, after which the new
//! state is published.

mod audit;
mod closings;
mod credential_rows;
mod credentials;
mod erasures;
mod forget_audit;
mod hex;
mod load;
mod write;

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Row as _};

use audit::AuditIds;
use credentials::SharedCredentials;

pub use closings::Closing;
pub use credentials::CredentialUse;
pub use erasures::Erasure;

use super::edit::Edit;
use super::shared::SharedDirectory;
use super::snapshot::Directory;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};

/// Connections at once. Changes take turns anyway.
const CONNECTIONS_MAX: u32 = 4;
/// How long a question waits for a connection or a lock.
const WAIT: Duration = Duration::from_secs(5);
/// How often another node's changes are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// Tries to read a state that nobody changes meanwhile.
const LOAD_TRIES: usize = 20;

/// Keeps the directory, and publishes each new state to everybody who reads it.
#[derive(Debug)]
pub struct DirectoryStore {
    pool: AnyPool,
    shared: SharedDirectory,
    clock: Arc<dyn Clock>,
    /// Held while a state is made and published: no older one may follow.
    turn: tokio::sync::Mutex<()>,
    /// Whether other nodes may change it as well.
    polls: bool,
    audit_ids: AuditIds,
    credentials: SharedCredentials,
}

impl DirectoryStore {
    /// Opens the database of `config`, brings its tables up to date and
    /// publishes what it holds to `shared`. `Unavailable` when it cannot be
    /// reached: local dates depend on it, so nothing starts without it.
    pub async fn open(
        config: &Config,
        shared: SharedDirectory,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let place = Place::of(config)?;
        let doing = || format!("opening the directory ({})", place.shown);
        sqlx::any::install_default_drivers();
        let embedded = !place.polls;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(WAIT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if embedded {
                        let statement =
                            include_str!("../../../queries/directory/sqlite_settings.sql");
                        sqlx::raw_sql(statement).execute(connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(place.options)
            .await
            .context(ErrorKind::Unavailable, doing())?;
        let migrations = sqlx::migrate!("migrations/directory");
        migrations.run(&pool).await.context(ErrorKind::Unavailable, doing())?;
        let turn = tokio::sync::Mutex::new(());
        let audit_ids = AuditIds::default();
        let credentials = SharedCredentials::default();
        let store = Self { pool, shared, clock, turn, polls: place.polls, audit_ids, credentials };
        store.refresh().await?;
        store.refresh_credentials().await?;
        Ok(Arc::new(store))
    }

    /// The state that everybody reads.
    pub fn shared(&self) -> &SharedDirectory {
        &self.shared
    }

    /// Makes a change: all of what `change` does is stored and published, or,
    /// where it fails, nothing. Goes on to its end when the caller stops
    /// waiting, so that no stored state stays unpublished.
    pub async fn edit<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Edit) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(self);
        tokio::spawn(async move { store.edit_here(change).await })
            .await
            .internal("a change to the directory broke off")?
    }

    async fn edit_here<T>(&self, change: impl FnOnce(&mut Edit) -> Result<T>) -> Result<T> {
        let _turn = self.turn.lock().await;
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        // Takes the lock that keeps other nodes out, before anything is read.
        let revision: i64 =
            sqlx::query(include_str!("../../../queries/directory/next_revision.sql"))
                .fetch_one(&mut *transaction)
                .await
                .and_then(|row| row.try_get(0))
                .map_err(unavailable)?;
        let known = self.shared.load();
        let base = if known.revision() == revision - 1 {
            Directory::clone(&known)
        } else {
            load::load(&mut transaction).await?
        };
        let mut edit = Edit::new(base, self.clock.now());
        let answer = change(&mut edit)?;
        if edit.rows.is_empty() && edit.audit.is_empty() {
            return Ok(answer);
        }
        edit.finish();
        write::rows(&mut transaction, &edit.rows).await?;
        for audit in &edit.audit {
            let id = self.audit_ids.next(edit.now());
            audit::append(&mut transaction, id, edit.now(), audit).await?;
        }
        if edit.shows {
            write::mark_shown(&mut transaction, revision).await?;
            edit.directory.shown_revision = revision;
        }
        transaction.commit().await.map_err(unavailable)?;
        edit.directory.revision = revision;
        self.shared.publish(Arc::new(edit.directory));
        Ok(answer)
    }

    /// Publishes what the database holds, where that is something else.
    /// Answers whether it was.
    pub async fn refresh(&self) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        for _ in 0..LOAD_TRIES {
            let (before, _) = load::revision(&mut connection).await?;
            if before == self.shared.load().revision() {
                return Ok(false);
            }
            let directory = load::load(&mut connection).await?;
            // Each statement sees its own time: nothing may have changed between.
            let (after, _) = load::revision(&mut connection).await?;
            if (before, before) == (directory.revision(), after) {
                self.shared.publish(Arc::new(directory));
                return Ok(true);
            }
        }
        Err(Error::new(ErrorKind::Busy, "the directory changes all the time; try again"))
    }

    /// Looks for other nodes' changes until it is dropped; returns at once
    /// where no other node can make any.
    pub async fn poll(self: Arc<Self>) {
        if !self.polls {
            return;
        }
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // The last known state serves meanwhile.
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = error.full_message(), "the directory cannot be read");
            }
            if let Err(error) = self.refresh_credentials().await {
                tracing::warn!(error = error.full_message(), "credentials cannot be read");
            }
        }
    }

    /// Ends the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Where the directory is kept.
struct Place {
    options: AnyConnectOptions,
    polls: bool,
    /// Without a password.
    shown: String,
}

impl Place {
    fn of(config: &Config) -> Result<Self> {
        if config.directory_url.is_empty() {
            return Self::in_folder(&config.data_dir);
        }
        let wrong = |why: &str| {
            Error::invalid(format!(
                "directory_url {why}; it is postgres://USER@HOST/DATABASE, or left out for a file \
                 in the data folder"
            ))
        };
        let url: url::Url = config.directory_url.parse().map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong(&format!("starts with {}:", url.scheme())));
        }
        let options = config.directory_url.parse().map_err(|_| wrong("cannot be used"))?;
        let shown = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        Ok(Self { options, polls: true, shown })
    }

    fn in_folder(data_dir: &std::path::Path) -> Result<Self> {
        let doing = || format!("opening the directory in {}", data_dir.display());
        std::fs::create_dir_all(data_dir).context(ErrorKind::Unavailable, doing())?;
        let folder = data_dir.canonicalize().context(ErrorKind::Unavailable, doing())?;
        let path = folder.join("directory.db");
        // A file URL escapes whatever a path may hold.
        let url = url::Url::from_file_path(&path)
            .map_err(|()| Error::invalid(format!("{} is no path of a file", path.display())))?;
        let url = format!("sqlite://{}?mode=rwc", url.path());
        let options = url.parse().context(ErrorKind::Unavailable, doing())?;
        Ok(Self { options, polls: false, shown: path.display().to_string() })
    }
}

/// The database does not do its part.
fn unavailable(error: sqlx::Error) -> Error {
    let message = "the directory's database cannot be used; nothing was changed unless it broke \
                   off at the very end: look at the state before trying again";
    Error::unavailable(message).caused_by(error)
}
