//! The dashboard's questions: binds parameters, runs `queries/*.sql`, answers
//! typed values. Formats no value into SQL and knows nothing of HTTP.
//!
//! Each question first takes the sums it needs from the daily aggregates
//! ([`crate::rollup::UsageRequest`]), which are small, and then runs its SQL
//! file over those few rows.

macro_rules! question_file {
    ($name:literal) => {
        QuestionFile { name: $name, text: include_str!(concat!("../../queries/", $name, ".sql")) }
    };
}

mod compare;
mod conversation;
mod corrections;
mod export;
mod labels;
mod list;
mod measures;
mod ratio;
mod reach;
mod reconciliation;
mod sightings;
mod sql;
mod unpriced;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{Days, NaiveDate};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::access::Reach;
use crate::directory::{Directory, SharedDirectory};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::flush::View;
use crate::rollup::{DateBucket, Dimension, UsageFilter, UsageRequest, usage_schema};

pub use compare::Comparison;
pub use conversation::{
    Conversation, ConversationEvent, ConversationRequest, EventPosition, unknown_conversation,
};
pub use corrections::{EventName, event_names, event_times};
pub use export::{ExportRequest, ExportRows};
pub use list::{Item, ListRequest, Page, Position, SORT_NAMES, Step};
pub use measures::Measures;
pub use reconciliation::{
    Cause, Reconciliation, ReconciliationFigures, ReconciliationLine, ReconciliationRequest,
};
pub use sightings::{Sighting, SightingPosition, Sightings, SightingsRequest};
pub use unpriced::UnpricedModel;

use labels::{Names, label, labelled_schema};
use measures::{Row, days_of_date};
use sql::{Question, QuestionFile, lean_state};

/// Steps of one trend at most: more than any chart shows.
pub const TREND_STEPS_MAX: usize = 5_000;

/// Answers the named questions. Every method does CPU work where it stands:
/// call it through [`off_workers`] from an async handler.
#[derive(Debug)]
pub struct Queries {
    engine: Arc<Engine>,
    directory: SharedDirectory,
    breakdown: Question,
    trends: Question,
    compare: Question,
    places: Places,
}

/// Who may add up at once. More passes than cores do not finish earlier
/// together, but each one later; so they take turns, in the order of asking.
/// Questions to one organization do not wait behind those to all of them.
#[derive(Debug)]
struct Places {
    narrow: Semaphore,
    wide: Semaphore,
}

impl Places {
    fn new(cores: usize) -> Self {
        Self { narrow: Semaphore::new(cores), wide: Semaphore::new(cores) }
    }

    async fn take(&self, filter: &UsageFilter) -> Result<SemaphorePermit<'_>> {
        let wide = filter.organization_ids.is_empty() && filter.reach == Reach::Everything;
        let places = if wide { &self.wide } else { &self.narrow };
        places.acquire().await.internal("waiting for a place to add up")
    }
}

/// What was used in a range, and in the equally long one just before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The range that was asked for.
    pub current: Measures,
    /// The range before it.
    pub previous: Measures,
    /// First day of the range before, inclusive.
    pub previous_from: NaiveDate,
    /// Last day of the range before, inclusive.
    pub previous_to: NaiveDate,
}

/// How usage developed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trends {
    /// One step a day, week or month, none left out.
    pub steps: Vec<Step>,
    /// The whole range.
    pub total: Measures,
}

impl Queries {
    /// Parses and resolves every question file; an error is a defect.
    pub fn new(engine: Arc<Engine>, directory: SharedDirectory) -> Result<Self> {
        let state = lean_state();
        let prepare = |file, tables: &[(&str, SchemaRef)]| Question::prepare(&state, file, tables);
        Ok(Self {
            engine,
            directory,
            breakdown: prepare(question_file!("breakdown"), &[("usage", labelled_schema())])?,
            trends: prepare(
                question_file!("trends"),
                &[("usage", usage_schema()), ("buckets", buckets_schema())],
            )?,
            compare: prepare(question_file!("compare_org"), &[("usage", usage_schema())])?,
            places: Places::new(std::thread::available_parallelism().map_or(1, usize::from)),
        })
    }

