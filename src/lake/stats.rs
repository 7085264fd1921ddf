//! The statistics of one data file, as a Delta commit records them.
//!
//! Money is left out on purpose: readers pass decimals through floats.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Context, Error, Result};

/// The columns worth a minimum and a maximum, where a table has them.
const TEXT_COLUMN: &str = "organization_id";
const EVENT_TIME: &str = "event_time";
const TIME_COLUMNS: [&str; 2] = [EVENT_TIME, "received_at"];

/// Longer texts (of refused events, which may hold anything) get no minimum
/// and maximum: the log must stay small.
const TEXT_BYTES_MAX: usize = 64;

/// The columns of a table that get statistics, as its
/// `delta.dataSkippingStatsColumns`.
pub(crate) fn stats_columns(schema: &SchemaRef) -> String {
    let columns = std::iter::once(TEXT_COLUMN).chain(TIME_COLUMNS);
    columns.filter(|name| schema.index_of(name).is_ok()).collect::<Vec<_>>().join(",")
}

/// Statistics that grow with each batch of a file.
#[derive(Debug, Default)]
pub(crate) struct FileStats {
    rows: u64,
    text: Option<TextStats>,
    times: Vec<TimeStats>,
}

#[derive(Debug, Default)]
struct TextStats {
    nulls: usize,
    range: Option<(String, String)>,
}

#[derive(Debug)]
struct TimeStats {
    name: &'static str,
    nulls: usize,
    range: Option<(i64, i64)>,
}

impl TimeStats {
    /// Readers keep milliseconds only: widened, so that a bound never excludes
    /// a row.
    fn millis(&self) -> Option<(i64, i64)> {
        let (first, last) = self.range?;
        Some((first.div_euclid(1_000), (last + 999).div_euclid(1_000)))
    }
}

impl FileStats {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        let times = TIME_COLUMNS.into_iter().filter(|name| schema.index_of(name).is_ok());
        Self {
            rows: 0,
            text: schema.index_of(TEXT_COLUMN).is_ok().then(TextStats::default),
            times: times.map(|name| TimeStats { name, nulls: 0, range: None }).collect(),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Counts in the rows of `batch`, which has the table's columns.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        if let (Some(stats), Some(column)) = (&mut self.text, batch.column_by_name(TEXT_COLUMN)) {
            stats.nulls += column.null_count();
            // Neighbours are mostly equal, so most rows cost one comparison.
            for value in column.as_string::<i32>().iter().flatten() {
                match &mut stats.range {
                    None => stats.range = Some((value.to_owned(), value.to_owned())),
                    Some((least, _)) if value < least.as_str() => value.clone_into(least),
                    Some((_, most)) if value > most.as_str() => value.clone_into(most),
                    Some(_) => {}
                }
            }
        }
        for stats in &mut self.times {
            let Some(column) = batch.column_by_name(stats.name) else { continue };
            stats.nulls += column.null_count();
            for value in column.as_primitive::<TimestampMicrosecondType>().iter().flatten() {
                let (least, most) = stats.range.unwrap_or((value, value));
                stats.range = Some((least.min(value), most.max(value)));
            }
        }
    }

    /// The smallest and largest organization, where they are worth keeping.
    pub(crate) fn organizations(&self) -> Option<(String, String)> {
        let range = self.text.as_ref()?.range.clone()?;
        (range.0.len() <= TEXT_BYTES_MAX && range.1.len() <= TEXT_BYTES_MAX).then_some(range)
    }

    /// The first and the last event's time, as [`ReadStats::event_times`].
    pub(crate) fn event_times(&self) -> Option<(i64, i64)> {
        self.times.iter().find(|stats| stats.name == EVENT_TIME)?.millis().map(micros)
    }

    /// The JSON that an `add` action carries.
    pub(crate) fn to_json(&self) -> String {
        let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
        if let Some(text) = &self.text {
            nulls.insert(TEXT_COLUMN.to_owned(), text.nulls.into());
            if let Some((first, last)) = self.organizations() {
                least.insert(TEXT_COLUMN.to_owned(), first.into());
                most.insert(TEXT_COLUMN.to_owned(), last.into());
            }
        }
        for stats in &self.times {
            nulls.insert(stats.name.to_owned(), stats.nulls.into());
            if let Some((first, last)) = stats.millis() {
                least.insert(stats.name.to_owned(), time_text(first));
                most.insert(stats.name.to_owned(), time_text(last));
            }
        }
        let stats = json!({
            "numRecords": self.rows, "minValues": least, "maxValues": most, "nullCount": nulls,
        });
        stats.to_string()
    }
}

