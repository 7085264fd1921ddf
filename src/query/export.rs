//! The rows of an export, a day at a time where the export has days.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::NaiveDate;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt, stream};

use super::labels::{Names, dimension_texts};
use super::measures::{Row, days_of_date};
use super::usage::{bucket_starts, filter_parameters};
use super::{Queries, off_workers, usage};
use crate::directory::Directory;
use crate::error::{Context, Result};
use crate::flush::View;
use crate::rollup::{DateBucket, Dimension, UsageFilter, usage_schema};

const EVENTS_SQL: &str = include_str!("../../queries/export_events.sql");

/// Columns of `usage_schema` that say nothing about a sum over conversations.
const LATEST_COLUMNS: [&str; 2] = ["latest_status", "latest_topic"];

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportRows {
    /// One row for each group.
    Groups(Vec<Dimension>),
    /// One row for each event.
    Events,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// Which rows count.
    pub filter: UsageFilter,
    /// What one row is.
    pub rows: ExportRows,
}

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

    /// The batches of an export in order, all with the same columns and at
    /// least one of them, so that even an empty export has a header. Dates
    /// rise; within a date, groups are in the order of their dimensions.
    pub async fn export(
        self: Arc<Self>,
        view: Arc<View>,
        request: ExportRequest,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + 'static> {
        let parts = self.export_parts(&view, &request).await?;
        // A rename meanwhile must not give one id two names.
        let directory = self.directory.load();
        Ok(stream::iter(parts).then(move |filter| {
            let (queries, view) = (Arc::clone(&self), Arc::clone(&view));
            let (rows, directory) = (request.rows.clone(), Arc::clone(&directory));
            off_workers(async move {
                match rows {
                    ExportRows::Groups(by) => {
                        queries.export_groups(&view, &directory, &filter, &by).await
                    }
                    ExportRows::Events => queries.export_events(&view, &filter).await,
                }
            })
        }))
    }

    /// Splits the request into days that have rows, where its rows have days.
    async fn export_parts(
        &self,
        view: &Arc<View>,
        request: &ExportRequest,
    ) -> Result<Vec<UsageFilter>> {
        let filter = &request.filter;
        if let ExportRows::Groups(by) = &request.rows
            && !by.contains(&Dimension::Date)
        {
            return Ok(vec![filter.clone()]);
        }
        let mut dates = self.days_with_rows(view, filter).await?;
        if dates.is_empty() {
            let first = bucket_starts(filter, DateBucket::Day).first().copied();
            dates.push(first.unwrap_or(filter.date_from));
        }
        let one_day = |date| UsageFilter { date_from: date, date_to: date, ..filter.clone() };
        Ok(dates.into_iter().map(one_day).collect())
    }

    async fn export_groups(
        &self,
        view: &Arc<View>,
        directory: &Directory,
        filter: &UsageFilter,
        by: &[Dimension],
    ) -> Result<RecordBatch> {
        // Groups come in the order of their dimensions already.
        let rows = self.usage(view, filter, by, DateBucket::Day).await?;
        let named = Names::of_file(directory, filter);
        let organizations = by
            .contains(&Dimension::Organization)
            .then(|| dimension_texts(&rows, Dimension::Organization))
            .transpose()?;
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for dimension in Dimension::ALL.into_iter().filter(|one| by.contains(one)) {
            push_column(&rows, dimension.column(), &mut fields, &mut columns);
            if let Some(name) = name_column(dimension) {
                let ids = dimension_texts(&rows, dimension)?;
                let names = ids.iter().enumerate().map(|(row, id)| {
                    let organization = organizations.as_ref().map(|ids| ids.value(row));
                    id.map(|id| named.of(dimension, Some(id), organization))
                });
                fields.push(Field::new(name, DataType::Utf8, true));
                columns.push(Arc::new(names.collect::<StringArray>()));
            }
        }
        for field in usage_schema().fields().iter().skip(Dimension::ALL.len()) {
            let latest = LATEST_COLUMNS.contains(&field.name().as_str());
            if !latest || by.contains(&Dimension::Conversation) {
                push_column(&rows, field.name(), &mut fields, &mut columns);
            }
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns).internal("laying out an export")
    }

    async fn export_events(&self, view: &Arc<View>, filter: &UsageFilter) -> Result<RecordBatch> {
        let session = self.engine.session(view)?;
        let mut parameters = filter_parameters(filter);
        let date = ScalarValue::Date32(Some(days_of_date(filter.date_from)));
        parameters.insert("usage_date".to_owned(), date);
        usage::run(&session, EVENTS_SQL, parameters, "exporting events").await
    }
}

/// Where the names of a dimension's values stand in an export.
fn name_column(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Organization => Some("organization_name"),
        Dimension::Team => Some("team_name"),
        Dimension::User => Some("user_name"),
        Dimension::ApiKey => Some("api_key_name"),
        _ => None,
    }
}

fn push_column(
    rows: &RecordBatch,
    name: &str,
    fields: &mut Vec<Field>,
    columns: &mut Vec<ArrayRef>,
) {
    if let (Ok(field), Some(column)) =
        (usage_schema().field_with_name(name), rows.column_by_name(name))
    {
        fields.push(field.clone());
        columns.push(Arc::clone(column));
    }
}
