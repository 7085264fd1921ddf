//! A lake written by hand: Parquet files without the date column, hot batches,
//! and a naive model of the same rows.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Date32Type, SchemaRef};
use chrono::{NaiveDate, TimeDelta};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::super::Engine;
use crate::access::Principal;
use crate::config::Config;
use crate::error::Result;
use crate::flush::View;
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::{LakeFile, TableSnapshot};
use crate::model::{TABLES, TableSpec, rejected_events_schema, sightings_schema};

/// One event of the naive model; what it leaves out is the same for all.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub day: i64,
    pub seconds: i64,
    pub organization: String,
    pub user: Option<String>,
    pub conversation: Option<String>,
    pub model: &'static str,
    pub status: &'static str,
    pub topic: Option<&'static str>,
    pub tokens: i64,
    pub actual: Option<i128>,
    pub charged: Option<i128>,
    pub quantity: i8,
}

impl Event {
    pub(super) fn date(&self) -> NaiveDate {
        date(self.day)
    }

    fn time(&self) -> i64 {
        let start = self.date().and_hms_opt(0, 0, 0).expect("midnight").and_utc();
        start.timestamp_micros() + self.seconds * 1_000_000
    }
}

/// 2026-01-01 and the days after it.
pub(super) fn date(day: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date") + TimeDelta::days(day)
}

/// `count` events over `days` days from a fixed sequence of numbers.
pub(super) fn random_events(seed: u64, count: usize, days: u64) -> Vec<Event> {
    let mut state = seed;
    let mut next = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..count)
        .map(|_| {
            let organization = next(4);
            let user = next(5);
            let quantity = if next(10) == 0 { -1 } else { 1 };
            let sign = i128::from(quantity);
            let cost = |next: &mut dyn FnMut(u64) -> u64| {
                (next(4) > 0).then(|| i128::from(next(1 << 31)) * 1_000_003 * sign)
            };
            let actual = cost(&mut next);
            let charged = if actual.is_some() {
                Some(cost(&mut next).unwrap_or(sign))
            } else {
                cost(&mut next)
            };
            Event {
                day: i64::try_from(next(days)).expect("small"),
                seconds: i64::try_from(next(86_400)).expect("small"),
                organization: format!("org-{organization}"),
                user: (user > 0).then(|| format!("user-{organization}-{user}")),
                conversation: (next(6) > 0).then(|| format!("chat-{organization}-{}", next(9))),
                model: ["opus", "sonnet", "haiku"][usize::try_from(next(3)).expect("small")],
                status: ["active", "completed", "failed"][usize::try_from(next(3)).expect("small")],
                topic: [None, Some("tests"), Some("docs")]
                    [usize::try_from(next(3)).expect("small")],
                tokens: i64::try_from(next(100_000)).expect("small") * i64::from(quantity),
                actual,
                charged,
                quantity,
            }
        })
        .collect()
}

fn money(values: impl Iterator<Item = Option<i128>>, precision: u8) -> ArrayRef {
    let array: Decimal128Array = values.collect();
    Arc::new(array.with_precision_and_scale(precision, 12).expect("decimal"))
}

