//! The directory as SQL tables, so that names can be joined.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::Directory;
use crate::error::{Context, Result};

impl Directory {
    /// The tables by name: `organizations` (organization_id, name, time_zone),
    /// `teams`, `users` and `api_keys` (id, name); every column is text.
    pub fn tables(&self) -> Result<Vec<(&'static str, RecordBatch)>> {
        let organizations = self.organizations.iter();
        let rows: Vec<[&str; 3]> = organizations
            .map(|(id, found)| [id.as_str(), found.name.as_str(), found.time_zone.name()])
            .collect();
        Ok(vec![
            ("organizations", text_batch(["organization_id", "name", "time_zone"], &rows)?),
            ("teams", names_batch(&self.teams)?),
            ("users", names_batch(&self.users)?),
            ("api_keys", names_batch(&self.api_keys)?),
        ])
    }
}

fn names_batch(names: &BTreeMap<String, String>) -> Result<RecordBatch> {
    let rows: Vec<[&str; 2]> =
        names.iter().map(|(id, name)| [id.as_str(), name.as_str()]).collect();
    text_batch(["id", "name"], &rows)
}

fn text_batch<const WIDTH: usize>(
    names: [&str; WIDTH],
    rows: &[[&str; WIDTH]],
) -> Result<RecordBatch> {
    let fields = names.map(|name| Field::new(name, DataType::Utf8, false));
    let columns = (0..WIDTH).map(|column| {
        let values = rows.iter().map(|row| row[column]);
        Arc::new(StringArray::from_iter_values(values)) as ArrayRef
    });
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns.collect())
        .internal("building a table of the directory")
}
