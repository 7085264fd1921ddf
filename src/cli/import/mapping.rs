//! Which column is which event field.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::ingest::{event_field, event_field_names};

/// Prefix of a field that is one tag.
const TAG_PREFIX: &str = "tags.";

/// `LEFT=RIGHT` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    left: String,
    right: String,
}

impl Assignment {
    /// `left=right`.
    pub(super) fn new(left: &str, right: &str) -> Self {
        Self { left: left.to_owned(), right: right.to_owned() }
    }
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((left, right)) if !left.is_empty() && !right.is_empty() => {
                Ok(Self { left: left.to_owned(), right: right.to_owned() })
            }
            _ => Err("it must look like LEFT=RIGHT".to_owned()),
        }
    }
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FieldName {
    /// A field of the event.
    Field(&'static str),
    /// One of its tags.
    Tag(String),
}

impl FieldName {
    /// The field of this name or alias, or the tag after `tags.`.
    fn parse(name: &str) -> Result<Self> {
        if let Some(tag) = name.strip_prefix(TAG_PREFIX).filter(|tag| !tag.is_empty()) {
            return Ok(Self::Tag(tag.to_owned()));
        }
        event_field(name).map(Self::Field).ok_or_else(|| {
            Error::invalid(format!(
                "{name} is no event field; use one of {}, tags.NAME",
                event_field_names().join(", ")
            ))
        })
    }
}

/// Columns to fields, and constants for what a row lacks.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping {
    columns: BTreeMap<String, FieldName>,
    constants: BTreeMap<FieldName, String>,
}

impl Mapping {
    /// `Invalid` names the field that does not exist.
    pub(super) fn new(map: &[Assignment], set: &[Assignment]) -> Result<Self> {
        let mut mapping = Self::default();
        for Assignment { left: column, right: field } in map {
            mapping.columns.insert(column.clone(), FieldName::parse(field)?);
        }
        for Assignment { left: field, right: value } in set {
            mapping.constants.insert(FieldName::parse(field)?, value.clone());
        }
        Ok(mapping)
    }

    /// The field that `column` is: as mapped, else by its own name.
    pub(super) fn field_of(&self, column: &str) -> Option<FieldName> {
        self.columns.get(column).cloned().or_else(|| FieldName::parse(column).ok())
    }

    /// The values of fields that a row does not have itself.
    pub(super) fn constants(&self) -> impl Iterator<Item = (&FieldName, &str)> {
        self.constants.iter().map(|(field, value)| (field, value.as_str()))
    }

    /// Whether nothing was mapped or set.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.constants.is_empty()
    }

    /// Refuses mapped columns that `columns` does not have.
    pub(super) fn check_columns<'a>(
        &self,
        columns: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<()> {
        for mapped in self.columns.keys() {
            if !columns.clone().any(|column| column == mapped) {
                let found = columns.collect::<Vec<_>>().join(", ");
                return Err(Error::invalid(format!(
                    "--map names column {mapped}; the file has {found}"
                )));
            }
        }
        Ok(())
    }

    /// A text that is the same for the same mapping.
    pub(super) fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_wire_can_be_a_column_by_each_of_its_names() {
        let mapping = Mapping::default();
        for name in event_field_names() {
            let field = FieldName::Field(event_field(name).expect("a field"));
            assert_eq!(mapping.field_of(name), Some(field.clone()), "{name}");
            let mapped = Mapping::new(&[Assignment::new("column", name)], &[]).expect("a mapping");
            assert_eq!(mapped.field_of("column"), Some(field), "{name}");
        }
        assert_eq!(mapping.field_of("request_id"), Some(FieldName::Field("request_id")));
        assert_eq!(mapping.field_of("model"), Some(FieldName::Field("model_name")));
    }
}