fn time_text(millis: i64) -> Value {
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true).into()
}

fn micros((first, last): (i64, i64)) -> (i64, i64) {
    (first * 1_000, last * 1_000)
}

/// What this crate needs of the statistics in a commit.
#[derive(Debug)]
pub(crate) struct ReadStats {
    pub(crate) rows: u64,
    pub(crate) organizations: Option<(String, String)>,
    /// The first and the last event's time in microseconds since 1970, widened
    /// to whole milliseconds.
    pub(crate) event_times: Option<(i64, i64)>,
}

/// Reads the statistics of `path` from its `add` action.
pub(crate) fn read_stats(path: &str, stats: Option<&str>) -> Result<ReadStats> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        num_records: u64,
        #[serde(default)]
        min_values: Map<String, Value>,
        #[serde(default)]
        max_values: Map<String, Value>,
    }
    let missing = || {
        Error::internal(format!(
            "{path} has no row count in the Delta log; files must be added by Spendlake"
        ))
    };
    let stats: Stats = serde_json::from_str(stats.ok_or_else(missing)?)
        .internal(format!("the statistics of {path} in the Delta log cannot be read"))?;
    let text = |values: &Map<String, Value>| {
        values.get(TEXT_COLUMN).and_then(Value::as_str).map(str::to_owned)
    };
    let organizations = text(&stats.min_values).zip(text(&stats.max_values));
    let time = |values: &Map<String, Value>| {
        let text = values.get(EVENT_TIME).and_then(Value::as_str)?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
    };
    let event_times = time(&stats.min_values).zip(time(&stats.max_values)).map(micros);
    Ok(ReadStats { rows: stats.num_records, organizations, event_times })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn batch(organizations: Vec<Option<&str>>, times: Vec<i64>) -> RecordBatch {
        let organizations: ArrayRef = Arc::new(StringArray::from(organizations));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
        let columns = vec![(TEXT_COLUMN, organizations), ("event_time", times)];
        RecordBatch::try_from_iter(columns).expect("batch")
    }

    #[test]
    fn bounds_are_widened_to_whole_milliseconds_and_texts_are_whole() {
        let long = "0190a000-0000-7000-8000-00000000000f";
        let batch = batch(vec![Some(long), None, Some("0")], vec![1_999, -1, 1_001]);
        let mut stats = FileStats::new(&batch.schema());
        stats.add(&batch);
        let json: Value = serde_json::from_str(&stats.to_json()).expect("json");
        assert_eq!(
            json,
            json!({
                "numRecords": 3,
                "minValues": {"organization_id": "0", "event_time": "1969-12-31T23:59:59.999Z"},
                "maxValues": {"organization_id": long, "event_time": "1970-01-01T00:00:00.002Z"},
                "nullCount": {"organization_id": 1, "event_time": 0},
            })
        );
        let read = read_stats("a", Some(&stats.to_json())).expect("read");
        assert_eq!((read.rows, read.organizations), (3, stats.organizations()));
        assert_eq!(read.event_times, Some((-1_000, 2_000)));
        assert_eq!(stats.event_times(), read.event_times);
    }

    #[test]
    fn a_very_long_organization_gets_no_bounds() {
        let long = "x".repeat(100_000);
        let batch = batch(vec![Some(long.as_str())], vec![0]);
        let mut stats = FileStats::new(&batch.schema());
        stats.add(&batch);
        assert_eq!(stats.organizations(), None);
        assert!(stats.to_json().len() < 300);
    }
}
