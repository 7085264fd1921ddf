//! Comma-separated values that are safe to open in a spreadsheet.

use std::borrow::Cow;
use std::fmt::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;

use super::shortest_decimal;
use crate::error::{Context, Result};

/// Writes rows as RFC 4180 lines. A null is an empty cell.
#[derive(Debug)]
pub(super) struct CsvWriter {
    header: Vec<String>,
    header_written: bool,
}

impl CsvWriter {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let header = schema.fields().iter().map(|field| defused(field.name()).into_owned());
        Self { header: header.collect(), header_written: false }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        let doing = "writing CSV";
        let mut lines = ::csv::Writer::from_writer(Vec::new());
        if !self.header_written {
            lines.write_record(&self.header).internal(doing)?;
            self.header_written = true;
        }
        let options = FormatOptions::new()
            .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6fZ"))
            .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.6f"));
        let columns = batch.columns().iter().map(|column| {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options);
            Ok((column, CellKind::of(column.data_type()), formatter.internal(doing)?))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (column, kind, formatter) in &columns {
                cell.clear();
                if column.is_valid(row) {
                    write!(cell, "{}", formatter.value(row)).internal(doing)?;
                }
                let shown = match kind {
                    CellKind::Text => defused(&cell),
                    CellKind::Decimal => Cow::Borrowed(shortest_decimal(&cell)),
                    CellKind::Plain => Cow::Borrowed(cell.as_str()),
                };
                lines.write_field(shown.as_bytes()).internal(doing)?;
            }
            lines.write_record(None::<&[u8]>).internal(doing)?;
        }
        Ok(lines.into_inner().internal(doing)?.into())
    }

    /// An export without a single batch still has its header.
    pub(super) fn finish(self) -> Bytes {
        if self.header_written {
            return Bytes::new();
        }
        let mut lines = ::csv::Writer::from_writer(Vec::new());
        let written = lines.write_record(&self.header);
        written.ok().and_then(|()| lines.into_inner().ok()).unwrap_or_default().into()
    }
}

/// How the cells of a column are made safe and short.
#[derive(Debug, Clone, Copy)]
enum CellKind {
    /// Somebody else's words, or made of them.
    Text,
    /// An exact number with a point.
    Decimal,
    /// Numbers, dates and truth values: never altered.
    Plain,
}

impl CellKind {
    fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => Self::Decimal,
            kind if kind.is_numeric() || kind.is_temporal() => Self::Plain,
            DataType::Boolean | DataType::Null => Self::Plain,
            _ => Self::Text,
        }
    }
}

/// A text that a spreadsheet would run as a formula gets an apostrophe in
/// front, which spreadsheets take as "this is text".
pub(crate) fn defused(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}
