//! Which type of PostgreSQL a column has for clients.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use arrow_pg::datatypes::{PG_OID_ALIAS_KEY, field_into_pg_type, into_pg_type};
use pgwire::api::Type;
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::frontend::Formats;

/// The columns of an answer, as clients are told.
pub(super) fn row_description(schema: &Schema, formats: &Formats) -> RowDescription {
    let fields = schema.fields().iter().enumerate();
    RowDescription::new(
        fields.map(|(at, field)| description(field, formats.is_binary(at))).collect(),
    )
}

fn description(field: &Arc<Field>, is_binary: bool) -> FieldDescription {
    let kind = pg_type(field);
    let size = type_size(&kind);
    FieldDescription::new(
        field.name().clone(),
        // No column is a table's own: the catalogs' numbers of tables are not
        // those of any stored thing.
        0,
        0,
        kind.oid(),
        size,
        modifier(field.data_type()),
        i16::from(is_binary),
    )
}

/// The type of a column. Maps and structures are texts that hold JSON: tools
/// treat a column of type json as something to take apart in SQL, which this
/// server cannot.
pub(super) fn pg_type(field: &Arc<Field>) -> Type {
    match field.data_type() {
        // Text without a value; what counts rows never gets near 2^63.
        DataType::Null => Type::TEXT,
        DataType::UInt64 => Type::INT8,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => {
            Type::NUMERIC
        }
        DataType::Dictionary(_, values) => {
            pg_type(&Arc::new(Field::new(field.name(), values.as_ref().clone(), true)))
        }
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            array_type(inner)
        }
        DataType::Struct(_) | DataType::Map(..) => Type::TEXT,
        // Numbers of objects; the mark may stray to columns of other types.
        DataType::Int32 => field_into_pg_type(field).unwrap_or(Type::INT4),
        other => into_pg_type(other).unwrap_or(Type::TEXT),
    }
}

/// The type of arrays of `inner`; arrays of anything else are texts with JSON.
fn array_type(inner: &Arc<Field>) -> Type {
    match pg_type(inner) {
        Type::TEXT if !is_text(inner.data_type()) => Type::TEXT,
        element => array_of(&element).unwrap_or(Type::TEXT),
    }
}

fn array_of(element: &Type) -> Option<Type> {
    Some(match *element {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::OID => Type::OID_ARRAY,
        Type::TEXT => Type::TEXT_ARRAY,
        _ => return None,
    })
}

/// Whether values are texts themselves, and not JSON of something.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn type_size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// Precision and scale of a numeric, as `pg_attribute.atttypmod` has them.
fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}

