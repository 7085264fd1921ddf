//! Texts within a statement and in its answer. Files are read into views of
//! texts: a page's dictionary is kept once, and rows point into it. Answers
//! have plain texts, which every client reads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// How a table's columns of texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// As they are stored, for those who read the columns themselves.
    Plain,
    /// As views, which are grouped, joined and compared faster.
    Views,
}

impl Texts {
    /// The columns of a table that is stored with `schema`.
    pub(super) fn of_table(self, schema: SchemaRef) -> SchemaRef {
        match self {
            Self::Plain => schema,
            Self::Views => with_types(&schema, &|data_type| match data_type {
                DataType::Utf8 => DataType::Utf8View,
                other => other.clone(),
            }),
        }
    }
}

/// `schema` without views, also within lists, structures and maps: that of an
/// answer.
pub(super) fn as_plain(schema: &SchemaRef) -> SchemaRef {
    with_types(schema, &plain)
}

fn with_types(schema: &SchemaRef, change: &impl Fn(&DataType) -> DataType) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| with_type(field, change));
    let fields = fields.collect::<Vec<_>>();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn with_type(field: &FieldRef, change: &impl Fn(&DataType) -> DataType) -> FieldRef {
    match change(field.data_type()) {
        same if same == *field.data_type() => Arc::clone(field),
        other => Arc::new(Field::clone(field).with_data_type(other)),
    }
}

/// The type without views.
pub(super) fn plain(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| with_type(field, &plain);
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(inner(field), *length),
        DataType::Map(field, ordered) => DataType::Map(inner(field), *ordered),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

/// The rows of `batch` in the types of `schema`.
pub(super) fn in_types(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast(column, field.data_type()),
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns.collect::<Result<_, _>>()?,
        &options,
    )
}