    /// The names and time zones of organizations and what they consist of, as
    /// they are now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load()
    }

    /// What was used in the filter's range and in the one before it.
    pub async fn summary(&self, view: &Arc<View>, filter: &UsageFilter) -> Result<Summary> {
        let before = previous_range(filter);
        Ok(Summary {
            current: self.total(view, filter).await?,
            previous: self.total(view, &before).await?,
            previous_from: before.date_from,
            previous_to: before.date_to,
        })
    }

    /// How usage developed over the filter's range. Refuses a range of more
    /// than [`TREND_STEPS_MAX`] steps.
    pub async fn trends(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        bucket: DateBucket,
    ) -> Result<Trends> {
        let starts = usage::bucket_starts(filter, bucket);
        if starts.len() > TREND_STEPS_MAX {
            let steps = starts.len();
            let message = format!(
                "the range has {steps} steps; a trend has at most {TREND_STEPS_MAX}; \
                 ask for a shorter range or a wider interval"
            );
            return Err(Error::invalid(message));
        }
        let days: Vec<i32> = starts.into_iter().map(days_of_date).collect();
        let buckets = Arc::new(Date32Array::from(days));
        let buckets = RecordBatch::try_new(buckets_schema(), vec![buckets])
            .internal("the steps of a trend")?;
        let usage = self.usage(view, filter, &[Dimension::Date], bucket).await?;
        let tables = HashMap::from([("usage", usage), ("buckets", buckets)]);
        let rows = self.trends.run(tables, &[], HashMap::new()).await?;
        let steps = Row::all(&rows).map(|row| {
            let date = row.date("usage_date")?;
            let date = date.ok_or_else(|| Error::internal("a step of a trend has no date"))?;
            Ok(Step { date, measures: Measures::read(row)? })
        });
        let steps = steps.collect::<Result<_>>()?;
        Ok(Trends { steps, total: self.total(view, filter).await? })
    }

    /// One page of the groups of some usage.
    pub async fn list(&self, view: &Arc<View>, request: &ListRequest) -> Result<Page<Item>> {
        let (filter, group_by) = (&request.filter, &request.group_by);
        let usage = self.usage(view, filter, group_by, request.date_bucket).await?;
        let directory = self.directory.load();
        let usage = label(&usage, group_by, &Names::new(&directory, filter))?;
        let shape = list::breakdown_shape(request);
        let parameters = list::breakdown_parameters(request);
        let rows =
            self.breakdown.run(HashMap::from([("usage", usage)]), &shape, parameters).await?;
        list::read_page(&rows, request, self.total(view, filter).await?)
    }

    /// The organizations in which `id`, a value of `dimension`, was ever
    /// seen in a row of `reach`, in order; none when it never was.
    pub async fn organizations_of(
        &self,
        view: &Arc<View>,
        reach: &Reach,
        dimension: Dimension,
        id: &str,
    ) -> Result<Vec<String>> {
        let mut filter = UsageFilter::all(reach.clone());
        let id = vec![id.to_owned()];
        match dimension {
            Dimension::Organization => filter.organization_ids = id,
            Dimension::User => filter.user_ids = id,
            Dimension::Conversation => filter.conversation_ids = id,
            other => return Err(Error::internal(format!("{other:?} has no organizations"))),
        }
        let by = [Dimension::Organization];
        let usage = self.usage(view, &filter, &by, DateBucket::Day).await?;
        let ids = Row::all(&usage).filter_map(|row| row.text("organization_id").transpose());
        let mut ids = ids.map(|id| id.map(str::to_owned)).collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether any row is under `filter`, even where they add up to nothing.
    pub async fn has_rows(&self, view: &Arc<View>, filter: &UsageFilter) -> Result<bool> {
        // Grouped: ungrouped, there is a row of nothing.
        let by = [Dimension::Organization];
        Ok(self.usage(view, filter, &by, DateBucket::Day).await?.num_rows() > 0)
    }

    /// Everything under `filter` in one row.
    async fn total(&self, view: &Arc<View>, filter: &UsageFilter) -> Result<Measures> {
        let usage = self.usage(view, filter, &[], DateBucket::Day).await?;
        Measures::read(Row::first(&usage)?)
    }

    async fn usage(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        group_by: &[Dimension],
        date_bucket: DateBucket,
    ) -> Result<RecordBatch> {
        let request =
            UsageRequest { filter: filter.clone(), group_by: group_by.to_vec(), date_bucket };
        let _place = self.places.take(filter).await?;
        usage::usage(|| self.engine.session(view), view, &request).await
    }
}

/// Runs CPU work away from the threads that serve connections.
pub async fn off_workers<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let handle = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || handle.block_on(work));
    done.await.internal("a question broke off")?
}

/// The same filter over the equally long range that ends the day before.
fn previous_range(filter: &UsageFilter) -> UsageFilter {
    let length = filter.date_to.signed_duration_since(filter.date_from).num_days() + 1;
    let length = Days::new(u64::try_from(length).unwrap_or(1));
    let date_to = filter.date_from.pred_opt().unwrap_or(filter.date_from);
    let date_from = filter.date_from.checked_sub_days(length).unwrap_or(date_to);
    UsageFilter { date_from, date_to, ..filter.clone() }
}

fn buckets_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("usage_date", DataType::Date32, false)]))
}
