//! People who asked to be forgotten: their place in the directory is taken by
//! a pseudonym.

use sqlx::AnyConnection;

use super::load::text;
use super::write::micros;
use super::{Closing, DirectoryStore, audit, load, unavailable};
use crate::directory::audit::Audit;
use crate::error::Result;

macro_rules! statement {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("../../../queries/directory/", $name, ".sql")))
    };
}

/// An erasure under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What stands in the place of the user's id from now on.
    pub pseudonym: String,
    /// Whose user.
    pub organization_id: String,
    /// Who wants to be forgotten.
    pub user_id: String,
}

impl DirectoryStore {
    /// Notes that an erasure begins, so that it can go on after a crash, with
    /// its line in the audit log. What `restated` months add up to is open
    /// from now on.
    pub async fn begin_erasure(
        &self,
        erasure: &Erasure,
        restated: &[Closing],
        line: &Audit,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        statement!("put_erasure")
            .bind(&erasure.pseudonym)
            .bind(&erasure.organization_id)
            .bind(&erasure.user_id)
            .bind(micros(now))
            .execute(&mut *transaction)
            .await
            .map_err(unavailable)?;
        for closing in restated {
            statement!("unset_statement")
                .bind(closing.organization_id.as_deref().unwrap_or_default())
                .bind(closing.month.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
        }
        audit::append(&mut transaction, self.audit_ids.next(now), now, line).await?;
        transaction.commit().await.map_err(unavailable)
    }

    /// Erasures that were begun and not finished, oldest first.
    pub async fn open_erasures(&self) -> Result<Vec<Erasure>> {
        let rows = statement!("open_erasures").fetch_all(&self.pool).await.map_err(unavailable)?;
        let read = |row| {
            Ok(Erasure {
                pseudonym: text(row, "pseudonym")?,
                organization_id: text(row, "organization_id")?,
                user_id: text(row, "user_id")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Replaces the user by the pseudonym everywhere in the directory, its
    /// audit log included, and forgets what the user was called.
    pub async fn forget_user(&self, erasure: &Erasure) -> Result<()> {
        self.forget_in_audit(erasure).await?;
        let _turn = self.turn.lock().await;
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        let next = include_str!("../../../queries/directory/next_revision.sql");
        sqlx::query(next).fetch_one(&mut *transaction).await.map_err(unavailable)?;
        let (revision, _) = load::revision(&mut transaction).await?;
        super::write::mark_shown(&mut transaction, revision).await?;
        replace_user(&mut transaction, erasure).await?;
        let directory = load::load(&mut transaction).await?;
        transaction.commit().await.map_err(unavailable)?;
        self.shared.publish(std::sync::Arc::new(directory));
        Ok(())
    }

    /// Ends the erasure: nothing says any more who it was.
    pub async fn finish_erasure(&self, erasure: &Erasure) -> Result<()> {
        statement!("finish_erasure")
            .bind(micros(self.clock.now()))
            .bind(&erasure.pseudonym)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(unavailable)
    }

    /// Takes what SQLite replaced out of its log.
    pub async fn clear_log(&self) -> Result<()> {
        if self.polls {
            return Ok(());
        }
        let statement = include_str!("../../../queries/directory/sqlite_checkpoint.sql");
        sqlx::raw_sql(statement).execute(&self.pool).await.map(|_| ()).map_err(unavailable)
    }
}

async fn replace_user(connection: &mut AnyConnection, erasure: &Erasure) -> Result<()> {
    let Erasure { pseudonym, organization_id, user_id } = erasure;
    for statement in [
        statement!("forget_add_user")
            .bind(pseudonym)
            .bind(pseudonym)
            .bind(organization_id)
            .bind(user_id),
        statement!("forget_memberships").bind(pseudonym).bind(organization_id).bind(user_id),
        statement!("forget_key_owner").bind(pseudonym).bind(organization_id).bind(user_id),
        statement!("forget_names").bind(organization_id).bind(user_id),
        statement!("forget_unplaced_name").bind(user_id).bind(organization_id),
        statement!("forget_user").bind(organization_id).bind(user_id),
    ] {
        statement.execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}
