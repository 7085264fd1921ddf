//! What other layouts of the files would cost: bytes of an event, time to write
//! a million, and time of questions, one factor changed at a time.
//!
//! `cargo bench --bench layouts` prints the table of decision 0030. Questions
//! are asked through `DataFusion`'s own table of a folder, which knows nothing
//! of ours; every answer must be that of the first layout.

mod sample;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{
    SortColumn, SortOptions, concat_batches, lexsort_to_indices, partition, take_record_batch,
};
use arrow::datatypes::{DataType, Date32Type, SchemaRef};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use spendlake::lake::{Effort, writer_properties};
use spendlake::model::{TABLES, TableSpec};

const EVENTS: usize = 1_000_000;
const ROUNDS: usize = 7;
const SPEC: &TableSpec = &TABLES[0];

/// A question, whether it looks for single values, and the column whose value
/// in some row it looks for.
struct Question {
    name: &'static str,
    text: &'static str,
    looks_for: Option<&'static str>,
    /// Whether the engine applies its filter while it reads (decision 0029).
    is_selective: bool,
}

const QUESTIONS: [Question; 5] = [
    Question {
        name: "by model",
        text: "SELECT provider, model_name, count(*), sum(actual_api_cost), sum(output_tokens) \
               FROM usage_events GROUP BY provider, model_name ORDER BY provider, model_name",
        looks_for: None,
        is_selective: false,
    },
    Question {
        name: "conversations",
        text: "SELECT conversation_id, sum(charged_cost) AS charged FROM usage_events \
               GROUP BY conversation_id ORDER BY charged DESC, conversation_id LIMIT 10",
        looks_for: None,
        is_selective: false,
    },
    Question {
        name: "organization",
        text: "SELECT user_id, count(*), sum(charged_cost) FROM usage_events \
               WHERE organization_id = $1 GROUP BY user_id ORDER BY user_id",
        looks_for: Some("organization_id"),
        is_selective: true,
    },
    Question {
        name: "conversation",
        text: "SELECT count(*), sum(charged_cost), max(event_time) FROM usage_events \
               WHERE conversation_id = $1",
        looks_for: Some("conversation_id"),
        is_selective: true,
    },
    Question {
        name: "event",
        text: "SELECT count(*), sum(charged_cost), max(event_time) FROM usage_events \
               WHERE event_id = $1",
        looks_for: Some("event_id"),
        is_selective: true,
    },
];

type Change = fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder;

/// One way to write the files.
struct Layout {
    factor: &'static str,
    value: &'static str,
    order: &'static [&'static str],
    change: Change,
}

