//! The directory as a file: CSV with a column `kind`, or a JSON array of
//! objects. What is exported can be imported again, and changes nothing then.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::{Change, Edit};
use super::fields::{Fault, Fields, RecordKind, unknown_field};
use super::records::{DirectoryKind, Record};
use super::snapshot::Directory;
use crate::error::{Context, Error, Result};

/// Every column of a CSV, in the order of an export.
pub const COLUMNS: [&str; 18] = [
    "kind",
    "organization_id",
    "id",
    "name",
    "time_zone",
    "default_department",
    "department",
    "provider",
    "environment",
    "owner_user_id",
    "user_id",
    "team_id",
    "valid_from",
    "valid_to",
    "primary",
    "origin",
    "deleted_at",
    "revoked_at",
];

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// A header, then a record a line.
    Csv,
    /// An array of objects.
    Json,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImportReport {
    /// Records that were not there.
    pub created: u64,
    /// Records that said something else.
    pub changed: u64,
    /// Records that said the same.
    pub unchanged: u64,
}

/// A record of a file, and where it stands: a line, or an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    place: String,
    kind: RecordKind,
    fields: Fields,
}

/// Takes a file apart. The error names the first line or element that is no
/// record.
pub fn parse(bytes: &[u8], format: FileFormat) -> Result<Vec<FileRecord>> {
    match format {
        FileFormat::Csv => parse_csv(bytes),
        FileFormat::Json => parse_json(bytes),
    }
}

/// Adds or replaces every record of a file, whatever their order. A field that
/// a record does not mention stays as it is.
pub fn import(edit: &mut Edit, mut records: Vec<FileRecord>) -> Result<ImportReport> {
    // What others refer to comes first.
    records.sort_by_key(|record| {
        RecordKind::ALL.iter().position(|kind| *kind == record.kind).unwrap_or(usize::MAX)
    });
    let mut report = ImportReport::default();
    for FileRecord { place, kind, fields } in records {
        let now = edit.now();
        let record = fields.record(kind, Some(edit.directory()), now);
        let record = record.map_err(|fault| at(&place, &fault))?;
        let change = edit.put_record(record);
        let change = change
            .map_err(|error| Error::invalid(format!("{place}: {error}; nothing was stored")))?;
        *match change {
            Change::Created => &mut report.created,
            Change::Changed => &mut report.changed,
            Change::Unchanged => &mut report.unchanged,
        } += 1;
    }
    Ok(report)
}

/// Everything that `directory` knows now, as a file. Earlier names are not in
/// it.
pub fn export(directory: &Directory, format: FileFormat) -> Result<Vec<u8>> {
    let records = records(directory);
    let doing = "writing the directory as a file";
    match format {
        FileFormat::Json => {
            let objects: Vec<Value> = records.iter().map(json).collect();
            let mut text = serde_json::to_vec_pretty(&objects).internal(doing)?;
            text.push(b'\n');
            Ok(text)
        }
        FileFormat::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(COLUMNS).internal(doing)?;
            for record in &records {
                let mut fields = Fields::from(record);
                let cells = COLUMNS.map(|column| match column {
                    "kind" => kind_of(record).as_str().to_owned(),
                    column => defused(fields.take(column).unwrap_or_default()),
                });
                writer.write_record(&cells).internal(doing)?;
            }
            writer.into_inner().internal(doing)
        }
    }
}

/// Every record, what others refer to first.
pub fn records(directory: &Directory) -> Vec<Record> {
    let mut records: Vec<Record> = directory.organizations().cloned().map(Record::Entry).collect();
    let ids: Vec<&str> = directory.organizations().map(|entry| entry.id.as_str()).collect();
    for kind in RecordKind::ALL {
        for id in &ids {
            match kind {
                RecordKind::Entry(DirectoryKind::Organization) => {}
                RecordKind::Entry(kind) => {
                    records.extend(directory.entries(kind, id).cloned().map(Record::Entry));
                }
                RecordKind::Membership => {
                    let all = directory.all_memberships(id).cloned();
                    records.extend(all.map(Record::Membership));
                }
            }
        }
    }
    records
}

/// What a record is.
pub fn kind_of(record: &Record) -> RecordKind {
    match record {
        Record::Entry(entry) => RecordKind::Entry(entry.kind()),
        Record::Membership(_) => RecordKind::Membership,
    }
}

/// A record as a JSON object with its kind.
pub fn json(record: &Record) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("kind".to_owned(), kind_of(record).as_str().into());
    for (name, text) in Fields::from(record).iter() {
        let value = match (name, text) {
            ("primary", Some(text)) => Value::Bool(text == "true"),
            (_, text) => text.into(),
        };
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

fn parse_csv(bytes: &[u8]) -> Result<Vec<FileRecord>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let header = reader.headers().map_err(|error| not_csv(&error))?.clone();
    let names: Vec<&str> =
        header.iter().map(|name| name.strip_prefix('\u{feff}').unwrap_or(name)).collect();
    for name in &names {
        if !COLUMNS.contains(name) {
            let rule = unknown_field(name, "the directory", &COLUMNS);
            return Err(at("line 1", &Fault::new(name, None, rule)));
        }
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| not_csv(&error))?;
        let place = format!("line {}", row.position().map_or(0, csv::Position::line));
        let mut fields = Fields::default();
        for (name, cell) in names.iter().zip(&row) {
            let cell = fused(cell);
            fields.set(name, Some(cell.to_owned()).filter(|cell| !cell.is_empty()));
        }
        records.push(record(place, fields)?);
    }
    Ok(records)
}

fn parse_json(bytes: &[u8]) -> Result<Vec<FileRecord>> {
    let wrong = |why: String| {
        Error::invalid(format!(
            "the file is not a JSON array of objects: {why}; nothing was stored"
        ))
    };
    let elements: Vec<serde_json::Map<String, Value>> =
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    let mut records = Vec::with_capacity(elements.len());
    for (number, element) in (1..).zip(elements) {
        let place = format!("element {number}");
        let fields = Fields::of_json(&element).map_err(|fault| at(&place, &fault))?;
        records.push(record(place, fields)?);
    }
    Ok(records)
}

/// Reads the kind. In a file of several kinds an empty cell of another kind's
/// column says nothing.
fn record(place: String, mut fields: Fields) -> Result<FileRecord> {
    let words = RecordKind::ALL.map(RecordKind::as_str).join(", ");
    let word = fields.take("kind");
    let kind = word.as_deref().and_then(RecordKind::parse).ok_or_else(|| {
        at(&place, &Fault::new("kind", word.as_deref(), format!("it is one of {words}")))
    })?;
    let foreign: Vec<String> = fields
        .iter()
        .filter(|(name, text)| {
            text.is_none() && COLUMNS.contains(name) && !kind.fields().contains(name)
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in foreign {
        fields.take(&name);
    }
    Ok(FileRecord { place, kind, fields })
}

fn at(place: &str, fault: &Fault) -> Error {
    Error::invalid(format!("{place}: {}; nothing was stored", fault.message()))
}

fn not_csv(error: &csv::Error) -> Error {
    Error::invalid(format!("the file is not CSV with a header: {error}; nothing was stored"))
}

/// What a spreadsheet takes for the start of a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell that no spreadsheet runs: ids come from events, and so from anyone.
fn defused(cell: String) -> String {
    let runs = cell.starts_with(FORMULA_STARTS) || cell.starts_with('\'');
    if runs { format!("'{cell}") } else { cell }
}

/// Undoes [`defused`].
fn fused(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA_STARTS) || rest.starts_with('\'') => rest,
        _ => cell,
    }
}
