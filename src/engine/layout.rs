//! What a scan of a table's files gives: which column is where, and what is
//! known of the rows before any file is opened.

use std::sync::Arc;

use arrow::datatypes::{Date32Type, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::scalar::ScalarValue;

use crate::lake::LakeFile;

/// Where columns are in a file scan: those of the files first, then the date,
/// which only the folder's name holds.
pub(super) struct Layout {
    pub(super) table: TableSchema,
    /// For each column of the table's schema, its position in the file scan.
    position: Vec<usize>,
}

impl Layout {
    pub(super) fn new(schema: &SchemaRef, date_column: &str) -> Self {
        let is_date = |field: &&Arc<Field>| field.name() == date_column;
        let stored: Vec<_> =
            schema.fields().iter().filter(|field| !is_date(field)).cloned().collect();
        let dates: Vec<_> = schema.fields().iter().filter(is_date).cloned().collect();
        let last = stored.len();
        let mut next = 0..last;
        let position = schema
            .fields()
            .iter()
            .map(|field| if is_date(&field) { last } else { next.next().unwrap_or(last) })
            .collect();
        let stored = Arc::new(Schema::new(stored));
        let table = TableSchema::builder(stored).with_table_partition_cols(dates).build();
        Self { table, position }
    }

    pub(super) fn positions(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        match projection {
            Some(columns) => columns.iter().map(|column| self.position[*column]).collect(),
            None => self.position.clone(),
        }
    }
}

/// Exact rows and dates of `files`; organizations as bounds only, since their
/// recorded smallest and largest may be shortened.
pub(super) fn statistics(table: &TableSchema, files: &[&LakeFile]) -> Statistics {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut statistics = Statistics::new_unknown(table.table_schema());
    statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
    statistics.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    let date = |file: Option<&LakeFile>| match file {
        Some(file) => {
            Precision::Exact(ScalarValue::Date32(Some(Date32Type::from_naive_date(file.date))))
        }
        None => Precision::Absent,
    };
    if let Some(dates) = statistics.column_statistics.last_mut() {
        *dates = ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: date(files.iter().copied().min_by_key(|file| file.date)),
            max_value: date(files.iter().copied().max_by_key(|file| file.date)),
            ..ColumnStatistics::new_unknown()
        };
    }
    statistics
}
