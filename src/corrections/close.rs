//! Month close: from then on, what comes late for the month is booked into an
//! open one, and exports of the month give the same bytes for ever.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Correction, Corrector, check_reason};
use crate::access::Reach;
use crate::directory::{Audit, Closing};
use crate::error::{Error, Result};
use crate::export::{BatchWriter, Format};
use crate::flush::crash_point;
use crate::model::Month;
use crate::query::{ExportRequest, ExportRows, Measures, off_workers};
use crate::rollup::{Dimension, UsageFilter};

/// What a statement's lines are grouped by: every dimension that finance
/// allocates by, day by day.
const STATEMENT_BY: [Dimension; 8] = [
    Dimension::Date,
    Dimension::Organization,
    Dimension::Team,
    Dimension::Department,
    Dimension::User,
    Dimension::ApiKey,
    Dimension::Provider,
    Dimension::Model,
];

/// The last zone to leave a day is twelve hours behind UTC.
const LAST_ZONE_HOURS: i64 = 12;

/// Whether a closed month still adds up to what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosingCheck {
    /// The month, and its statement of then.
    pub closing: Closing,
    /// What its statement says now.
    pub found: Value,
}

impl ClosingCheck {
    /// Whether both statements are the same.
    pub fn agrees(&self) -> bool {
        self.closing.statement.as_ref() == Some(&self.found)
    }
}

impl Corrector {
    /// Closes `month` of one organization or of everybody. Closing it again
    /// changes nothing. A close that broke off is finished by the next call.
    pub async fn close_month(
        &self,
        organization_id: Option<&str>,
        month: Month,
        reason: &str,
    ) -> Result<Closing> {
        check_reason(reason)?;
        self.check_is_over(organization_id, month)?;
        let correction = self.begin().await?;
        crash_point("before_closing");
        self.store_closing(organization_id, month, reason, &correction).await?;
        crash_point("after_closing");
        // Requests that were booked before are in the log after this.
        self.store()?.await_booked_frames();
        self.state_month(organization_id, month).await
    }

    /// Every closed month, in order.
    pub async fn closings(&self) -> Result<Vec<Closing>> {
        self.directory_store()?.closings().await
    }

    /// Adds every closed month up again.
    pub async fn check_closings(&self) -> Result<Vec<ClosingCheck>> {
        let mut checks = Vec::new();
        for closing in self.closings().await? {
            let whose = closing.organization_id.as_deref();
            let found = self.statement(whose, closing.month).await?;
            checks.push(ClosingCheck { closing, found });
        }
        Ok(checks)
    }

    /// Only a month that is over everywhere can be closed: today must be open.
    fn check_is_over(&self, organization_id: Option<&str>, month: Month) -> Result<()> {
        let now: DateTime<Utc> = self.parts.clock.now();
        let today: NaiveDate = match organization_id {
            Some(id) => self.parts.directory.load().usage_date(id, now),
            None => (now - chrono::TimeDelta::hours(LAST_ZONE_HOURS)).date_naive(),
        };
        if today > month.last_day() {
            return Ok(());
        }
        let next = month.last_day().checked_add_days(Days::new(1)).unwrap_or(today);
        Err(Error::invalid(format!(
            "{month} is not over (today is {today}); it can be closed from {next} on"
        )))
    }

    async fn store_closing(
        &self,
        organization_id: Option<&str>,
        month: Month,
        reason: &str,
        correction: &Correction<'_>,
    ) -> Result<()> {
        let (whose, id) = (organization_id.map(str::to_owned), correction.id().to_owned());
        let details = json!({"month": month.to_string(), "organization_id": whose,
                             "reason": reason});
        let audit = Audit {
            actor: self.actor.clone(),
            action: "month.close".to_owned(),
            subject: id,
            details,
        };
        let edit = self.directory_store()?.edit(move |edit| {
            if edit.close_month(whose.as_deref(), month) {
                edit.audit(audit);
            }
            Ok(())
        });
        edit.await
    }

    /// The closing of a month, with its statement.
    async fn state_month(&self, organization_id: Option<&str>, month: Month) -> Result<Closing> {
        let directory = self.directory_store()?;
        let find = |closings: Vec<Closing>| {
            closings.into_iter().find(|one| {
                one.month == month
                    && (one.organization_id.as_deref() == organization_id
                        || one.organization_id.is_none())
            })
        };
        let missing = || Error::internal("a month that was closed is not among the closed ones");
        let closing = find(directory.closings().await?).ok_or_else(missing)?;
        if closing.statement.is_some() {
            return Ok(closing);
        }
        let whose = closing.organization_id.as_deref();
        let statement = self.statement(whose, month).await?;
        directory.set_statement(whose, month, &statement).await?;
        find(directory.closings().await?).ok_or_else(missing)
    }

    /// What a month adds up to, and the SHA-256 of its export as CSV.
    pub(super) async fn statement(
        &self,
        organization_id: Option<&str>,
        month: Month,
    ) -> Result<Value> {
        let filter = UsageFilter {
            date_from: month.first_day(),
            date_to: month.last_day(),
            organization_ids: organization_id.map(str::to_owned).into_iter().collect(),
            ..UsageFilter::all(Reach::Everything)
        };
        let (queries, view) = (Arc::clone(&self.parts.queries), self.store()?.view());
        off_workers(async move {
            let summary = queries.summary(&view, &filter).await?.current;
            let rows = ExportRows::Groups(STATEMENT_BY.to_vec());
            let request = ExportRequest { filter, rows };
            let mut batches = std::pin::pin!(queries.export(view, request).await?);
            let (mut hash, mut writer) = (Sha256::new(), None);
            let mut bytes = 0_u64;
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                let writer = match &mut writer {
                    Some(writer) => writer,
                    empty => empty.insert(BatchWriter::new(Format::Csv, &batch.schema())?),
                };
                let piece = writer.write(&batch)?;
                bytes += piece.len() as u64;
                hash.update(&piece);
            }
            if let Some(writer) = writer {
                let piece = writer.finish()?;
                bytes += piece.len() as u64;
                hash.update(&piece);
            }
            Ok(statement(&summary, bytes, &hash.finalize()))
        })
        .await
    }
}

fn statement(measures: &Measures, bytes: u64, digest: &[u8]) -> Value {
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "total_events": measures.total_events,
        "total_cost": measures.total_cost.map(|cost| cost.to_string()),
        "actual_api_cost": measures.actual_api_cost.map(|cost| cost.to_string()),
        "unpriced_events": measures.unpriced_events,
        "export_bytes": bytes,
        "export_sha256": digest,
    })
}
