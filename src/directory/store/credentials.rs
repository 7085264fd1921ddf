//! Tokens, accounts and sessions at rest: each change is one transaction,
//! after which the new state is published; their use is written down apart.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, Row as _};

use super::credential_rows::{load, write};
use super::write::micros;
use super::{DirectoryStore, LOAD_TRIES, audit, unavailable};
use crate::directory::credentials::{CredentialEdit, Credentials};
use crate::error::{Context, Error, ErrorKind, Result};

macro_rules! statement {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("../../../queries/access/", $name, ".sql")))
    };
}

/// The current credentials, and whose turn it is to make the next ones.
#[derive(Debug, Default)]
pub(super) struct SharedCredentials {
    current: ArcSwap<Credentials>,
    turn: tokio::sync::Mutex<()>,
}

/// When a token or a session was used last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUse {
    /// A token, by its id.
    Token(String),
    /// A session, by the hash of its secret.
    Session([u8; 32]),
}

impl DirectoryStore {
    /// Tokens, accounts and sessions, as far as this node knows.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.current.load_full()
    }

    /// Whether other nodes may have changed what this one knows.
    pub fn has_other_nodes(&self) -> bool {
        self.polls
    }

    /// Makes a change: all of what `change` does is stored and published, or,
    /// where it fails, nothing. It decides over the latest state: no other
    /// node changes anything between. Goes on to its end when the caller
    /// stops waiting.
    pub async fn edit_credentials<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut CredentialEdit) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(self);
        tokio::spawn(async move { store.edit_credentials_here(change).await })
            .await
            .internal("a change of credentials broke off")?
    }

    async fn edit_credentials_here<T>(
        &self,
        change: impl FnOnce(&mut CredentialEdit) -> Result<T>,
    ) -> Result<T> {
        let _turn = self.credentials.turn.lock().await;
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        let revision: i64 = statement!("next_revision")
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(unavailable)?;
        let known = self.credentials();
        let base = if known.revision == revision - 1 {
            Credentials::clone(&known)
        } else {
            load(&mut transaction).await?
        };
        let mut edit = CredentialEdit::new(base, self.clock.now());
        let answer = change(&mut edit)?;
        if edit.rows.is_empty() && edit.audit.is_empty() {
            return Ok(answer);
        }
        write(&mut transaction, &edit.rows).await?;
        for line in &edit.audit {
            let id = self.audit_ids.next(edit.now());
            audit::append(&mut transaction, id, edit.now(), line).await?;
        }
        transaction.commit().await.map_err(unavailable)?;
        edit.next.revision = revision;
        self.credentials.current.store(Arc::new(edit.next));
        Ok(answer)
    }

    /// Publishes the credentials that the database holds, where those are
    /// others. Answers whether they were.
    pub async fn refresh_credentials(&self) -> Result<bool> {
        let _turn = self.credentials.turn.lock().await;
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        for _ in 0..LOAD_TRIES {
            let before = revision(&mut connection).await?;
            if before == self.credentials().revision {
                return Ok(false);
            }
            let credentials = load(&mut connection).await?;
            // Each statement sees its own time: nothing may have changed between.
            if credentials.revision == before && revision(&mut connection).await? == before {
                self.credentials.current.store(Arc::new(credentials));
                return Ok(true);
            }
        }
        Err(Error::new(ErrorKind::Busy, "credentials change all the time; try again"))
    }

    /// Writes down when tokens and sessions were used last. That is no change
    /// that others have to read.
    pub async fn note_credential_uses(
        &self,
        uses: &[(CredentialUse, DateTime<Utc>)],
    ) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        for (what, at) in uses {
            let statement = match what {
                CredentialUse::Token(id) => {
                    statement!("touch_token").bind(micros(*at)).bind(id.as_str())
                }
                CredentialUse::Session(hash) => {
                    statement!("touch_session").bind(micros(*at)).bind(super::hex::text(hash))
                }
            };
            statement.execute(&mut *transaction).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    /// When any node last wrote down that a session was used.
    pub async fn session_last_seen(&self, hash: &[u8; 32]) -> Result<Option<DateTime<Utc>>> {
        let row = statement!("session_seen")
            .bind(super::hex::text(hash))
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        row.map(|row| super::load::time(&row, "last_seen_at")).transpose()
    }
}

async fn revision(connection: &mut AnyConnection) -> Result<i64> {
    let row = statement!("revision").fetch_one(connection).await.map_err(unavailable)?;
    row.try_get(0).map_err(unavailable)
}
