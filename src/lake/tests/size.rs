//! What an event costs on disk, measured on events like real ones.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader, SerializedFileReader};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};
use uuid::Uuid;

use super::*;

const DAY_MILLIS: u64 = 1_767_225_600_000;

/// One column's values by name, the rest of the schema is null or constant.
#[derive(Default)]
struct Columns {
    texts: BTreeMap<&'static str, Vec<Option<String>>>,
    longs: BTreeMap<&'static str, Vec<i64>>,
}

impl Columns {
    fn text(&mut self, name: &'static str, value: &str) {
        self.texts.entry(name).or_default().push(Some(value.to_owned()));
    }

    fn long(&mut self, name: &'static str, value: i64) {
        self.longs.entry(name).or_default().push(value);
    }

    fn batch(&self, rows: usize) -> RecordBatch {
        let schema = (EVENTS.schema)();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            let name = field.name().as_str();
            let longs = || self.longs.get(name).cloned().unwrap_or_else(|| vec![0; rows]);
            match field.data_type() {
                DataType::Utf8 => {
                    let texts = self.texts.get(name).cloned();
                    Arc::new(StringArray::from(texts.unwrap_or_else(|| vec![None; rows])))
                }
                DataType::Timestamp(..) => {
                    Arc::new(TimestampMicrosecondArray::from(longs()).with_timezone("UTC"))
                }
                DataType::Date32 => {
                    Arc::new(Date32Array::from_value(Date32Type::from_naive_date(day(1)), rows))
                }
                DataType::Int64 => Arc::new(Int64Array::from(longs())),
                DataType::Int8 => Arc::new(Int8Array::from_value(1, rows)),
                DataType::Decimal128(precision, scale) => {
                    let values =
                        Decimal128Array::from_iter_values(longs().into_iter().map(i128::from));
                    Arc::new(values.with_precision_and_scale(*precision, *scale).expect("decimals"))
                }
                _ => tags(&self.longs["project"]),
            }
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("rows")
    }
}

fn tags(projects: &[i64]) -> ArrayRef {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for project in projects {
        builder.keys().append_value("environment");
        builder.values().append_value("production");
        builder.keys().append_value("project");
        builder.values().append_value(format!("project-{project}"));
        builder.append(true).expect("map");
    }
    Arc::new(builder.finish())
}

fn uuid(random: &mut StdRng, millis: u64) -> String {
    uuid::Builder::from_unix_timestamp_millis(millis, &random.random()).into_uuid().to_string()
}

/// One day of calls: conversations of four to twelve calls by users of 200
/// organizations of very different size, sent in requests of 100 events.
fn events(rows: usize) -> RecordBatch {
    // (provider, model, price of an input and of an output token in picos)
    const MODELS: [(&str, &str, i64, i64); 5] = [
        ("anthropic", "claude-sonnet-4-5", 3_000_000, 15_000_000),
        ("anthropic", "claude-haiku-4-5", 1_000_000, 5_000_000),
        ("openai", "gpt-5", 1_250_000, 10_000_000),
        ("openai", "gpt-5-mini", 250_000, 2_000_000),
        ("google", "gemini-2.5-pro", 1_250_000, 10_000_000),
    ];
    let mut random = StdRng::seed_from_u64(5);
    let organizations: Vec<String> =
        (0..200).map(|_| Uuid::from_u128(random.random()).to_string()).collect();
    let sizes = Zipf::new(200.0, 1.0).expect("distribution");
    let tokens = LogNormal::new(5.5_f64, 1.0).expect("distribution");
    let duration = LogNormal::new(8.0_f64, 0.7).expect("distribution");
    let mut columns = Columns::default();
    let mut count = 0;
    while count < rows {
        let rank = sizes.sample(&mut random) as usize;
        let user = random.random_range(0..(2_000 / rank).max(3));
        let mut millis = DAY_MILLIS + random.random_range(0..86_400_000);
        let conversation = uuid(&mut random, millis);
        let (provider, model, input_price, output_price) =
            *MODELS.choose(&mut random).expect("model");
        let mut context = random.random_range(500..4_000);
        for call in 0..random.random_range(4..=12) {
            if count == rows {
                break;
            }
            count += 1;
            millis += random.random_range(3_000..90_000);
            let (input, output) =
                (tokens.sample(&mut random) as i64, tokens.sample(&mut random) as i64);
            let cached = if call > 0 { context } else { 0 };
            context += input + output;
            let cost = input * input_price + output * output_price + cached * input_price / 10;
            columns.text("event_id", &uuid(&mut random, millis));
            columns.text("source", "gateway");
            columns.text("organization_id", &organizations[rank - 1]);
            columns.text("team_id", &format!("team-{}", user % 8));
            columns.text("department", ["engineering", "sales", "support"][user % 3]);
            columns.text("user_id", &format!("user-{rank}-{user}@example.com"));
            columns.text("api_key_id", &Uuid::from_u64_pair(rank as u64, user as u64).to_string());
            columns.text("conversation_id", &conversation);
            columns.text("provider", provider);
            columns.text("model_name", model);
            columns.text("status", if random.random_bool(0.02) { "failed" } else { "completed" });
            columns.text("cost_source", "computed");
            columns.text("price_version", "2026-01-01");
            columns.text("entry", "usage");
            columns.long("event_time", millis as i64 * 1_000);
            columns.long("recorded_at", millis as i64 / 40_000 * 40_000_000 + 123_456);
            columns.long("input_tokens", input);
            columns.long("cache_read_tokens", cached);
            columns.long("output_tokens", output);
            columns.long("actual_api_cost", cost);
            columns.long("charged_cost", cost / 5 * 6);
            columns.long("duration_ms", duration.sample(&mut random) as i64);
            columns.long("project", random.random_range(0..5));
        }
    }
    columns.batch(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_compacted_day_takes_at_most_45_bytes() {
    const ROWS: usize = 100_000;
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    let all = events(ROWS);
    for step in 0..4 {
        let part = all.slice(step * ROWS / 4, ROWS / 4);
        table.append(vec![part], transaction(step as i64 + 1)).await.expect("append");
    }
    let snapshot = table.compact(day(1)).await.expect("compact").snapshot;
    let [file] = snapshot.files.as_slice() else { panic!("{} files", snapshot.files.len()) };
    let data = File::open(snapshot.root.join(&file.path)).expect("file");
    let metadata = SerializedFileReader::new(data).expect("parquet").metadata().clone();
    let mut bytes: BTreeMap<String, i64> = BTreeMap::new();
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        *bytes.entry(column.column_path().string()).or_default() += column.compressed_size();
    }
    let mut bytes: Vec<_> = bytes.into_iter().collect();
    bytes.sort_by_key(|(_, bytes)| -bytes);
    let lines =
        bytes.iter().map(|(name, bytes)| format!("{name} {:.2}", *bytes as f64 / ROWS as f64));
    let report = lines.collect::<Vec<_>>().join("\n");
    println!("{:.2} bytes an event\n{report}", file.bytes as f64 / ROWS as f64);
    assert!(file.bytes <= 45 * ROWS as u64, "{} bytes\n{report}", file.bytes);
}
