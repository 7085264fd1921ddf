//! Prices stored events anew: shows what would change, then writes it.

use arrow::array::RecordBatch;
use serde_json::{Value, json};

use super::Prices;
use super::calls::Calls;
use super::late::{LateRows, days_around};
use crate::corrections::{Correction, Corrector};
use crate::error::Result;
use crate::model::{NewCosts, current_rows};
use crate::pricing::{Reported, RepriceReport, Repricing};
use crate::rollup::UsageFilter;

/// Which events to price anew, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepriceRequest {
    /// Which events, by the local date of the call and what they say.
    pub filter: UsageFilter,
    /// The list to price by; `None` is the active one.
    pub price_version: Option<String>,
    /// Leave every event alone whose actual cost is known.
    pub only_unpriced: bool,
    /// What happens to reported costs.
    pub reported: Reported,
    /// Only show what would change.
    pub dry_run: bool,
}

/// An event whose costs change: its place among the rows.
type Change = (usize, NewCosts);

impl Prices {
    /// Prices the events of a request anew and reports what changes. Does CPU
    /// work where it stands: call it through `off_workers`.
    pub async fn reprice(
        &self,
        corrector: &Corrector,
        request: &RepriceRequest,
    ) -> Result<RepriceReport> {
        let repricing = self.repricing(request)?;
        let correction = corrector.begin().await?;
        let view = correction.view();
        if !request.dry_run {
            let details = details_of(request);
            let version = repricing.book.version();
            let reason = format!("priced anew by {version}");
            correction.audit("events.reprice", &reason, details).await?;
        }
        let mut report = RepriceReport::default();
        let (queries, filter) = (&self.parts.queries, &request.filter);
        let mut late = LateRows::of(queries.late_events(&view, filter, filter.date_from).await?)?;
        for date in queries.days_with_rows(&view, filter).await? {
            let rows = queries.events_of_day(&view, filter, date).await?;
            let rows = late.join(rows)?;
            reprice_rows(&repricing, &correction, &rows, request.dry_run, &mut report).await?;
        }
        for date in days_around(filter) {
            if !late.is_empty() {
                late.leave_out(&queries.events_of_day(&view, filter, date).await?)?;
            }
        }
        for rows in late.into_days(filter, &queries.directory())? {
            reprice_rows(&repricing, &correction, &rows, request.dry_run, &mut report).await?;
        }
        Ok(report)
    }

    /// The rules of a request, with the lists that they need.
    fn repricing(&self, request: &RepriceRequest) -> Result<Repricing> {
        Ok(Repricing {
            book: self.book(request.price_version.as_deref())?,
            books: self.lock().books.clone(),
            only_unpriced: request.only_unpriced,
            reported: request.reported,
        })
    }
}

/// What the audit log keeps of a request.
fn details_of(request: &RepriceRequest) -> Value {
    let filter = &request.filter;
    json!({
        "date_from": filter.date_from,
        "date_to": filter.date_to,
        "organization_ids": filter.organization_ids,
        "team_ids": filter.team_ids,
        "departments": filter.departments,
        "user_ids": filter.user_ids,
        "api_key_ids": filter.api_key_ids,
        "providers": filter.providers,
        "models": filter.models,
        "statuses": filter.statuses,
        "only_unpriced": request.only_unpriced,
    })
}

/// Judges the events among `rows`, and, unless it is a dry run, writes what
/// changes.
async fn reprice_rows(
    repricing: &Repricing,
    correction: &Correction<'_>,
    rows: &RecordBatch,
    dry_run: bool,
    report: &mut RepriceReport,
) -> Result<()> {
    let changes = judge_rows(repricing, rows, report)?;
    if !dry_run && !changes.is_empty() {
        correction.recost(rows, changes).await?;
    }
    Ok(())
}

/// Judges the current events among `rows`, adds each to `report`, and answers
/// those whose costs change.
fn judge_rows(
    repricing: &Repricing,
    rows: &RecordBatch,
    report: &mut RepriceReport,
) -> Result<Vec<Change>> {
    let calls = Calls::of(rows)?;
    let mut changes = Vec::new();
    for place in current_rows(rows)? {
        let call = calls.get(place)?;
        let judgement = repricing.judge(&call);
        report.add(&call, &judgement);
        changes.extend(judgement.into_new_costs().map(|costs| (place, costs)));
    }
    Ok(changes)
}
