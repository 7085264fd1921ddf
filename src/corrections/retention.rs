//! Dropping days that are past their age.

use serde_json::json;

use super::Corrector;
use crate::error::Result;
use crate::flush::ExpiredDays;

impl Corrector {
    /// What is past its age, table by table; tables that keep everything are
    /// not listed. Unless it is a dry run, the days are dropped, with a line in
    /// the audit log.
    pub async fn expire(&self, dry_run: bool) -> Result<Vec<ExpiredDays>> {
        let (retention, now) = (self.parts.retention, self.parts.clock.now());
        let correction = self.begin().await?;
        let expired = correction.corrections.expired(&retention, now);
        if dry_run || expired.iter().all(|one| one.days == 0) {
            return Ok(expired);
        }
        let tables: Vec<_> = expired
            .iter()
            .map(|one| json!({"table": one.table.name(), "before": one.horizon, "rows": one.rows}))
            .collect();
        correction.audit("retention.expire", "past their age", json!({"tables": tables})).await?;
        correction.corrections.expire(&retention, now).await
    }
}
