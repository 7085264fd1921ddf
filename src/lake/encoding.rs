//! How the columns of a table are encoded in Parquet.

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::model::TableSpec;

/// Rows of one row group: small enough that an organization's rows are few
/// of them.
const ROW_GROUP_ROWS: usize = 262_144;

/// Identifiers, for which a dictionary only adds its indices, and the encoding
/// that writes them shortest: where hardly one repeats, as what differs from
/// the one before. They are mostly random, and random bytes get longer, not
/// shorter, by harder compression. `benches/layouts.rs` measures this and
/// everything else here (decision 0030), `tests/size.rs` each column.
const IDENTIFIERS: [(&str, Encoding); 4] = [
    ("event_id", Encoding::DELTA_BYTE_ARRAY),
    ("request_id", Encoding::DELTA_BYTE_ARRAY),
    ("winner_event_id", Encoding::DELTA_BYTE_ARRAY),
    ("conversation_id", Encoding::DELTA_LENGTH_BYTE_ARRAY),
];
const IDENTIFIERS_ZSTD_LEVEL: i32 = 1;

/// Numbers that repeat in some installations and hardly in others, and how they
/// are written once their dictionary is too long to pay.
const NUMBERS: [(&str, Encoding); 5] = [
    ("event_time", Encoding::PLAIN),
    ("recorded_at", Encoding::PLAIN),
    ("duration_ms", Encoding::PLAIN),
    ("actual_api_cost", Encoding::DELTA_BINARY_PACKED),
    ("charged_cost", Encoding::DELTA_BINARY_PACKED),
];
const NUMBERS_DICTIONARY_BYTES_MAX: usize = 8 << 10;

/// How often a file that lacks a value is opened for it all the same.
const LOOKUP_FALSE_POSITIVES: f64 = 0.05;

/// Texts that nothing prunes pages or row groups by.
const WITHOUT_PAGE_STATISTICS: [&str; 4] = ["message", "payload", "value", "rule"];

/// How hard a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A flush: senders wait while it falls behind.
    Append,
    /// A rewrite in the background, which is read for years.
    Rewrite,
}

impl Effort {
    fn zstd_level(self) -> i32 {
        match self {
            Self::Append => 3,
            Self::Rewrite => 9,
        }
    }
}

/// The writer's settings for files of `spec`.
pub fn writer_properties(spec: &TableSpec, effort: Effort) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(zstd(effort.zstd_level()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("spendlake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting_columns(spec)));
    for (name, encoding) in IDENTIFIERS {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_compression(column.clone(), zstd(IDENTIFIERS_ZSTD_LEVEL))
            .set_column_encoding(column, encoding);
    }
    for (name, encoding) in NUMBERS {
        let encoding = if is_long_decimal(spec, name) { Encoding::PLAIN } else { encoding };
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_page_size_limit(column.clone(), NUMBERS_DICTIONARY_BYTES_MAX)
            .set_column_encoding(column, encoding);
    }
    for name in spec.lookup_columns {
        let column = ColumnPath::from(*name);
        builder = builder.set_column_bloom_filter_fpp(column, LOOKUP_FALSE_POSITIVES);
    }
    for name in spec.sort_columns {
        // A reader finds one organization's or user's pages by these.
        let column = ColumnPath::from(*name);
        builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Page);
    }
    for name in WITHOUT_PAGE_STATISTICS {
        let column = ColumnPath::from(name);
        builder = builder.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    builder.build()
}

fn zstd(level: i32) -> Compression {
    ZstdLevel::try_new(level).map(Compression::ZSTD).unwrap_or(Compression::SNAPPY)
}

/// Whether Parquet keeps the column as bytes because 64 bits do not hold its numbers.
fn is_long_decimal(spec: &TableSpec, name: &str) -> bool {
    let schema = (spec.schema)();
    let data_type = schema.field_with_name(name).map(Field::data_type);
    matches!(data_type, Ok(DataType::Decimal128(precision, _)) if *precision > 18)
}

/// The sort order by the columns' places in the file, which lacks the
/// partition column. Every sort column is a plain one; the only nested one,
/// `tags`, stands behind them, so places and leaf indices agree.
fn sorting_columns(spec: &TableSpec) -> Vec<SortingColumn> {
    let schema = (spec.schema)();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| *name != spec.partition_column)
        .collect();
    let places = spec.sort_columns.iter().filter_map(|name| names.iter().position(|n| n == name));
    places
        .filter_map(|place| i32::try_from(place).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
        .collect()
}
