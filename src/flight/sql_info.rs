//! What this server can do, and the types of its columns, as Flight SQL
//! numbers them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
};

use crate::error::{Context, Result};

/// Both tables, which never change.
pub(super) struct ServerFacts {
    info: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl ServerFacts {
    pub(super) fn new() -> Result<Self> {
        let doing = "stating what the Flight SQL server can do";
        Ok(Self { info: info().internal(doing)?, types: types().internal(doing)? })
    }

    pub(super) fn info_schema(&self) -> SchemaRef {
        self.info.schema()
    }

    pub(super) fn info(&self, asked: CommandGetSqlInfo) -> Result<RecordBatch, FlightError> {
        self.info.record_batch(asked.info)
    }

    pub(super) fn types_schema(&self) -> SchemaRef {
        self.types.schema()
    }

    pub(super) fn types(&self, asked: CommandGetXdbcTypeInfo) -> Result<RecordBatch, FlightError> {
        self.types.record_batch(asked.data_type)
    }
}

impl std::fmt::Debug for ServerFacts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerFacts").finish_non_exhaustive()
    }
}

fn info() -> Result<SqlInfoData, FlightError> {
    let mut facts = SqlInfoDataBuilder::new();
    facts.append(SqlInfo::FlightSqlServerName, "Spendlake");
    facts.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    facts.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    facts.append(SqlInfo::FlightSqlServerReadOnly, true);
    facts.append(SqlInfo::FlightSqlServerSql, true);
    facts.append(SqlInfo::FlightSqlServerSubstrait, false);
    let no_transactions = SqlSupportedTransaction::None as i32;
    facts.append(SqlInfo::FlightSqlServerTransaction, no_transactions);
    facts.append(SqlInfo::FlightSqlServerCancel, true);
    facts.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    facts.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    // Milliseconds; 0 says that clients set none.
    facts.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    facts.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
    facts.append(SqlInfo::SqlDdlCatalog, false);
    facts.append(SqlInfo::SqlDdlSchema, false);
    facts.append(SqlInfo::SqlDdlTable, false);
    let lowercase = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    facts.append(SqlInfo::SqlIdentifierCase, lowercase);
    facts.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
    facts.append(SqlInfo::SqlQuotedIdentifierCase, exact);
    facts.append(SqlInfo::SqlAllTablesAreSelectable, true);
    facts.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    facts.append(SqlInfo::SqlSchemaTerm, "schema");
    facts.append(SqlInfo::SqlCatalogTerm, "catalog");
    facts.append(SqlInfo::SqlCatalogAtStart, true);
    facts.build()
}

fn types() -> Result<XdbcTypeInfoData, FlightError> {
    use XdbcDataType as Type;
    let mut types = XdbcTypeInfoDataBuilder::new();
    // Name, type, digits or bytes at most (where there is such a bound), quoted.
    for (name, data_type, size, quoted) in [
        ("boolean", Type::XdbcBit, Some(1), false),
        ("bigint", Type::XdbcBigint, Some(19), false),
        ("varbinary", Type::XdbcVarbinary, None, true),
        ("varchar", Type::XdbcVarchar, None, true),
        ("decimal", Type::XdbcDecimal, Some(38), false),
        ("integer", Type::XdbcInteger, Some(10), false),
        ("smallint", Type::XdbcSmallint, Some(5), false),
        ("double", Type::XdbcDouble, Some(15), false),
        ("date", Type::XdbcDate, Some(10), true),
        ("timestamp", Type::XdbcTimestamp, Some(26), true),
    ] {
        let quote = quoted.then(|| "'".to_owned());
        let exact = matches!(data_type, Type::XdbcDecimal);
        let number = matches!(
            data_type,
            Type::XdbcBigint
                | Type::XdbcDecimal
                | Type::XdbcInteger
                | Type::XdbcSmallint
                | Type::XdbcDouble
        );
        types.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type,
            column_size: size,
            literal_prefix: quote.clone(),
            literal_suffix: quote,
            create_params: exact.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: matches!(data_type, Type::XdbcVarchar),
            searchable: Searchable::Full,
            unsigned_attribute: number.then_some(false),
            auto_increment: number.then_some(false),
            minimum_scale: exact.then_some(0),
            maximum_scale: exact.then_some(38),
            sql_data_type: data_type,
            num_prec_radix: number.then_some(10),
            ..XdbcTypeInfo::default()
        });
    }
    types.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_asks_for_single_facts_or_all() {
        let facts = ServerFacts::new().expect("facts");
        let asked = vec![SqlInfo::FlightSqlServerReadOnly as u32];
        let one = facts.info(CommandGetSqlInfo { info: asked }).expect("a batch");
        assert_eq!(one.num_rows(), 1);
        let all = facts.info(CommandGetSqlInfo { info: vec![] }).expect("a batch");
        assert!(all.num_rows() > 20, "{}", all.num_rows());
        assert_eq!(all.schema(), facts.info_schema());
    }

    #[test]
    fn a_client_asks_for_one_type_or_all() {
        let facts = ServerFacts::new().expect("facts");
        let decimal = Some(XdbcDataType::XdbcDecimal as i32);
        let one = facts.types(CommandGetXdbcTypeInfo { data_type: decimal }).expect("a batch");
        assert_eq!(one.num_rows(), 1);
        let all = facts.types(CommandGetXdbcTypeInfo { data_type: None }).expect("a batch");
        assert_eq!((all.num_rows(), all.schema()), (10, facts.types_schema()));
    }
}
