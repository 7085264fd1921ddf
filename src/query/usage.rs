//! Where the rows of a dashboard question come from: the cube in memory, or
//! `queries/usage.sql` over the stored daily aggregates. Both answer the same.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;

use super::measures::days_of_date;
use super::reach::reach_parameters;
use crate::error::{Context, ErrorKind, Result};
use crate::flush::View;
use crate::rollup::{DateBucket, Dimension, UsageFilter, UsageRequest, usage_schema};

const USAGE_SQL: &str = include_str!("../../queries/usage.sql");

/// Answers `request` from the cube where the view has one, else by SQL.
pub(crate) async fn usage(
    session: impl FnOnce() -> Result<SessionContext>,
    view: &View,
    request: &UsageRequest,
) -> Result<RecordBatch> {
    match &view.cube {
        Some(cube) => cube.usage(request),
        None => usage_by_sql(&session()?, request).await,
    }
}

/// Answers `request` by SQL over the table `usage_daily` of `session`.
pub(crate) async fn usage_by_sql(
    session: &SessionContext,
    request: &UsageRequest,
) -> Result<RecordBatch> {
    let parameters = usage_parameters(request);
    let batch = run(session, USAGE_SQL, parameters, "summing the daily aggregates").await?;
    let nothing = request.group_by.is_empty() && batch.num_rows() == 0;
    if nothing { Ok(nothing_used()) } else { conform(&batch, &usage_schema()) }
}

/// Runs `text` in an engine session with `parameters` bound.
pub(crate) async fn run(
    session: &SessionContext,
    text: &str,
    parameters: HashMap<String, ScalarValue>,
    doing: &str,
) -> Result<RecordBatch> {
    let frame = session.sql(text).await.internal(doing)?;
    let frame = frame.with_param_values(parameters).internal(doing)?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await.context(ErrorKind::Internal, doing)?;
    concat_batches(&schema, &batches).internal(doing)
}

fn usage_parameters(request: &UsageRequest) -> HashMap<String, ScalarValue> {
    let mut parameters = filter_parameters(&request.filter);
    let toggles = [
        ("by_date", Dimension::Date),
        ("by_organization", Dimension::Organization),
        ("by_team", Dimension::Team),
        ("by_department", Dimension::Department),
        ("by_user", Dimension::User),
        ("by_api_key", Dimension::ApiKey),
        ("by_provider", Dimension::Provider),
        ("by_model", Dimension::Model),
        ("by_status", Dimension::Status),
        ("by_conversation", Dimension::Conversation),
    ];
    for (name, dimension) in toggles {
        parameters.insert(name.to_owned(), request.group_by.contains(&dimension).into());
    }
    let bucket = match request.date_bucket {
        DateBucket::Day => "day",
        DateBucket::Week => "week",
        DateBucket::Month => "month",
    };
    parameters.insert("bucket".to_owned(), bucket.into());
    let date = |date| ScalarValue::Date32(Some(days_of_date(date)));
    parameters.insert("date_from".to_owned(), date(request.filter.date_from));
    parameters.insert("date_to".to_owned(), date(request.filter.date_to));
    parameters
}

/// The parameters of a filter that `usage.sql` and `export_events.sql` share:
/// its lists and its reach.
pub(crate) fn filter_parameters(filter: &UsageFilter) -> HashMap<String, ScalarValue> {
    let lists = [
        ("organization_ids", &filter.organization_ids),
        ("team_ids", &filter.team_ids),
        ("departments", &filter.departments),
        ("user_ids", &filter.user_ids),
        ("api_key_ids", &filter.api_key_ids),
        ("providers", &filter.providers),
        ("models", &filter.models),
        ("statuses", &filter.statuses),
        ("conversation_ids", &filter.conversation_ids),
    ];
    let lists = lists.into_iter().map(|(name, values)| (name.to_owned(), text_list(values)));
    lists.chain(reach_parameters(&filter.reach)).collect()
}

/// A list parameter; no values do not restrict, which is null.
pub(super) fn text_list(values: &[String]) -> ScalarValue {
    if values.is_empty() {
        return ScalarValue::new_null_list(DataType::Utf8, true, 1);
    }
    only_these(values)
}

/// A list parameter that restricts even when it is empty.
pub(super) fn only_these(values: &[String]) -> ScalarValue {
    let values: Vec<ScalarValue> =
        values.iter().map(|value| ScalarValue::from(value.as_str())).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8))
}

/// The columns of `schema`, each in its type.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name());
        let column = column.ok_or_else(|| format!("no column {}", field.name()));
        let column = column.internal("reading the daily aggregates")?;
        cast(column, field.data_type()).internal("reading the daily aggregates")
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).internal("reading the daily aggregates")
}

/// The one row of an ungrouped question over nothing: counts and costs are 0.
fn nothing_used() -> RecordBatch {
    let schema = usage_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.data_type() {
            DataType::Int64 if !field.is_nullable() => Arc::new(Int64Array::from(vec![0])),
            kind @ DataType::Decimal128(_, _) => {
                Arc::new(Decimal128Array::from(vec![0]).with_data_type(kind.clone()))
            }
            kind => new_null_array(kind, 1),
        }
    });
    RecordBatch::from(arrow::array::StructArray::new(
        schema.fields().clone(),
        columns.collect(),
        None,
    ))
}

/// The steps of `bucket` from `filter.date_from` to `filter.date_to`, each
/// named by its first day.
pub(crate) fn bucket_starts(filter: &UsageFilter, bucket: DateBucket) -> Vec<chrono::NaiveDate> {
    let mut starts = Vec::new();
    let mut date = bucket_start(filter.date_from, bucket);
    while date <= filter.date_to {
        starts.push(date);
        let next = match bucket {
            DateBucket::Day => date.checked_add_days(chrono::Days::new(1)),
            DateBucket::Week => date.checked_add_days(chrono::Days::new(7)),
            DateBucket::Month => date.checked_add_months(chrono::Months::new(1)),
        };
        let Some(next) = next else { break };
        date = next;
    }
    starts
}

fn bucket_start(date: chrono::NaiveDate, bucket: DateBucket) -> chrono::NaiveDate {
    use chrono::Datelike;
    let back = match bucket {
        DateBucket::Day => 0,
        DateBucket::Week => date.weekday().num_days_from_monday(),
        DateBucket::Month => date.day0(),
    };
    date.checked_sub_days(chrono::Days::new(u64::from(back))).unwrap_or(date)
}