/// One column of `usage_events` or `usage_daily`, one row an event. Every
/// token class holds the event's tokens, so that their sum is five times that.
fn column(schema: &SchemaRef, name: &str, events: &[Event]) -> ArrayRef {
    let text = |pick: &dyn Fn(&Event) -> Option<String>| -> ArrayRef {
        Arc::new(events.iter().map(pick).collect::<StringArray>())
    };
    let long = |pick: &dyn Fn(&Event) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(pick)))
    };
    let data_type = schema.field_with_name(name).expect("a column").data_type();
    let precision = match data_type {
        arrow::datatypes::DataType::Decimal128(precision, _) => *precision,
        _ => 0,
    };
    let if_null = |missing: bool, value: i64| if missing { value } else { 0 };
    match name {
        "usage_date" => Arc::new(Date32Array::from_iter_values(
            events.iter().map(|event| Date32Type::from_naive_date(event.date())),
        )),
        "event_time" | "recorded_at" | "first_event_time" | "last_event_time" => {
            let times = TimestampMicrosecondArray::from_iter_values(events.iter().map(Event::time));
            Arc::new(times.with_timezone("UTC"))
        }
        "organization_id" => text(&|event| Some(event.organization.clone())),
        "user_id" => text(&|event| event.user.clone()),
        "api_key_id" => text(&|event| event.user.as_ref().map(|user| format!("key-{user}"))),
        "conversation_id" => text(&|event| event.conversation.clone()),
        "model_name" => text(&|event| Some(event.model.to_owned())),
        "status" => text(&|event| Some(event.status.to_owned())),
        "topic" => text(&|event| event.topic.map(str::to_owned)),
        "team_id" | "department" | "price_version" | "tags" => {
            new_null_array(data_type, events.len())
        }
        "entries" => long(&|_| 1),
        "events" => long(&|event| event.quantity.into()),
        "quantity" => {
            Arc::new(Int8Array::from_iter_values(events.iter().map(|event| event.quantity)))
        }
        "unpriced_events" => long(&|event| if_null(event.actual.is_none(), event.quantity.into())),
        "uncharged_events" => {
            long(&|event| if_null(event.charged.is_none(), event.quantity.into()))
        }
        "failed_events" => long(&|event| if_null(event.status == "failed", event.quantity.into())),
        "duration_ms" => long(&|event| event.tokens / 10),
        name if name.ends_with("_tokens") => long(&|event| event.tokens),
        "actual_api_cost" => money(events.iter().map(|event| event.actual), precision),
        "charged_cost" => money(events.iter().map(|event| event.charged), precision),
        "unpriced_charged_cost" => {
            let unpriced =
                |event: &Event| event.charged.filter(|_| event.actual.is_none()).unwrap_or(0);
            money(events.iter().map(|event| Some(unpriced(event))), precision)
        }
        _ => text(&|_| Some(name.to_owned())),
    }
}

/// `events` as rows of `spec`.
pub(super) fn batch(spec: &TableSpec, events: &[Event]) -> RecordBatch {
    let schema = (spec.schema)();
    let columns = schema.fields().iter().map(|field| column(&schema, field.name(), events));
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("rows that fit the schema")
}

/// Writes a Parquet file of one day below `root`, without the date column.
pub(super) fn write_file(
    root: &Path,
    spec: &TableSpec,
    day: i64,
    name: &str,
    rows: &RecordBatch,
) -> LakeFile {
    write_file_with(root, spec, day, name, rows, None)
}

/// [`write_file`] with a layout of its own.
pub(super) fn write_file_with(
    root: &Path,
    spec: &TableSpec,
    day: i64,
    name: &str,
    rows: &RecordBatch,
    layout: Option<WriterProperties>,
) -> LakeFile {
    let path = format!("{}={}/{name}.parquet", spec.partition_column, date(day));
    let file = root.join(&path);
    fs::create_dir_all(file.parent().expect("a folder")).expect("create");
    let at = rows.schema().index_of(spec.partition_column).expect("the date column");
    let mut stored = rows.clone();
    stored.remove_column(at);
    let mut writer =
        ArrowWriter::try_new(File::create(&file).expect("create"), stored.schema(), layout)
            .expect("writer");
    writer.write(&stored).expect("write");
    writer.close().expect("close");
    LakeFile {
        path,
        bytes: fs::metadata(&file).expect("metadata").len(),
        rows: u64::try_from(rows.num_rows()).expect("small"),
        date: date(day),
        organizations: None,
        event_times: None,
        modified_at_millis: 1_767_225_600_000,
    }
}

