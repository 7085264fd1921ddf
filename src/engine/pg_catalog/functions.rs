//! PostgreSQL's functions about its catalogs. Most have one answer here:
//! nothing has an owner, an index, a comment or a size of its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog::{
    PgCatalogStaticTables, array_bounds_udf, create_current_database_udf,
    create_current_schema_udf, create_current_schemas_udf, create_pg_encoding_to_char_udf,
    format_type, pg_get_expr_udf, quote_ident_udf,
};

use super::super::catalog::CATALOG;

/// What a function answers, whatever it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Always {
    /// A text that is not known.
    NoText,
    Text(&'static str),
    Yes,
    No,
    /// An integer of four bytes that is not known.
    NoNumber,
    Number(i64),
    /// A pair of `x` and `n` that is not known.
    NoPair,
}

use Always::{No, NoNumber, NoPair, NoText, Number, Text, Yes};

/// Functions with one answer.
const CONSTANTS: &[(&str, Always)] = &[
    ("_pg_expandarray", NoPair),
    ("col_description", NoText),
    ("has_any_column_privilege", Yes),
    ("has_column_privilege", Yes),
    ("has_database_privilege", Yes),
    ("has_function_privilege", Yes),
    ("has_schema_privilege", Yes),
    ("has_sequence_privilege", No),
    ("has_table_privilege", Yes),
    ("has_tablespace_privilege", Yes),
    ("has_type_privilege", Yes),
    ("inet_client_addr", NoText),
    ("inet_server_addr", NoText),
    ("json_build_object", NoText),
    ("obj_description", NoText),
    ("pg_advisory_unlock_all", NoText),
    ("pg_collation_is_visible", Yes),
    ("pg_database_size", Number(0)),
    ("pg_function_is_visible", Yes),
    ("pg_get_constraintdef", NoText),
    ("pg_get_function_arguments", NoText),
    ("pg_get_function_identity_arguments", NoText),
    ("pg_get_function_result", NoText),
    ("pg_get_functiondef", NoText),
    ("pg_get_function_sqlbody", NoText),
    ("pg_get_indexdef", NoText),
    ("pg_get_partkeydef", NoText),
    ("pg_get_ruledef", NoText),
    ("pg_get_serial_sequence", NoText),
    ("pg_get_statisticsobjdef_columns", NoText),
    ("pg_get_triggerdef", NoText),
    ("pg_get_userbyid", Text("spendlake")),
    ("pg_get_viewdef", NoText),
    ("pg_has_role", Yes),
    ("pg_indexes_size", Number(0)),
    ("pg_is_in_recovery", No),
    ("pg_is_other_temp_schema", No),
    ("pg_my_temp_schema", NoNumber),
    ("pg_opclass_is_visible", Yes),
    ("pg_operator_is_visible", Yes),
    ("pg_partition_ancestors", NoText),
    ("pg_relation_is_publishable", No),
    ("pg_relation_size", Number(0)),
    ("pg_sequence_last_value", NoNumber),
    ("pg_size_pretty", Text("0 bytes")),
    ("pg_stat_get_numscans", Number(0)),
    ("pg_table_is_visible", Yes),
    ("pg_table_size", Number(0)),
    ("pg_tablespace_location", NoText),
    ("pg_total_relation_size", Number(0)),
    ("pg_type_is_visible", Yes),
    ("row_security_active", No),
    ("shobj_description", NoText),
    ("to_regclass", NoNumber),
    ("to_regnamespace", NoNumber),
    ("to_regproc", NoNumber),
    ("to_regrole", NoNumber),
    ("to_regtype", NoNumber),
    ("txid_current", Number(1)),
];

/// Makes the functions known to a session.
pub(super) fn register(context: &SessionContext, built_in: &PgCatalogStaticTables) {
    for (name, answer) in CONSTANTS {
        context.register_udf(ScalarUDF::new_from_impl(Constant::new(name, *answer)));
    }
    context.register_udf(create_current_database_udf(CATALOG));
    context.register_udf(create_current_schema_udf());
    context.register_udf(create_current_schemas_udf());
    context.register_udf(create_pg_encoding_to_char_udf());
    context.register_udf(format_type::create_format_type_udf());
    context.register_udf(pg_get_expr_udf::create_pg_get_expr_udf());
    context.register_udf(quote_ident_udf::create_quote_ident_udf());
    context.register_udf(quote_ident_udf::create_parse_ident_udf());
    context.register_udf(array_bounds_udf::create_array_upper_udf());
    context.register_udf(array_bounds_udf::create_array_lower_udf());
    context.register_udtf("pg_get_keywords", Arc::clone(&built_in.pg_get_keywords) as _);
}

/// A function with one answer.
#[derive(Debug)]
struct Constant {
    name: &'static str,
    answer: Always,
    signature: Signature,
}

impl Constant {
    fn new(name: &'static str, answer: Always) -> Self {
        let any = TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
        Self { name, answer, signature: Signature::new(any, Volatility::Immutable) }
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.answer) == (other.name, other.answer)
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.answer).hash(state);
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.answer {
            NoText | Text(_) => DataType::Utf8,
            Yes | No => DataType::Boolean,
            NoNumber => DataType::Int32,
            Number(_) => DataType::Int64,
            NoPair => pair(),
        })
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = match self.answer {
            NoText => ScalarValue::Utf8(None),
            Text(text) => ScalarValue::Utf8(Some(text.to_owned())),
            Yes => ScalarValue::Boolean(Some(true)),
            No => ScalarValue::Boolean(Some(false)),
            NoNumber => ScalarValue::Int32(None),
            Number(number) => ScalarValue::Int64(Some(number)),
            NoPair => ScalarValue::try_from(&pair())?,
        };
        Ok(ColumnarValue::Scalar(value))
    }
}

/// An element of an array, and its place.
fn pair() -> DataType {
    let fields = [("x", DataType::Int16), ("n", DataType::Int32)];
    DataType::Struct(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec().into())
}
