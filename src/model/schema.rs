//! The one definition of every stored table. The write-ahead log, the hot
//! buffer, the Delta tables and the query engine all use these schemas.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// The Arrow types that columns are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// Microseconds since 1970 in UTC.
    Time,
    /// Days since 1970.
    Date,
    /// A count, tokens, or milliseconds.
    Long,
    /// +1 or −1.
    Byte,
    /// One event's amount: decimal(18,12) USD.
    Money,
    /// A sum of amounts: decimal(38,12) USD.
    MoneySum,
    /// Text by text.
    Tags,
}

impl ColumnKind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Long => DataType::Int64,
            Self::Byte => DataType::Int8,
            Self::Money => DataType::Decimal128(18, 12),
            Self::MoneySum => DataType::Decimal128(38, 12),
            Self::Tags => tags_type(),
        }
    }
}

/// map(string, string), with the entry names that Delta readers expect.
fn tags_type() -> DataType {
    let entry = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
}

/// A stored table: its name, columns, partition column and sort order.
#[derive(Debug)]
pub struct TableSpec {
    /// The name in SQL and the folder under `lake/`.
    pub name: &'static str,
    /// Its columns.
    pub schema: fn() -> SchemaRef,
    /// The date column that rows are partitioned by.
    pub partition_column: &'static str,
    /// The order of rows within a file, ascending, nulls first.
    pub sort_columns: &'static [&'static str],
    /// Columns that single values are looked for in and that the order of rows
    /// does not help with: files say which values they surely lack.
    pub lookup_columns: &'static [&'static str],
}

/// Every Delta table, in the order that rows reach them.
pub static TABLES: [TableSpec; 5] = [
    TableSpec {
        name: "usage_events",
        schema: usage_events_schema,
        partition_column: "usage_date",
        sort_columns: &["organization_id", "user_id", "event_time"],
        lookup_columns: &["conversation_id"],
    },
    TableSpec {
        name: "rejected_events",
        schema: rejected_events_schema,
        partition_column: "received_date",
        sort_columns: &["received_at", "line"],
        lookup_columns: &[],
    },
    TableSpec {
        name: "usage_daily",
        schema: usage_daily_schema,
        partition_column: "usage_date",
        sort_columns: &["organization_id", "user_id", "conversation_id"],
        lookup_columns: &[],
    },
    TableSpec {
        name: "provider_costs",
        schema: provider_costs_schema,
        partition_column: "usage_date",
        sort_columns: &["provider", "report_kind", "account"],
        lookup_columns: &[],
    },
    TableSpec {
        name: "sightings",
        schema: sightings_schema,
        partition_column: "received_date",
        sort_columns: &["organization_id", "request_id", "received_at"],
        lookup_columns: &[],
    },
];

/// The dimensions of one `usage_daily` row, in column order.
pub const DAILY_GRAIN: [&str; 11] = [
    "usage_date",
    "organization_id",
    "team_id",
    "department",
    "user_id",
    "api_key_id",
    "provider",
    "model_name",
    "status",
    "conversation_id",
    "topic",
];