/// Writes `events` as one file a day, in the order of days.
pub(super) fn write_days(
    root: &Path,
    spec: &TableSpec,
    name: &str,
    events: &[Event],
) -> Vec<LakeFile> {
    let mut days: Vec<i64> = events.iter().map(|event| event.day).collect();
    days.sort_unstable();
    days.dedup();
    let of_day =
        |day: i64| events.iter().filter(|event| event.day == day).cloned().collect::<Vec<_>>();
    days.into_iter()
        .map(|day| write_file(root, spec, day, name, &batch(spec, &of_day(day))))
        .collect()
}

/// A view over files and hot batches of events; nothing was rejected.
pub(super) fn view(
    root: &Path,
    events: Vec<LakeFile>,
    daily: Vec<LakeFile>,
    uncovered_files: Vec<LakeFile>,
    hot: &[&[Event]],
) -> Arc<View> {
    let snapshot = |spec: &TableSpec, files| {
        Arc::new(TableSnapshot { root: root.join(spec.name), version: 1, files })
    };
    let mut batches = HotSnapshot::default();
    for (events, sequence) in hot.iter().zip(1..) {
        batches = batches.with(Arc::new(HotBatch {
            sequence,
            events: batch(&TABLES[0], events),
            rejected: RecordBatch::new_empty(rejected_events_schema()),
            sightings: RecordBatch::new_empty(sightings_schema()),
            recorded_at_micros: 0,
        }));
    }
    Arc::new(View {
        events: snapshot(&TABLES[0], events),
        rejected: snapshot(&TABLES[1], Vec::new()),
        daily: snapshot(&TABLES[2], daily),
        provider_costs: snapshot(&TABLES[3], Vec::new()),
        sightings: snapshot(&TABLES[4], Vec::new()),
        uncovered_files,
        hot: batches,
        cube: None,
        sequence: 1,
        as_of_micros: 0,
    })
}

/// A lake whose events are split in three: covered by the aggregate, committed
/// but not covered, and hot.
pub(super) fn three_part_view(root: &Path, parts: [&[Event]; 3]) -> Arc<View> {
    let [covered, uncovered, hot] = parts;
    let events_root = root.join(TABLES[0].name);
    let mut files = write_days(&events_root, &TABLES[0], "covered", covered);
    let uncovered_files = write_days(&events_root, &TABLES[0], "uncovered", uncovered);
    files.extend(uncovered_files.iter().cloned());
    let daily = write_days(&root.join(TABLES[2].name), &TABLES[2], "daily", covered);
    let middle = hot.len() / 2;
    view(root, files, daily, uncovered_files, &[&hot[..middle], &[], &hot[middle..]])
}

/// An engine over a temporary folder, with small limits on demand.
pub(super) fn engine(folder: &Path, change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    change(&mut config);
    Engine::new(&config, crate::directory::SharedDirectory::default()).expect("engine")
}

/// All rows of a statement, as its text shows them: one line a row.
pub(super) async fn rows(engine: &Engine, view: &Arc<View>, text: &str) -> Result<Vec<String>> {
    rows_for(&Principal::operator(), engine, view, text).await
}

/// [`rows`] as somebody sees them.
pub(super) async fn rows_for(
    caller: &Principal,
    engine: &Engine,
    view: &Arc<View>,
    text: &str,
) -> Result<Vec<String>> {
    let stream = engine.sql(Arc::clone(view), caller, &text.into()).await?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut lines = Vec::new();
    for batch in batches {
        let format = arrow::util::display::FormatOptions::default().with_null("null");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| {
                arrow::util::display::ArrayFormatter::try_new(column, &format).expect("format")
            })
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join(" "));
        }
    }
    Ok(lines)
}

/// The only row of a statement.
pub(super) async fn row(engine: &Engine, view: &Arc<View>, text: &str) -> String {
    let rows = rows(engine, view, text).await.expect(text);
    assert_eq!(rows.len(), 1, "{text}: {rows:?}");
    rows.into_iter().next().unwrap_or_default()
}