/// One way to read them.
#[derive(Clone, Copy)]
struct Reading {
    value: &'static str,
    pushdown: Pushdown,
    caches_metadata: bool,
    page_index: bool,
    bloom_filters: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushdown {
    Selective,
    Always,
    Never,
}

const OURS: Reading = Reading {
    value: "as the engine does",
    pushdown: Pushdown::Selective,
    caches_metadata: true,
    page_index: true,
    bloom_filters: true,
};

const READINGS: [Reading; 6] = [
    OURS,
    Reading { value: "filters always within", pushdown: Pushdown::Always, ..OURS },
    Reading { value: "filters never within", pushdown: Pushdown::Never, ..OURS },
    Reading { value: "no cache of metadata", caches_metadata: false, ..OURS },
    Reading { value: "page index unread", page_index: false, ..OURS },
    Reading { value: "bloom filters unread", bloom_filters: false, ..OURS },
];

fn column(name: &str) -> ColumnPath {
    ColumnPath::from(name)
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a level"))
}

fn encoded(
    builder: WriterPropertiesBuilder,
    names: &[&str],
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    names.iter().fold(builder, |builder, name| {
        let builder = builder.set_column_dictionary_enabled(column(name), false);
        builder.set_column_encoding(column(name), encoding)
    })
}

/// A dictionary of the usual size, plain values after it.
fn with_dictionary(builder: WriterPropertiesBuilder, names: &[&str]) -> WriterPropertiesBuilder {
    names.iter().fold(builder, |builder, name| {
        builder
            .set_column_dictionary_enabled(column(name), true)
            .set_column_dictionary_page_size_limit(column(name), 1 << 20)
            .set_column_encoding(column(name), Encoding::PLAIN)
    })
}

fn compressed(builder: WriterPropertiesBuilder, level: i32) -> WriterPropertiesBuilder {
    ["event_id", "request_id", "conversation_id"]
        .iter()
        .fold(builder.set_compression(zstd(level)), |builder, name| {
            builder.set_column_compression(column(name), zstd(level))
        })
}

fn page_index(
    builder: WriterPropertiesBuilder,
    statistics: EnabledStatistics,
) -> WriterPropertiesBuilder {
    SPEC.sort_columns.iter().fold(builder.set_statistics_enabled(statistics), |builder, name| {
        builder.set_column_statistics_enabled(column(name), statistics)
    })
}

const COSTS: [&str; 2] = ["actual_api_cost", "charged_cost"];
const TIMES: [&str; 2] = ["event_time", "duration_ms"];
const TOKENS: [&str; 3] = ["input_tokens", "cache_read_tokens", "output_tokens"];

fn layouts() -> Vec<Layout> {
    let order = SPEC.sort_columns;
    let changed = |factor, value, change: Change| Layout { factor, value, order, change };
    let ordered = |value, order| Layout { factor: "order", value, order, change: |ours| ours };
    vec![
        changed("ours", "", |ours| ours),
        changed("rows of a row group", "32 ki", |b| b.set_max_row_group_row_count(Some(32 << 10))),
        changed("rows of a row group", "64 ki", |b| b.set_max_row_group_row_count(Some(64 << 10))),
        changed("rows of a row group", "1 Mi", |b| b.set_max_row_group_row_count(Some(1 << 20))),
        changed("rows of a page", "2,500", |b| b.set_data_page_row_count_limit(2_500)),
        changed("rows of a page", "5,000", |b| b.set_data_page_row_count_limit(5_000)),
        changed("rows of a page", "10,000", |b| b.set_data_page_row_count_limit(10_000)),
        changed("page index", "every column", |b| page_index(b, EnabledStatistics::Page)),
        changed("page index", "none", |b| page_index(b, EnabledStatistics::Chunk)),
        changed("bloom filter", "none", |b| {
            b.set_column_bloom_filter_enabled(column("conversation_id"), false)
        }),
        changed("bloom filter", "conversations, 1 %", |b| {
            b.set_column_bloom_filter_fpp(column("conversation_id"), 0.01)
        }),
        changed("bloom filter", "conversations, 0.1 %", |b| {
            b.set_column_bloom_filter_fpp(column("conversation_id"), 0.001)
        }),
        changed("bloom filter", "events too, 5 %", |b| {
            b.set_column_bloom_filter_fpp(column("event_id"), 0.05)
        }),
        changed("bloom filter", "events too, 1 %", |b| {
            b.set_column_bloom_filter_fpp(column("event_id"), 0.01)
        }),
        changed("conversation_id", "dictionary", |b| with_dictionary(b, &["conversation_id"])),
        changed("conversation_id", "plain", |b| encoded(b, &["conversation_id"], Encoding::PLAIN)),
        changed("conversation_id", "delta bytes", |b| {
            encoded(b, &["conversation_id"], Encoding::DELTA_BYTE_ARRAY)
        }),
        changed("event_id", "plain", |b| encoded(b, &["event_id"], Encoding::PLAIN)),
        changed("event_id", "delta length", |b| {
            encoded(b, &["event_id"], Encoding::DELTA_LENGTH_BYTE_ARRAY)
        }),
        changed("costs", "dictionary", |b| with_dictionary(b, &COSTS)),
        changed("costs", "plain", |b| encoded(b, &COSTS, Encoding::PLAIN)),
        changed("costs", "delta", |b| encoded(b, &COSTS, Encoding::DELTA_BINARY_PACKED)),
        changed("costs", "split bytes", |b| encoded(b, &COSTS, Encoding::BYTE_STREAM_SPLIT)),
        changed("times", "dictionary", |b| with_dictionary(b, &TIMES)),
        changed("times", "delta", |b| encoded(b, &TIMES, Encoding::DELTA_BINARY_PACKED)),
        changed("tokens", "plain", |b| encoded(b, &TOKENS, Encoding::PLAIN)),
        changed("tokens", "delta", |b| encoded(b, &TOKENS, Encoding::DELTA_BINARY_PACKED)),
        changed("zstd of all", "1", |b| compressed(b, 1)),
        changed("zstd of all", "3", |b| compressed(b, 3)),
        changed("zstd of all", "9", |b| compressed(b, 9)),
        changed("zstd of all", "15", |b| compressed(b, 15)),
        ordered("organization, time", &["organization_id", "event_time"]),
        ordered(
            "organization, conversation, time",
            &["organization_id", "conversation_id", "event_time"],
        ),
        ordered(
            "organization, user, conversation, time",
            &["organization_id", "user_id", "conversation_id", "event_time"],
        ),
    ]
}

/// The events of each date in the order of `columns`, without the date, as in
/// a compacted table.
fn by_date(events: &RecordBatch, columns: &[&str]) -> Vec<(String, RecordBatch)> {
    let names = std::iter::once(&SPEC.partition_column).chain(columns);
    let columns = names.map(|name| SortColumn {
        values: Arc::clone(events.column_by_name(name).expect("a column")),
        options: Some(SortOptions { descending: false, nulls_first: true }),
    });
    let order = lexsort_to_indices(&columns.collect::<Vec<_>>(), None).expect("an order");
    let mut rows = take_record_batch(events, &order).expect("rows");
    let at = rows.schema().index_of(SPEC.partition_column).expect("the date column");
    let dates = rows.remove_column(at);
    let parts = partition(&[Arc::clone(&dates)]).expect("dates").ranges();
    let dates = dates.as_primitive::<Date32Type>();
    let part = |range: std::ops::Range<usize>| {
        let date = dates.value_as_date(range.start).expect("a date");
        (format!("{}={date}", SPEC.partition_column), rows.slice(range.start, range.len()))
    };
    parts.into_iter().map(part).collect()
}

/// Writes one file a date; answers bytes and time.
fn write(folder: &Path, days: &[(String, RecordBatch)], change: Change) -> (u64, Duration) {
    let begun = Instant::now();
    let mut bytes = 0;
    for (date, rows) in days {
        let path = folder.join(date).join("events.parquet");
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let properties = change(writer_properties(SPEC, Effort::Rewrite).into_builder()).build();
        let file = File::create(&path).expect("a file");
        let mut writer =
            ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("a writer");
        writer.write(rows).expect("written");
        writer.close().expect("closed");
        bytes += fs::metadata(&path).expect("metadata").len();
    }
    (bytes, begun.elapsed())
}

async fn reader(folder: &Path, schema: &SchemaRef, reading: Reading) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new();
    let bytes = if reading.caches_metadata { 256 << 20 } else { 0 };
    let runtime = runtime.with_metadata_cache_limit(bytes).build_arc().expect("a runtime");
    let mut config = SessionConfig::new().with_target_partitions(2);
    let options = &mut config.options_mut().execution;
    options.parquet.enable_page_index = reading.page_index;
    options.parquet.bloom_filter_on_read = reading.bloom_filters;
    options.parquet.reorder_filters = true;
    let context = SessionContext::new_with_config_rt(config, runtime);
    let dates = vec![(SPEC.partition_column.to_owned(), DataType::Date32)];
    let options = ParquetReadOptions::default().schema(schema).table_partition_cols(dates);
    let folder = folder.to_str().expect("a path");
    context.register_parquet(SPEC.name, folder, options).await.expect("a table");
    context
}