type Column = (&'static str, ColumnKind, bool);

const NULLABLE: bool = true;
const REQUIRED: bool = false;

const USAGE_EVENTS: [Column; 32] = [
    ("event_id", ColumnKind::Text, REQUIRED),
    ("source", ColumnKind::Text, REQUIRED),
    ("event_time", ColumnKind::Time, REQUIRED),
    ("recorded_at", ColumnKind::Time, REQUIRED),
    ("usage_date", ColumnKind::Date, REQUIRED),
    ("organization_id", ColumnKind::Text, REQUIRED),
    ("team_id", ColumnKind::Text, NULLABLE),
    ("department", ColumnKind::Text, NULLABLE),
    ("user_id", ColumnKind::Text, NULLABLE),
    ("api_key_id", ColumnKind::Text, NULLABLE),
    ("conversation_id", ColumnKind::Text, NULLABLE),
    ("request_id", ColumnKind::Text, NULLABLE),
    ("provider", ColumnKind::Text, REQUIRED),
    ("model_name", ColumnKind::Text, REQUIRED),
    ("status", ColumnKind::Text, REQUIRED),
    ("topic", ColumnKind::Text, NULLABLE),
    ("input_tokens", ColumnKind::Long, REQUIRED),
    ("cache_read_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_1h_tokens", ColumnKind::Long, REQUIRED),
    ("output_tokens", ColumnKind::Long, REQUIRED),
    ("reasoning_tokens", ColumnKind::Long, REQUIRED),
    ("actual_api_cost", ColumnKind::Money, NULLABLE),
    ("charged_cost", ColumnKind::Money, NULLABLE),
    ("cost_source", ColumnKind::Text, REQUIRED),
    ("price_version", ColumnKind::Text, NULLABLE),
    ("duration_ms", ColumnKind::Long, NULLABLE),
    ("tags", ColumnKind::Tags, NULLABLE),
    ("entry", ColumnKind::Text, REQUIRED),
    ("quantity", ColumnKind::Byte, REQUIRED),
    ("correction_of_period", ColumnKind::Text, NULLABLE),
    ("correction_id", ColumnKind::Text, NULLABLE),
];

const USAGE_DAILY: [Column; 28] = [
    ("usage_date", ColumnKind::Date, REQUIRED),
    ("organization_id", ColumnKind::Text, REQUIRED),
    ("team_id", ColumnKind::Text, NULLABLE),
    ("department", ColumnKind::Text, NULLABLE),
    ("user_id", ColumnKind::Text, NULLABLE),
    ("api_key_id", ColumnKind::Text, NULLABLE),
    ("provider", ColumnKind::Text, REQUIRED),
    ("model_name", ColumnKind::Text, REQUIRED),
    ("status", ColumnKind::Text, REQUIRED),
    ("conversation_id", ColumnKind::Text, NULLABLE),
    ("topic", ColumnKind::Text, NULLABLE),
    ("entries", ColumnKind::Long, REQUIRED),
    ("events", ColumnKind::Long, REQUIRED),
    ("input_tokens", ColumnKind::Long, REQUIRED),
    ("cache_read_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_1h_tokens", ColumnKind::Long, REQUIRED),
    ("output_tokens", ColumnKind::Long, REQUIRED),
    ("reasoning_tokens", ColumnKind::Long, REQUIRED),
    ("actual_api_cost", ColumnKind::MoneySum, NULLABLE),
    ("charged_cost", ColumnKind::MoneySum, NULLABLE),
    ("unpriced_charged_cost", ColumnKind::MoneySum, REQUIRED),
    ("unpriced_events", ColumnKind::Long, REQUIRED),
    ("uncharged_events", ColumnKind::Long, REQUIRED),
    ("failed_events", ColumnKind::Long, REQUIRED),
    ("duration_ms", ColumnKind::Long, NULLABLE),
    ("first_event_time", ColumnKind::Time, REQUIRED),
    ("last_event_time", ColumnKind::Time, REQUIRED),
];

const REJECTED_EVENTS: [Column; 13] = [
    ("received_at", ColumnKind::Time, REQUIRED),
    ("received_date", ColumnKind::Date, REQUIRED),
    ("request_id", ColumnKind::Text, REQUIRED),
    ("line", ColumnKind::Long, REQUIRED),
    ("organization_id", ColumnKind::Text, NULLABLE),
    ("source", ColumnKind::Text, NULLABLE),
    ("event_id", ColumnKind::Text, NULLABLE),
    ("reason", ColumnKind::Text, REQUIRED),
    ("field", ColumnKind::Text, NULLABLE),
    ("value", ColumnKind::Text, NULLABLE),
    ("rule", ColumnKind::Text, REQUIRED),
    ("message", ColumnKind::Text, REQUIRED),
    ("payload", ColumnKind::Text, NULLABLE),
];

const PROVIDER_COSTS: [Column; 27] = [
    ("usage_date", ColumnKind::Date, REQUIRED),
    ("report_kind", ColumnKind::Text, REQUIRED),
    ("provider", ColumnKind::Text, REQUIRED),
    ("account", ColumnKind::Text, REQUIRED),
    ("organization_id", ColumnKind::Text, NULLABLE),
    ("bucket_start", ColumnKind::Time, REQUIRED),
    ("bucket_end", ColumnKind::Time, REQUIRED),
    ("project_id", ColumnKind::Text, NULLABLE),
    ("model_name", ColumnKind::Text, NULLABLE),
    ("api_key_id", ColumnKind::Text, NULLABLE),
    ("line_item", ColumnKind::Text, NULLABLE),
    ("cost_type", ColumnKind::Text, NULLABLE),
    ("token_class", ColumnKind::Text, NULLABLE),
    ("service_tier", ColumnKind::Text, NULLABLE),
    ("context_window", ColumnKind::Text, NULLABLE),
    ("requests", ColumnKind::Long, NULLABLE),
    ("input_tokens", ColumnKind::Long, NULLABLE),
    ("cache_read_tokens", ColumnKind::Long, NULLABLE),
    ("cache_write_tokens", ColumnKind::Long, NULLABLE),
    ("cache_write_1h_tokens", ColumnKind::Long, NULLABLE),
    ("output_tokens", ColumnKind::Long, NULLABLE),
    ("web_search_requests", ColumnKind::Long, NULLABLE),
    ("amount", ColumnKind::MoneySum, NULLABLE),
    ("currency", ColumnKind::Text, NULLABLE),
    ("imported_at", ColumnKind::Time, REQUIRED),
    ("import_id", ColumnKind::Text, REQUIRED),
    ("source_file", ColumnKind::Text, NULLABLE),
];

const SIGHTINGS: [Column; 21] = [
    ("received_at", ColumnKind::Time, REQUIRED),
    ("received_date", ColumnKind::Date, REQUIRED),
    ("organization_id", ColumnKind::Text, REQUIRED),
    ("request_id", ColumnKind::Text, REQUIRED),
    ("source", ColumnKind::Text, REQUIRED),
    ("event_id", ColumnKind::Text, REQUIRED),
    ("event_time", ColumnKind::Time, REQUIRED),
    ("provider", ColumnKind::Text, REQUIRED),
    ("model_name", ColumnKind::Text, REQUIRED),
    ("user_id", ColumnKind::Text, NULLABLE),
    ("api_key_id", ColumnKind::Text, NULLABLE),
    ("input_tokens", ColumnKind::Long, REQUIRED),
    ("cache_read_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_tokens", ColumnKind::Long, REQUIRED),
    ("cache_write_1h_tokens", ColumnKind::Long, REQUIRED),
    ("output_tokens", ColumnKind::Long, REQUIRED),
    ("reasoning_tokens", ColumnKind::Long, REQUIRED),
    ("actual_api_cost", ColumnKind::Money, NULLABLE),
    ("charged_cost", ColumnKind::Money, NULLABLE),
    ("winner_source", ColumnKind::Text, REQUIRED),
    ("winner_event_id", ColumnKind::Text, REQUIRED),
];

fn build(columns: &[Column]) -> SchemaRef {
    let fields =
        columns.iter().map(|(name, kind, nullable)| Field::new(*name, kind.data_type(), *nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One row per acknowledged event, as the sender reported it.
pub fn usage_events_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| build(&USAGE_EVENTS));
    Arc::clone(&SCHEMA)
}

/// Sums of usage events per day and [`DAILY_GRAIN`]. Several rows of one
/// grain add up.
pub fn usage_daily_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| build(&USAGE_DAILY));
    Arc::clone(&SCHEMA)
}

/// What providers say was used and what they charge for it: one row per line
/// of an imported report.
pub fn provider_costs_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| build(&PROVIDER_COSTS));
    Arc::clone(&SCHEMA)
}

/// One row per line that ingest refused.
pub fn rejected_events_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| build(&REJECTED_EVENTS));
    Arc::clone(&SCHEMA)
}

/// One row per event that does not count, since another event of its request
/// does.
pub fn sightings_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| build(&SIGHTINGS));
    Arc::clone(&SCHEMA)
}
