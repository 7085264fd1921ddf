//! Reads the events that a correction is about: every row of them, so that
//! the one that counts can be told from those that were taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use datafusion::common::ScalarValue;

use super::Queries;
use super::measures::days_of_date;
use super::usage::{conform, filter_parameters, run, text_list};
use crate::error::{Error, Result};
use crate::flush::View;
use crate::model::usage_events_schema;
use crate::rollup::UsageFilter;

const OF_DAY_SQL: &str = include_str!("../../queries/corrections/events_of_day.sql");
const LATE_SQL: &str = include_str!("../../queries/corrections/late_events.sql");
const BY_ID_SQL: &str = include_str!("../../queries/corrections/events_by_id.sql");

const BY_REQUEST_SQL: &str = include_str!("../../queries/corrections/events_by_request.sql");

/// The identity of an event within one organization and source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName {
    /// A UUID in lower case.
    pub organization_id: String,
    /// Who sent it.
    pub source: String,
    /// The sender's identifier.
    pub event_id: String,
}

impl Queries {
    /// Every row of the day `date`, corrections included, without those that
    /// came late for a closed month.
    pub async fn events_of_day(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        date: NaiveDate,
    ) -> Result<RecordBatch> {
        let mut parameters = filter_parameters(filter);
        let day = ScalarValue::Date32(Some(days_of_date(date)));
        parameters.insert("usage_date".to_owned(), day);
        let rows = run(&self.engine.session(view)?, OF_DAY_SQL, parameters, READING).await?;
        conform(&rows, &usage_events_schema())
    }

    /// Every row that was booked later than its own time says, of events
    /// between the filter's dates (a day more on either side, for the time
    /// zones); `booked_since` is the first day that may hold one.
    pub async fn late_events(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        booked_since: NaiveDate,
    ) -> Result<RecordBatch> {
        let mut parameters = filter_parameters(filter);
        let since = ScalarValue::Date32(Some(days_of_date(booked_since)));
        parameters.insert("date_from".to_owned(), since);
        let from = filter.date_from.checked_sub_days(Days::new(1)).unwrap_or(filter.date_from);
        let to = filter.date_to.checked_add_days(Days::new(2)).unwrap_or(filter.date_to);
        parameters.insert("time_from".to_owned(), midnight(from));
        parameters.insert("time_to".to_owned(), midnight(to));
        let rows = run(&self.engine.session(view)?, LATE_SQL, parameters, READING).await?;
        conform(&rows, &usage_events_schema())
    }

    /// Every row of the events `names`.
    pub async fn events_by_name(
        &self,
        view: &Arc<View>,
        names: &[EventName],
    ) -> Result<Vec<RecordBatch>> {
        let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for name in names {
            let group = groups.entry((&name.organization_id, &name.source)).or_default();
            group.push(name.event_id.clone());
        }
        let session = self.engine.session(view)?;
        let mut found = Vec::with_capacity(groups.len());
        for ((organization_id, source), event_ids) in groups {
            let parameters = [
                ("organization_id".to_owned(), organization_id.into()),
                ("source".to_owned(), source.into()),
                ("event_ids".to_owned(), text_list(&event_ids)),
            ];
            let rows = run(&session, BY_ID_SQL, parameters.into(), READING).await?;
            found.push(conform(&rows, &usage_events_schema())?);
        }
        Ok(found)
    }

    /// Every row of the events of these requests of an organization.
    pub async fn events_by_request(
        &self,
        view: &Arc<View>,
        organization_id: &str,
        request_ids: &[String],
    ) -> Result<RecordBatch> {
        let parameters = [
            ("organization_id".to_owned(), organization_id.into()),
            ("request_ids".to_owned(), text_list(request_ids)),
        ];
        let session = self.engine.session(view)?;
        let rows = run(&session, BY_REQUEST_SQL, parameters.into(), READING).await?;
        conform(&rows, &usage_events_schema())
    }
}

const READING: &str = "reading the events to correct";

fn midnight(date: NaiveDate) -> ScalarValue {
    let time: DateTime<Utc> = date.and_time(NaiveTime::MIN).and_utc();
    ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()))
}

/// The identity of each of these `usage_events` rows.
pub fn event_names(rows: &RecordBatch) -> Result<Vec<EventName>> {
    let texts = ["organization_id", "source", "event_id"].map(|name| {
        let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| Error::internal(format!("rows have no {name}")))
    });
    let [organizations, sources, event_ids] = texts;
    let (organizations, sources, event_ids) = (organizations?, sources?, event_ids?);
    let name = |row| EventName {
        organization_id: organizations.value(row).to_owned(),
        source: sources.value(row).to_owned(),
        event_id: event_ids.value(row).to_owned(),
    };
    Ok((0..rows.num_rows()).map(name).collect())
}

/// The event times of `usage_events` rows.
pub fn event_times(rows: &RecordBatch) -> Vec<DateTime<Utc>> {
    let times = rows.column_by_name("event_time");
    let times = times.and_then(|times| times.as_any().downcast_ref::<TimestampMicrosecondArray>());
    let micros = times.map(|times| times.values().iter().copied()).into_iter().flatten();
    micros.map(|at| DateTime::from_timestamp_micros(at).unwrap_or_default()).collect()
}
