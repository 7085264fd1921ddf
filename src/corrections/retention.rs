//! Dropping days that are past their age.

use std::collections::BTreeSet;

use serde_json::json;

use super::Corrector;
use crate::error::Result;
use crate::flush::{ExpiredDays, StoredTable};
use crate::model::Month;

/// What one table has beyond its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Its days.
    pub days: ExpiredDays,
    /// The closed months, anybody's, of which exports would lose rows: age is
    /// stronger than a close.
    pub closed_months: Vec<Month>,
}

impl Corrector {
    /// What is past its age, table by table; tables that keep everything are
    /// not listed. Unless it is a dry run, the days are dropped, with a line in
    /// the audit log.
    pub async fn expire(&self, dry_run: bool) -> Result<Vec<Expired>> {
        let (retention, now) = (self.parts.retention, self.parts.clock.now());
        let correction = self.begin().await?;
        let expired = correction.corrections.expired(&retention, now);
        let expired = self.with_closed_months(expired).await?;
        if dry_run || expired.iter().all(|one| one.days.days == 0) {
            return Ok(expired);
        }
        let tables: Vec<_> = expired
            .iter()
            .map(|one| {
                let months: Vec<_> = one.closed_months.iter().map(Month::to_string).collect();
                json!({"table": one.days.table.name(), "before": one.days.horizon,
                       "rows": one.days.rows, "closed_months": months})
            })
            .collect();
        correction.audit("retention.expire", "past their age", json!({"tables": tables})).await?;
        correction.corrections.expire(&retention, now).await?;
        Ok(expired)
    }

    async fn with_closed_months(&self, expired: Vec<ExpiredDays>) -> Result<Vec<Expired>> {
        let closed: BTreeSet<Month> =
            self.closings().await?.into_iter().map(|closing| closing.month).collect();
        let with = |days: ExpiredDays| {
            // Exports are made of these two.
            let is_exported = matches!(days.table, StoredTable::Events | StoredTable::Daily);
            let months = closed.intersection(&days.months).copied().filter(|_| is_exported);
            Expired { closed_months: months.collect(), days }
        };
        Ok(expired.into_iter().map(with).collect())
    }
}
