//! Prices stored events anew: shows what would change, then writes it.

use std::sync::Arc;

use futures::StreamExt;

use super::calls::Calls;
use super::Prices;
use crate::error::{Error, Result};
use crate::flush::View;
use crate::pricing::{Reported, RepriceReport, Repricing};
use crate::rollup::UsageFilter;

/// Which events to price anew, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepriceRequest {
    /// Which events, by the date they are booked on and what they say.
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

impl Prices {
    /// Prices the events of a request anew and reports what changes. Does CPU
    /// work where it stands: call it through `off_workers`.
    pub async fn reprice(&self, request: &RepriceRequest) -> Result<RepriceReport> {
        let repricing = self.repricing(request)?;
        if request.dry_run {
            self.preview(&repricing, &request.filter).await
        } else {
            self.write_repriced(&repricing, &request.filter).await
        }
    }

    /// The rules of a request, with the lists that they need.
    pub fn repricing(&self, request: &RepriceRequest) -> Result<Repricing> {
        Ok(Repricing {
            book: self.book(request.price_version.as_deref())?,
            books: self.lock().books.clone(),
            only_unpriced: request.only_unpriced,
            reported: request.reported,
        })
    }

    /// What would change, from one view, a day at a time.
    async fn preview(&self, repricing: &Repricing, filter: &UsageFilter) -> Result<RepriceReport> {
        let (view, queries) = (self.view()?, &self.parts.queries);
        let mut report = RepriceReport::default();
        let has_booked = queries.has_booked_corrections(&view).await?;
        for date in queries.days_with_rows(&view, filter).await? {
            let day = UsageFilter { date_from: date, date_to: date, ..filter.clone() };
            let mut events = queries.current_events(&view, &day, has_booked).await?;
            while let Some(batch) = events.next().await {
                let batch = batch?;
                let calls = Calls::of(&batch)?;
                for row in 0..batch.num_rows() {
                    let call = calls.get(row)?;
                    report.add(&call, &repricing.judge(&call));
                }
            }
        }
        Ok(report)
    }

    /// Writes reversals and new events, a day in one step.
    #[expect(clippy::unused_async, reason = "writing waits for the lake")]
    async fn write_repriced(
        &self,
        _repricing: &Repricing,
        _filter: &UsageFilter,
    ) -> Result<RepriceReport> {
        Err(Error::unavailable("writing a repricing is not built yet; ask with dry_run"))
    }

    fn view(&self) -> Result<Arc<View>> {
        let store = self.parts.store.get();
        let store = store.ok_or_else(|| {
            Error::unavailable("the log is being replayed; try again shortly")
        })?;
        Ok(store.view())
    }
}