/// Columns of which nothing says the type are texts, as in PostgreSQL.
pub(super) fn with_types(columns: &Schema) -> Schema {
    let fields = columns.fields().iter().map(|field| match field.data_type() {
        DataType::Null => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// The columns of a question about catalogs: a list of four-byte integers is
/// one of numbers of objects there.
pub(super) fn with_oids(columns: &Schema) -> Schema {
    let fields = columns.fields().iter().map(|field| match field.data_type() {
        DataType::List(inner) if *inner.data_type() == DataType::Int32 => {
            let oid = [(PG_OID_ALIAS_KEY.to_owned(), "oid".to_owned())];
            let inner = inner.as_ref().clone().with_metadata(oid.into());
            let list = DataType::List(Arc::new(inner));
            Arc::new(field.as_ref().clone().with_data_type(list))
        }
        _ => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// The Arrow type that values of a parameter of this type have.
pub(super) fn arrow_type(kind: &Type) -> Option<DataType> {
    use arrow::datatypes::TimeUnit::Microsecond;
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 | Type::OID => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP => DataType::Timestamp(Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(Microsecond, Some("UTC".into())),
        Type::TIME => DataType::Time64(Microsecond),
        Type::BYTEA => DataType::Binary,
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::UUID
        | Type::JSON
        | Type::JSONB
        | Type::CHAR => DataType::Utf8,
        _ => return None,
    })
}

/// The element type of an array type.
pub(super) fn element_type(kind: &Type) -> Option<Type> {
    Some(match *kind {
        Type::BOOL_ARRAY => Type::BOOL,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::OID_ARRAY => Type::OID,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::NAME_ARRAY | Type::BPCHAR_ARRAY => {
            Type::TEXT
        }
        _ => return None,
    })
}

/// A type by the name that a statement gives it; of arrays those with one
/// dimension, so that no name asks for more work than it has letters.
pub(super) fn type_by_name(name: &str) -> Option<Type> {
    match name.strip_suffix("[]") {
        Some(element) => array_of(&plain_type_by_name(element)?),
        None => plain_type_by_name(name),
    }
}

fn plain_type_by_name(name: &str) -> Option<Type> {
    Some(match name {
        "bool" | "boolean" => Type::BOOL,
        "smallint" | "int2" => Type::INT2,
        "int" | "integer" | "int4" => Type::INT4,
        "bigint" | "int8" => Type::INT8,
        "real" | "float4" => Type::FLOAT4,
        "float" | "float8" | "double precision" => Type::FLOAT8,
        "numeric" | "decimal" => Type::NUMERIC,
        "date" => Type::DATE,
        "timestamp" | "timestamp without time zone" => Type::TIMESTAMP,
        "timestamptz" | "timestamp with time zone" => Type::TIMESTAMPTZ,
        "text" | "varchar" | "character varying" | "char" | "character" | "name" | "unknown" => {
            Type::TEXT
        }
        "uuid" => Type::UUID,
        "json" => Type::JSON,
        "jsonb" => Type::JSONB,
        "bytea" => Type::BYTEA,
        "oid" => Type::OID,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(data_type: DataType) -> u32 {
        pg_type(&Arc::new(Field::new("x", data_type, true))).oid()
    }

    #[test]
    fn a_type_is_named_with_one_pair_of_brackets_at_most() {
        assert_eq!(type_by_name("int4[]"), Some(Type::INT4_ARRAY));
        for pairs in [2, 1_000_000] {
            assert_eq!(type_by_name(&format!("int4{}", "[]".repeat(pairs))), None, "{pairs}");
        }
    }

    #[test]
    fn a_column_has_the_type_that_clients_expect_of_it() {
        assert_eq!(oid(DataType::Decimal128(18, 12)), Type::NUMERIC.oid());
        assert_eq!(oid(DataType::Decimal256(60, 24)), Type::NUMERIC.oid());
        assert_eq!(oid(DataType::UInt64), Type::INT8.oid());
        assert_eq!(oid(DataType::Int8), Type::INT2.oid());
        assert_eq!(oid(DataType::Null), Type::TEXT.oid());
        let words = DataType::new_list(DataType::Utf8, true);
        assert_eq!(oid(words.clone()), Type::TEXT_ARRAY.oid());
        // Arrays of arrays are JSON.
        assert_eq!(oid(DataType::new_list(words, true)), Type::TEXT.oid());
        assert_eq!(oid(DataType::Struct(Vec::<Field>::new().into())), Type::TEXT.oid());
    }

    #[test]
    fn a_numeric_column_says_its_precision_and_scale() {
        assert_eq!(modifier(&DataType::Decimal128(18, 12)), (18 << 16) + 12 + 4);
        assert_eq!(modifier(&DataType::Utf8), -1);
    }

    #[test]
    fn types_are_known_by_the_names_of_sql() {
        assert_eq!(type_by_name("double precision"), Some(Type::FLOAT8));
        assert_eq!(type_by_name("bigint[]"), Some(Type::INT8_ARRAY));
        assert_eq!(type_by_name("text[]"), Some(Type::TEXT_ARRAY));
        assert_eq!(type_by_name("oid[]"), Some(Type::OID_ARRAY));
        assert_eq!(type_by_name("polygon"), None);
    }

    #[test]
    fn lists_of_numbers_of_objects_are_known_as_such() {
        let list = Field::new("x", DataType::new_list(DataType::Int32, true), true);
        let plain = Schema::new(vec![list]);
        assert_eq!(pg_type(&plain.fields()[0]), Type::INT4_ARRAY);
        assert_eq!(pg_type(&with_oids(&plain).fields()[0]), Type::OID_ARRAY);
    }
}
