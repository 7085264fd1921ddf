//! Adds to the groups of an answer what a reader and a cursor need: a display
//! name and a unique key.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use crate::access::{DirectoryReach, Reach};
use crate::directory::{Directory, DirectoryKind, Entry, generated_name};
use crate::error::{Context, Error, Result};
use crate::rollup::{Dimension, UsageFilter, usage_schema};

/// What stands where an event said nothing.
pub(crate) const NONE_NAME: &str = "(none)";

/// The columns of `usage_schema`, then `name` and `key`.
pub(crate) fn labelled_schema() -> SchemaRef {
    let mut fields = usage_schema().fields().to_vec();
    fields.push(Arc::new(Field::new("name", DataType::Utf8, false)));
    fields.push(Arc::new(Field::new("key", DataType::Utf8, false)));
    Arc::new(Schema::new(fields))
}

/// Gives names to the ids of one answer.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    directory: &'a Directory,
    /// Whose names there are for whoever asks.
    reach: &'a Reach,
    /// The only organization that the answer is about, where there is one.
    organization: Option<&'a str>,
    /// Names as of then, where the answer must never change.
    as_of: Option<DateTime<Utc>>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(directory: &'a Directory, filter: &'a UsageFilter) -> Self {
        let reach = &filter.reach;
        let organization = match filter.organization_ids.as_slice() {
            [only] => reach.of_organization(only).map(|_| only.as_str()),
            _ => only_organization(reach),
        };
        Self { directory, reach, organization, as_of: None }
    }

    /// Names for a file: of dates that are closed, as of the closing.
    pub(crate) fn of_file(directory: &'a Directory, filter: &'a UsageFilter) -> Self {
        let names = Self::new(directory, filter);
        let (from, to) = (filter.date_from, filter.date_to);
        let as_of = directory.closed_months().closed_since(names.organization, from, to);
        Self { as_of, ..names }
    }

    /// Names a value of `dimension`: as the organization of its group does, or
    /// where groups span organizations, as all of them do; else by itself.
    pub(crate) fn of(
        &self,
        dimension: Dimension,
        id: Option<&'a str>,
        organization: Option<&str>,
    ) -> Cow<'a, str> {
        let Some(id) = id else { return Cow::Borrowed(NONE_NAME) };
        let kind = match dimension {
            Dimension::Organization => {
                let name = self.known(DirectoryKind::Organization, id, id);
                return name.map_or_else(
                    || generated_name(DirectoryKind::Organization, id),
                    Cow::Borrowed,
                );
            }
            Dimension::Department => DirectoryKind::Department,
            Dimension::Team => DirectoryKind::Team,
            Dimension::User => DirectoryKind::User,
            Dimension::ApiKey => DirectoryKind::ApiKey,
            _ => return Cow::Borrowed(id),
        };
        let name = match organization.or(self.organization) {
            Some(organization) => self.known(kind, organization, id),
            None if self.as_of.is_some() => None,
            None => match self.reach {
                Reach::Everything => self.directory.common_name(kind, id),
                Reach::Within(organizations) => {
                    let within = DirectoryReach::new(self.directory, self.reach);
                    let is_known = |entry: &Entry| within.holds(entry);
                    self.directory.common_name_among(organizations.keys(), kind, id, is_known)
                }
            },
        };
        Cow::Borrowed(name.unwrap_or(id))
    }

    fn known(&self, kind: DirectoryKind, organization: &str, id: &str) -> Option<&'a str> {
        match self.as_of {
            Some(time) => self.directory.name_as_of(kind, organization, id, time),
            None => self.directory.name(kind, organization, id),
        }
    }
}

/// The organization that all rows of the reach are of, where there is one.
fn only_organization(reach: &Reach) -> Option<&str> {
    let Reach::Within(organizations) = reach else { return None };
    let mut ids = organizations.keys();
    ids.next().filter(|_| ids.next().is_none()).map(String::as_str)
}

/// The values of one dimension as text.
pub(crate) fn dimension_texts(usage: &RecordBatch, dimension: Dimension) -> Result<StringArray> {
    let name = dimension.column();
    let column = usage.column_by_name(name);
    let column = column.ok_or_else(|| Error::internal(format!("no column {name}")))?;
    let texts = cast(column, &DataType::Utf8).internal("reading the groups")?;
    let texts = texts.as_string_opt::<i32>().cloned();
    texts.ok_or_else(|| Error::internal(format!("column {name} is not text")))
}

/// Adds `name` (the groups' names, outermost first) and `key` (every
/// dimension's value; unambiguous, since each carries its length).
pub(crate) fn label(
    usage: &RecordBatch,
    group_by: &[Dimension],
    named: &Names<'_>,
) -> Result<RecordBatch> {
    let columns = group_by
        .iter()
        .map(|dimension| Ok((*dimension, dimension_texts(usage, *dimension)?)))
        .collect::<Result<Vec<_>>>()?;
    let organizations = columns.iter().find(|(dimension, _)| *dimension == Dimension::Organization);
    let organizations = organizations.map(|(_, texts)| texts);
    let rows = usage.num_rows();
    let mut names = StringBuilder::with_capacity(rows, rows * 16);
    let mut keys = StringBuilder::with_capacity(rows, rows * 24);
    let (mut name, mut key) = (String::new(), String::new());
    for row in 0..rows {
        name.clear();
        key.clear();
        let organization = organizations.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row));
        for (dimension, texts) in &columns {
            let id = texts.is_valid(row).then(|| texts.value(row));
            if !name.is_empty() {
                name.push_str(" / ");
            }
            name.push_str(&named.of(*dimension, id, organization));
            match id {
                // `~` is greater than every digit: nulls come last among keys.
                None => key.push('~'),
                Some(id) => {
                    key.push_str(&id.len().to_string());
                    key.push(':');
                    key.push_str(id);
                }
            }
        }
        names.append_value(&name);
        keys.append_value(&key);
    }
    let mut columns: Vec<ArrayRef> = usage.columns().to_vec();
    columns.push(Arc::new(names.finish()));
    columns.push(Arc::new(keys.finish()));
    RecordBatch::try_new(labelled_schema(), columns).internal("naming the groups")
}
