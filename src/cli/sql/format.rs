//! Rows as a table, CSV or JSON, or as a Parquet or Arrow file.

use std::io::{ErrorKind as IoErrorKind, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer as JsonWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use clap::ValueEnum;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::export::{BatchWriter, Format as FileFormat};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A box, numbers on the right
    Table,
    /// RFC 4180 with a header
    Csv,
    /// One array of objects; decimals are strings
    Json,
    /// One object a line; decimals are strings
    Ndjson,
    /// A Parquet file; name it with --output, or redirect
    Parquet,
    /// The Arrow IPC stream format; name a file with --output, or redirect
    Arrow,
}

impl Format {
    /// The writer of a format that is no text.
    pub(super) fn binary(self) -> Option<FileFormat> {
        match self {
            Self::Parquet => Some(FileFormat::Parquet),
            Self::Arrow => Some(FileFormat::Arrow),
            Self::Table | Self::Csv | Self::Json | Self::Ndjson => None,
        }
    }
}

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    /// Rows beyond the limit of a table.
    pub(super) hidden: u64,
}

/// Writes batches to `output` as they come; a table when the last one came.
#[derive(Debug)]
pub(super) struct RowWriter<W: Write> {
    format: Format,
    output: W,
    table: Table,
    table_rows_max: usize,
    /// Of a binary format, once its columns are known.
    file: Option<BatchWriter>,
    batches: u64,
    rows: u64,
    hidden: u64,
}

impl<W: Write> RowWriter<W> {
    pub(super) fn new(format: Format, output: W, table_rows_max: usize) -> Self {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        let (batches, rows, hidden) = (0, 0, 0);
        Self { format, output, table, table_rows_max, file: None, batches, rows, hidden }
    }

    /// Writes one batch. `false` means that nobody reads any more, which is
    /// how `… | head` ends.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<bool> {
        let written = match self.format {
            Format::Table => self.fill_table(batch),
            Format::Csv => self.write_csv(batch),
            Format::Json => self.write_json::<Elements>(batch),
            Format::Ndjson => self.write_json::<LineDelimited>(batch),
            Format::Parquet => self.write_file(FileFormat::Parquet, batch)?,
            Format::Arrow => self.write_file(FileFormat::Arrow, batch)?,
        };
        self.batches += 1;
        self.rows += batch.num_rows() as u64;
        match written {
            Ok(()) => Ok(true),
            Err(error) if is_broken_pipe(&error) => Ok(false),
            Err(error) => Err(error).context(ErrorKind::Internal, "writing the answer"),
        }
    }

    /// Writes what stands at the end.
    pub(super) fn finish(mut self) -> Result<Written> {
        let end = match self.format {
            Format::Table if self.table.column_count() > 0 => format!("{}\n", self.table).into(),
            Format::Json if self.rows == 0 => Bytes::from_static(b"[]\n"),
            Format::Json => Bytes::from_static(b"\n]\n"),
            Format::Table | Format::Csv | Format::Ndjson => Bytes::new(),
            Format::Parquet | Format::Arrow => match self.file.take() {
                Some(file) => file.finish()?,
                None => Bytes::new(),
            },
        };
        let ended = self.output.write_all(&end).and_then(|()| self.output.flush());
        match ended {
            Err(error) if error.kind() != IoErrorKind::BrokenPipe => {
                Err(Error::internal("writing the answer").caused_by(error))
            }
            _ => Ok(Written { rows: self.rows, hidden: self.hidden }),
        }
    }

    fn write_file(
        &mut self,
        format: FileFormat,
        batch: &RecordBatch,
    ) -> Result<Result<(), ArrowError>> {
        let writer = match &mut self.file {
            Some(writer) => writer,
            none => none.insert(BatchWriter::new(format, &batch.schema())?),
        };
        let bytes = writer.write(batch)?;
        Ok(self.output.write_all(&bytes).map_err(ArrowError::from))
    }

    fn fill_table(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if self.batches == 0 {
            let schema = batch.schema();
            self.table.set_header(schema.fields().iter().map(|field| Cell::new(field.name())));
        }
        let room = self.table_rows_max.saturating_sub(self.table.row_count());
        let shown = room.min(batch.num_rows());
        self.hidden += (batch.num_rows() - shown) as u64;
        let options = FormatOptions::new().with_null("NULL").with_display_error(true);
        let columns = batch
            .columns()
            .iter()
            .map(|column| Ok((ArrayFormatter::try_new(column, &options)?, alignment(column))))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        for row in 0..shown {
            let cells = columns.iter().map(|(values, alignment)| {
                Cell::new(values.value(row).to_string()).set_alignment(*alignment)
            });
            self.table.add_row(cells.collect::<Vec<_>>());
        }
        Ok(())
    }

    fn write_csv(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let header = self.batches == 0;
        let mut writer = CsvBuilder::new().with_header(header).build(&mut self.output);
        writer.write(&flat(batch)?)
    }

    fn write_json<F: JsonFormat>(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.format == Format::Json {
            // The writer separates the rows of one batch; this separates batches.
            self.output.write_all(if self.rows == 0 { b"[\n" } else { b",\n" })?;
        }
        let builder = WriterBuilder::new().with_explicit_nulls(true);
        let mut writer: JsonWriter<_, F> = builder.build(&mut self.output);
        writer.write(&with_text_decimals(batch)?)?;
        writer.finish()
    }
}

/// The elements of an array, without its brackets.
#[derive(Debug, Default)]
struct Elements;

impl JsonFormat for Elements {
    fn start_row<W: Write>(&self, writer: &mut W, is_first: bool) -> Result<(), ArrowError> {
        if !is_first {
            writer.write_all(b",\n")?;
        }
        Ok(())
    }
}

fn alignment(column: &ArrayRef) -> CellAlignment {
    if column.data_type().is_numeric() { CellAlignment::Right } else { CellAlignment::Left }
}

/// Decimals as text: a JSON number would be read as a float.
fn with_text_decimals(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    with_text(batch, DataType::is_decimal)
}

/// What a CSV cell cannot hold (maps, lists) as text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    with_text(batch, DataType::is_nested)
}

fn with_text(
    batch: &RecordBatch,
    chosen: fn(&DataType) -> bool,
) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if chosen(field.data_type()) {
            let nullable = true;
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, nullable)));
            columns.push(as_text(column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if column.data_type().is_decimal() {
        return cast(column, &DataType::Utf8);
    }
    let options = FormatOptions::new();
    let values = ArrayFormatter::try_new(column, &options)?;
    let texts =
        (0..column.len()).map(|row| column.is_valid(row).then(|| values.value(row).to_string()));
    Ok(Arc::new(texts.collect::<arrow::array::StringArray>()))
}

fn is_broken_pipe(error: &ArrowError) -> bool {
    match error {
        ArrowError::IoError(_, cause) => cause.kind() == IoErrorKind::BrokenPipe,
        ArrowError::CsvError(text) => text.contains("Broken pipe"),
        _ => false,
    }
}
