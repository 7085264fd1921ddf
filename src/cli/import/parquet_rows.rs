//! Parquet, by the names of its columns.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::writer::{LineDelimited, Writer, WriterBuilder};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::line::EventLine;
use super::mapping::{FieldName, Mapping};
use super::rows::{Row, Rows};
use crate::error::{Context, Error, ErrorKind, Result};

/// Rows decoded at once.
const BATCH_ROWS: usize = 1_000;

/// A time without a zone is UTC.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// The rows of a Parquet file.
pub(super) struct ParquetRows {
    /// Taken when reading starts.
    builder: Option<ParquetRecordBatchReaderBuilder<File>>,
    reader: Option<ParquetRecordBatchReader>,
    /// Column in the file's selection → field; the selection keeps file order.
    fields: Vec<FieldName>,
    /// Position of our own `entry` column in the selection.
    entry_column: Option<usize>,
    mapping: Mapping,
    name: String,
    total: u64,
    row: u64,
    /// The lines of the batch at hand, last first; `None` is a reversal.
    lines: Vec<Option<Vec<u8>>>,
}

impl ParquetRows {
    /// Reads the footer. `name` is the file's, for ids and source.
    pub(super) fn open(file: File, mapping: &Mapping, name: &str) -> Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .context(ErrorKind::Invalid, format!("{name} is no readable Parquet file"))?;
        let schema = Arc::clone(builder.schema());
        mapping.check_columns(schema.fields().iter().map(|field| field.name().as_str()))?;
        let mut roots = Vec::new();
        let mut fields = Vec::new();
        let mut entry_column = None;
        for (root, column) in schema.fields().iter().enumerate() {
            if let Some(field) = mapping.field_of(column.name()) {
                roots.push(root);
                fields.push(field);
            } else if column.name() == "entry" && column.data_type() == &DataType::Utf8 {
                entry_column = Some(fields.len());
                roots.push(root);
                // Taken out again before the rows are written.
                fields.push(FieldName::Tag(String::new()));
            }
        }
        if fields.is_empty() {
            let message = format!("no column of {name} is an event field; see --map COLUMN=FIELD");
            return Err(Error::invalid(message));
        }
        let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        Ok(Self {
            builder: Some(builder.with_projection(mask).with_batch_size(BATCH_ROWS)),
            reader: None,
            fields,
            entry_column,
            mapping: mapping.clone(),
            name: name.to_owned(),
            total,
            row: 0,
            lines: Vec::new(),
        })
    }

    /// Decodes the next batch. `false` at the end.
    fn fill(&mut self) -> Result<bool> {
        let broken = format!("reading {}", self.name);
        if let Some(builder) = self.builder.take() {
            let skipped = usize::try_from(self.row).unwrap_or(usize::MAX);
            let reader = builder.with_offset(skipped).build();
            self.reader = Some(reader.context(ErrorKind::Invalid, &broken)?);
        }
        let Some(batch) = self.reader.as_mut().and_then(Iterator::next) else { return Ok(false) };
        let batch = batch.context(ErrorKind::Invalid, &broken)?;
        let is_reversal: Vec<bool> = match self.entry_column {
            Some(column) => {
                let entries = batch.column(column).as_string::<i32>();
                entries.iter().map(|entry| entry == Some("reversal")).collect()
            }
            None => vec![false; batch.num_rows()],
        };
        let batch = self.as_events(&batch).context(ErrorKind::Invalid, &broken)?;
        let lines = json_lines(&batch)?;
        self.lines = lines
            .split(|byte| *byte == b'\n')
            .zip(is_reversal)
            .map(|(line, reversal)| (!reversal).then(|| line.to_vec()))
            .collect();
        self.lines.reverse();
        Ok(true)
    }

    /// The batch with columns named as event fields; tags keep a prefix.
    fn as_events(&self, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (index, (field, column)) in self.fields.iter().zip(batch.columns()).enumerate() {
            if self.entry_column == Some(index) {
                continue;
            }
            let name = match field {
                FieldName::Field(name) => (*name).to_owned(),
                FieldName::Tag(tag) => format!("tags.{tag}"),
            };
            fields.push(Field::new(name, column.data_type().clone(), true));
            columns.push(Arc::clone(column));
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns)
    }

    /// Adds constants, tags, id and source to a decoded line.
    fn complete(&self, line: &[u8], output: &mut Vec<u8>) -> Result<()> {
        // Values keep their literal text: a cost must not become a float.
        let values: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_slice(line).internal("reading a decoded row")?;
        let mut event = EventLine::default();
        for (name, value) in &values {
            let text = value.get();
            let unquoted: Option<String> = serde_json::from_str(text).ok();
            let plain = unquoted.as_deref().unwrap_or(text);
            match name.strip_prefix("tags.") {
                Some(tag) => event.add(&FieldName::Tag(tag.to_owned()), plain),
                None => {
                    if let Some(field) = self.mapping_field(name) {
                        event.add(field, plain);
                    }
                }
            }
        }
        for (field, value) in self.mapping.constants() {
            event.add(field, value);
        }
        event.add(&FieldName::Field("event_id"), &format!("{}:{}", self.name, self.row));
        event.add(&FieldName::Field("source"), &format!("import:{}", self.name));
        event.write(output);
        Ok(())
    }

    fn mapping_field(&self, name: &str) -> Option<&FieldName> {
        self.fields.iter().find(|field| matches!(field, FieldName::Field(one) if *one == name))
    }
}

impl Rows for ParquetRows {
    fn next(&mut self, output: &mut Vec<u8>) -> Result<Row> {
        while self.lines.is_empty() {
            if !self.fill()? {
                return Ok(Row::End);
            }
        }
        self.row += 1;
        match self.lines.pop().flatten() {
            Some(line) => self.complete(&line, output).map(|()| Row::Event),
            None => Ok(Row::Unreadable(
                "a reversal cannot be imported; void the event with POST /api/events/void"
                    .to_owned(),
            )),
        }
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        self.row = count;
        Ok(())
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}

/// One JSON object a line; decimals keep all their digits.
fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let builder = WriterBuilder::new()
        .with_timestamp_format(TIME_FORMAT.to_owned())
        .with_timestamp_tz_format(TIME_FORMAT.to_owned());
    let mut writer: Writer<_, LineDelimited> = builder.build(Vec::new());
    writer.write(batch).context(ErrorKind::Invalid, "a column cannot be read as JSON")?;
    writer.finish().internal("writing rows")?;
    Ok(writer.into_inner())
}
