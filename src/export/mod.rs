//! Record batches as files: CSV, JSON, newline-delimited JSON, Parquet and
//! Arrow streams. Amounts stay decimals: quoted strings in JSON, plain digits
//! in CSV. Runs no SQL.

mod csv;
mod json;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

pub(crate) use csv::defused;

use crate::error::{Context, Result};

/// Most bytes of a Parquet row group, which is built in memory: wide rows end
/// it before their number does.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A header line, then a line a row; texts that a spreadsheet would run
    /// as a formula are defused.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// One Parquet file.
    Parquet,
    /// The Arrow IPC stream format.
    Arrow,
}

impl Format {
    /// The format of this name, or `None`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Its name, which is also the extension of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Every format, the one that is taken when none is asked for first.
    pub const ALL: [Self; 5] = [Self::Ndjson, Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Turns batches into the bytes of one file, piece by piece: each call hands
/// out what is ready, and keeps no more than a row group.
pub struct BatchWriter(Inner);

enum Inner {
    Csv(csv::CsvWriter),
    Json(json::JsonWriter),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl std::fmt::Debug for BatchWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.0 {
            Inner::Csv(_) => "BatchWriter(csv)",
            Inner::Json(_) => "BatchWriter(json)",
            Inner::Parquet(_) => "BatchWriter(parquet)",
            Inner::Arrow(_) => "BatchWriter(arrow)",
        })
    }
}

impl BatchWriter {
    /// A writer of rows with these columns.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self> {
        let doing = "starting an export";
        Ok(Self(match format {
            Format::Csv => Inner::Csv(csv::CsvWriter::new(schema)),
            Format::Json => Inner::Json(json::JsonWriter::array()),
            Format::Ndjson => Inner::Json(json::JsonWriter::lines()),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
                    .build();
                let schema = SchemaRef::clone(schema);
                let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties));
                Inner::Parquet(Box::new(writer.internal(doing)?))
            }
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), schema).internal(doing)?;
                Inner::Arrow(Box::new(writer))
            }
        }))
    }

    /// Writes the rows of `batch` and hands out the bytes that are ready.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        let doing = "writing an export";
        Ok(match &mut self.0 {
            Inner::Csv(writer) => writer.write(batch)?,
            Inner::Json(writer) => writer.write(batch)?,
            Inner::Parquet(writer) => {
                writer.write(batch).internal(doing)?;
                std::mem::take(writer.inner_mut()).into()
            }
            Inner::Arrow(writer) => {
                writer.write(batch).internal(doing)?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }

    /// Ends the file and hands out its last bytes.
    pub fn finish(self) -> Result<Bytes> {
        let doing = "finishing an export";
        Ok(match self.0 {
            Inner::Csv(writer) => writer.finish(),
            Inner::Json(writer) => writer.finish(),
            Inner::Parquet(writer) => writer.into_inner().internal(doing)?.into(),
            Inner::Arrow(writer) => writer.into_inner().internal(doing)?.into(),
        })
    }
}

/// A decimal without the zeros that say nothing: `1.500` is `1.5`.
fn shortest_decimal(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests;
