//! Events as they hold now, after their corrections.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt};

use super::measures::{Row, days_of_date};
use super::usage::filter_parameters;
use super::{Queries, usage};
use crate::error::{Context, Result};
use crate::flush::View;
use crate::rollup::{DateBucket, Dimension, UsageFilter};

const CURRENT_EVENTS_SQL: &str = include_str!("../../queries/current_events.sql");
const HAS_BOOKED_SQL: &str = include_str!("../../queries/has_booked_corrections.sql");

impl Queries {
    /// The dates that have rows under `filter`, rising.
    pub async fn days_with_rows(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
    ) -> Result<Vec<NaiveDate>> {
        let days = self.usage(view, filter, &[Dimension::Date], DateBucket::Day).await?;
        let mut dates = Row::all(&days)
            .filter_map(|row| row.date("usage_date").transpose())
            .collect::<Result<Vec<NaiveDate>>>()?;
        dates.sort_unstable();
        Ok(dates)
    }

    /// Whether corrections of closed months stand on other days than what they
    /// correct: then [`Queries::current_events`] has to look at those too.
    pub async fn has_booked_corrections(&self, view: &Arc<View>) -> Result<bool> {
        let session = self.engine.session(view)?;
        let doing = "looking for corrections of closed months";
        let rows = usage::run(&session, HAS_BOOKED_SQL, Default::default(), doing).await?;
        Ok(rows.num_rows() > 0)
    }

    /// The current events under `filter`, booked on its `date_from`, in no
    /// order, with the columns of `queries/current_events.sql`.
    pub async fn current_events(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        has_booked: bool,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + 'static + use<>> {
        let doing = "reading the current events";
        let mut parameters = filter_parameters(filter);
        let date = ScalarValue::Date32(Some(days_of_date(filter.date_from)));
        parameters.insert("usage_date".to_owned(), date);
        parameters.insert("has_booked".to_owned(), has_booked.into());
        let session = self.engine.session(view)?;
        let frame = session.sql(CURRENT_EVENTS_SQL).await.internal(doing)?;
        let frame = frame.with_param_values(parameters).internal(doing)?;
        let rows = frame.execute_stream().await.internal(doing)?;
        Ok(rows.map(move |batch| batch.internal(doing)))
    }
}
