//! What closed months added up to.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::load::{closed_month, text};
use super::{DirectoryStore, unavailable};
use crate::error::{Context, Result};
use crate::model::Month;

/// A closed month.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    /// Whose month; `None` is everybody's.
    pub organization_id: Option<String>,
    /// Which month.
    pub month: Month,
    /// When it was closed.
    pub closed_at: DateTime<Utc>,
    /// What it added up to then; `None` while that is being found out.
    pub statement: Option<Value>,
}

impl DirectoryStore {
    /// Every closed month, in order.
    pub async fn closings(&self) -> Result<Vec<Closing>> {
        let statement = include_str!("../../../queries/directory/closed_months.sql");
        let rows = sqlx::query(statement).fetch_all(&self.pool).await.map_err(unavailable)?;
        let read = |row| {
            let (organization_id, month, closed_at) = closed_month(row)?;
            let statement = text(row, "statement")?;
            let statement = match statement.as_str() {
                "" => None,
                text => Some(serde_json::from_str(text).internal("reading a statement")?),
            };
            Ok(Closing { organization_id, month, closed_at, statement })
        };
        rows.iter().map(read).collect()
    }

    /// Keeps what a closed month added up to. The first statement stays.
    pub async fn set_statement(
        &self,
        organization_id: Option<&str>,
        month: Month,
        statement: &Value,
    ) -> Result<()> {
        sqlx::query(include_str!("../../../queries/directory/set_statement.sql"))
            .bind(statement.to_string())
            .bind(organization_id.unwrap_or_default())
            .bind(month.to_string())
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(unavailable)
    }
}