/// Asks each question some times; answers the medians.
async fn ask(
    context: &SessionContext,
    reading: Reading,
    values: &[Option<ScalarValue>],
    answers: &mut Vec<String>,
) -> Vec<Duration> {
    let mut medians = Vec::new();
    for (at, (question, value)) in QUESTIONS.iter().zip(values).enumerate() {
        let pushdown = match reading.pushdown {
            Pushdown::Selective => question.is_selective,
            Pushdown::Always => true,
            Pushdown::Never => false,
        };
        let state = context.state_ref();
        state.write().config_mut().options_mut().execution.parquet.pushdown_filters = pushdown;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let frame = context.sql(question.text).await.expect("a statement");
            let frame = frame.with_param_values(value.iter().cloned().collect::<Vec<_>>());
            let rows = frame.expect("its values").collect().await.expect("rows");
            times.push(begun.elapsed());
            let answer =
                arrow::util::pretty::pretty_format_batches(&rows).expect("a text").to_string();
            match answers.get(at) {
                Some(first) => assert_eq!(&answer, first, "{}", question.name),
                None => answers.push(answer),
            }
        }
        times.sort();
        medians.push(times[ROUNDS / 2]);
    }
    medians
}

fn print(cells: impl IntoIterator<Item = String>) {
    println!("| {} |", cells.into_iter().collect::<Vec<_>>().join(" | "));
}

fn milliseconds(time: &Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

fn head(first: &[&str]) {
    let names = first.iter().copied().chain(QUESTIONS.iter().map(|question| question.name));
    let names: Vec<String> = names.map(str::to_owned).collect();
    let count = names.len();
    println!();
    print(names);
    print(std::iter::repeat_n("---".to_owned(), count));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let events = sample::events(EVENTS);
    let events = concat_batches(&events[0].schema(), &events).expect("events");
    let middle = events.num_rows() / 2;
    let values: Vec<Option<ScalarValue>> = QUESTIONS
        .iter()
        .map(|question| {
            let column = events.column_by_name(question.looks_for?).expect("a column");
            Some(ScalarValue::try_from_array(column, middle).expect("a value"))
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut answers = Vec::new();
    println!("{EVENTS} events, medians of {ROUNDS} in ms");
    head(&["layout", "bytes an event", "to write, ms"]);
    for layout in layouts() {
        let name = format!("{} {}", layout.factor, layout.value).trim().to_owned();
        let days = by_date(&events, layout.order);
        let files = folder.path().join("files");
        let (bytes, written) = write(&files, &days, layout.change);
        let times = runtime.block_on(async {
            let context = reader(&files, &days[0].1.schema(), OURS).await;
            ask(&context, OURS, &values, &mut answers).await
        });
        let size = format!("{:.2}", bytes as f64 / EVENTS as f64);
        print(
            [name, size, milliseconds(&written)].into_iter().chain(times.iter().map(milliseconds)),
        );
        fs::remove_dir_all(&files).expect("removed");
    }
    head(&["reading"]);
    let days = by_date(&events, SPEC.sort_columns);
    write(folder.path(), &days, |ours| ours);
    for reading in READINGS {
        let times = runtime.block_on(async {
            let context = reader(folder.path(), &days[0].1.schema(), reading).await;
            ask(&context, reading, &values, &mut answers).await
        });
        print([reading.value.to_owned()].into_iter().chain(times.iter().map(milliseconds)));
    }
}
