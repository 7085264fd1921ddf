//! Prices stored events anew: shows what would change, then writes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::Prices;
use super::calls::Calls;
use crate::corrections::Corrector;
use crate::error::{Context, Error, Result};
use crate::flush::View;
use crate::model::{NewCosts, current_rows, usage_events_schema};
use crate::pricing::{Reported, RepriceReport, Repricing};
use crate::query::event_times;
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

/// An event of a day whose costs change: its place among the day's rows.
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
        let mut late = self.late_rows(&view, &request.filter).await?;
        let mut days = self.parts.queries.days_with_rows(&view, &request.filter).await?;
        days.extend(late.keys());
        days.sort_unstable();
        days.dedup();
        for date in days {
            let rows = self.parts.queries.events_of_day(&view, &request.filter, date).await?;
            let rows = with_late(rows, late.remove(&date))?;
            let changes = judge_day(&repricing, &rows, &mut report)?;
            if !request.dry_run && !changes.is_empty() {
                correction.recost(&rows, changes).await?;
            }
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

    /// What was booked after its month was closed, by its own local date
    /// within the filter.
    async fn late_rows(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
    ) -> Result<BTreeMap<NaiveDate, RecordBatch>> {
        let queries = &self.parts.queries;
        let rows = queries.late_events(view, filter, filter.date_from).await?;
        let organizations = rows.column_by_name("organization_id");
        let organizations = organizations.and_then(|column| column.as_string_opt::<i32>());
        let organizations =
            organizations.ok_or_else(|| Error::internal("late rows name no organization"))?;
        let mut places: BTreeMap<NaiveDate, Vec<u64>> = BTreeMap::new();
        for ((row, time), id) in (0_u64..).zip(event_times(&rows)).zip(organizations.iter()) {
            let date = queries.directory().usage_date(id.unwrap_or_default(), time);
            if (filter.date_from..=filter.date_to).contains(&date) {
                places.entry(date).or_default().push(row);
            }
        }
        let day = |(date, places): (NaiveDate, Vec<u64>)| {
            let rows = take_record_batch(&rows, &UInt64Array::from(places));
            Ok((date, rows.internal("sorting late events by their days")?))
        };
        places.into_iter().map(day).collect()
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

/// A day's rows in the order of recording: what came late was recorded after
/// the day was closed.
fn with_late(rows: RecordBatch, late: Option<RecordBatch>) -> Result<RecordBatch> {
    let Some(late) = late else { return Ok(rows) };
    let both = concat_batches(&usage_events_schema(), [&rows, &late]);
    both.internal("adding late events to their day")
}

/// Judges the current events among `rows`, adds each to `report`, and answers
/// those whose costs change.
fn judge_day(
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
