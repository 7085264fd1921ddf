//! CSV with a header.

use std::io::BufRead;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::line::EventLine;
use super::mapping::{FieldName, Mapping};
use super::rows::{Row, Rows};
use crate::error::{Context, Error, ErrorKind, Result};

/// The rows of a CSV text.
pub(super) struct CsvRows<R> {
    reader: Reader<R>,
    /// The field of each column, where it is one.
    fields: Vec<Option<FieldName>>,
    mapping: Mapping,
    name: String,
    record: StringRecord,
    line: EventLine,
    row: u64,
}

impl<R: BufRead + Send> CsvRows<R> {
    /// Reads the header. `name` is the file's, for ids and source.
    pub(super) fn new(reader: R, mapping: &Mapping, name: &str) -> Result<Self> {
        let mut reader = ReaderBuilder::new().from_reader(reader);
        let header = reader
            .headers()
            .context(ErrorKind::Invalid, format!("{name} has no readable CSV header"))?;
        mapping.check_columns(header.iter())?;
        let fields: Vec<_> = header.iter().map(|column| mapping.field_of(column)).collect();
        if fields.iter().all(Option::is_none) {
            let columns = header.iter().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "no column of {name} ({columns}) is an event field; name them with --map \
                 COLUMN=FIELD"
            )));
        }
        Ok(Self {
            reader,
            fields,
            mapping: mapping.clone(),
            name: name.to_owned(),
            record: StringRecord::new(),
            line: EventLine::default(),
            row: 0,
        })
    }
}

impl<R: BufRead + Send> Rows for CsvRows<R> {
    fn next(&mut self, output: &mut Vec<u8>) -> Result<Row> {
        self.row += 1;
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(Row::End),
            Err(error) if error.is_io_error() => {
                let doing = format!("reading row {} of {}", self.row, self.name);
                return Err(error).context(ErrorKind::Invalid, doing);
            }
            Err(error) => return Ok(Row::Unreadable(format!("not a row of this file: {error}"))),
        }
        for (field, value) in self.fields.iter().zip(self.record.iter()) {
            if let Some(field) = field {
                self.line.add(field, value.trim());
            }
        }
        for (field, value) in self.mapping.constants() {
            self.line.add(field, value);
        }
        self.line.add(&FieldName::Field("event_id"), &format!("{}:{}", self.name, self.row));
        self.line.add(&FieldName::Field("source"), &format!("import:{}", self.name));
        self.line.write(output);
        Ok(Row::Event)
    }
}
