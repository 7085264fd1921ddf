//! How the columns of a table are encoded in Parquet.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::model::TableSpec;

/// Rows of one row group: small enough that an organization's rows are few
/// of them.
const ROW_GROUP_ROWS: usize = 262_144;

/// Identifiers that hardly repeat: neighbours share a prefix, at least where
/// they are ordered by time, and a dictionary only adds its indices.
/// `tests/size.rs` measures what each column costs.
const IDENTIFIERS: [&str; 4] = ["event_id", "conversation_id", "request_id", "winner_event_id"];

/// Numbers that repeat in some installations and never in others: the
/// dictionary is given up early, and zstd alone does better from there.
const NUMBERS: [&str; 4] = ["event_time", "recorded_at", "actual_api_cost", "charged_cost"];
const NUMBERS_DICTIONARY_BYTES_MAX: usize = 64 << 10;

/// Texts that nothing prunes pages or row groups by.
const WITHOUT_PAGE_STATISTICS: [&str; 4] = ["message", "payload", "value", "rule"];

/// How hard a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
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
pub(crate) fn writer_properties(spec: &TableSpec, effort: Effort) -> WriterProperties {
    let zstd = ZstdLevel::try_new(effort.zstd_level())
        .map(Compression::ZSTD)
        .unwrap_or(Compression::SNAPPY);
    let mut builder = WriterProperties::builder()
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("spendlake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting_columns(spec)));
    for name in IDENTIFIERS {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BYTE_ARRAY);
    }
    for name in NUMBERS {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_page_size_limit(column.clone(), NUMBERS_DICTIONARY_BYTES_MAX)
            .set_column_encoding(column, Encoding::PLAIN);
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
