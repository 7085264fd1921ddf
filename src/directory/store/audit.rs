//! The audit log: appended to, read from its end, never changed.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::AnyConnection;
use sqlx::any::{AnyArguments, AnyRow};
use uuid::{ContextV7, Timestamp, Uuid};

use super::load::{text, time};
use super::write::micros;
use super::{DirectoryStore, unavailable};
use crate::directory::audit::{Audit, AuditFilter, AuditRecord};
use crate::error::{Context, Result};

/// Greater than every id of a line.
const AFTER_ALL: &str = "~";

impl DirectoryStore {
    /// Writes down who did what, now. Durable when it returns.
    pub async fn append_audit(&self, audit: &Audit) -> Result<()> {
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        let now = self.clock.now();
        append(&mut connection, self.audit_ids.next(now), now, audit).await
    }

    /// The last lines that `filter` names, the latest first.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        let statement = include_str!("../../../queries/directory/audit_before.sql");
        let rows = filtered(statement, filter).fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter().map(record).collect()
    }

    /// The same of the lines of these organizations alone.
    pub async fn list_audit_of<'a>(
        &self,
        organization_ids: impl IntoIterator<Item = &'a str>,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditRecord>> {
        let statement = include_str!("../../../queries/directory/audit_of_organization.sql");
        let mut records = Vec::new();
        for organization_id in organization_ids {
            let query = filtered(statement, filter).bind(organization_id);
            let rows = query.fetch_all(&self.pool).await.map_err(unavailable)?;
            for row in &rows {
                records.push(record(row)?);
            }
            // The rows of several are merged; more than asked for is of no use.
            records.sort_by(|one, other| other.id.cmp(&one.id));
            records.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
        }
        Ok(records)
    }
}

type AuditQuery<'q> = sqlx::query::Query<'q, sqlx::Any, AnyArguments>;

fn filtered<'q>(statement: &'static str, filter: &'q AuditFilter) -> AuditQuery<'q> {
    let text = |value: &'q Option<String>| value.as_deref().unwrap_or_default();
    sqlx::query(statement)
        .bind(filter.before.as_deref().unwrap_or(AFTER_ALL))
        .bind(i64::from(filter.limit))
        .bind(text(&filter.action))
        .bind(text(&filter.actor))
        .bind(filter.not_before.map_or(i64::MIN, micros))
        .bind(filter.until.map_or(i64::MAX, micros))
}

fn record(row: &AnyRow) -> Result<AuditRecord> {
    let details = text(row, "details")?;
    let audit = Audit {
        actor: text(row, "actor")?,
        action: text(row, "action")?,
        subject: text(row, "subject")?,
        details: serde_json::from_str(&details).internal("reading the audit log")?,
    };
    Ok(AuditRecord { id: text(row, "id")?, at: time(row, "at")?, audit })
}

/// Ids of lines: they sort by time, and within a millisecond by a counter.
#[derive(Debug, Default)]
pub(super) struct AuditIds(Mutex<ContextV7>);

impl AuditIds {
    pub(super) fn next(&self, now: DateTime<Utc>) -> Uuid {
        let context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(&*context, seconds, now.timestamp_subsec_nanos()))
    }
}

pub(super) async fn append(
    connection: &mut AnyConnection,
    id: Uuid,
    now: DateTime<Utc>,
    audit: &Audit,
) -> Result<()> {
    sqlx::query(include_str!("../../../queries/directory/append_audit.sql"))
        .bind(id.to_string())
        .bind(micros(now))
        .bind(&audit.actor)
        .bind(&audit.action)
        .bind(&audit.subject)
        .bind(audit.details.to_string())
        .bind(audit.organization_id().unwrap_or_default())
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(unavailable)
}
