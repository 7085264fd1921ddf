//! Commands that ask what there is: catalogs, schemas, tables, keys, types.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};
use tonic::Status;

use super::sql_info::ServerFacts;
use crate::engine::{CATALOG, NamedTable, SCHEMA};

/// What Flight SQL calls a table, and what it calls a view.
const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

/// The columns of the answer to `command`; `None` where it is of another kind.
pub(super) fn schema_of(command: &Command, facts: &ServerFacts) -> Option<SchemaRef> {
    Some(match command.clone() {
        Command::CommandGetCatalogs(asked) => asked.into_builder().schema(),
        Command::CommandGetDbSchemas(asked) => asked.into_builder().schema(),
        Command::CommandGetTables(asked) => asked.into_builder().schema(),
        Command::CommandGetTableTypes(asked) => asked.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => facts.info_schema(),
        Command::CommandGetXdbcTypeInfo(_) => facts.types_schema(),
        Command::CommandGetPrimaryKeys(_) => primary_keys(),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => foreign_keys(),
        _ => return None,
    })
}

/// Whether the answer to `command` needs the tables.
pub(super) fn needs_tables(command: &Command) -> bool {
    matches!(command, Command::CommandGetTables(_))
}

/// The answer to `command`, whose columns are [`schema_of`] it. `tables` are
/// what the caller may name.
pub(super) fn answer(
    command: Command,
    facts: &ServerFacts,
    tables: &[NamedTable],
) -> Result<RecordBatch, Status> {
    let schema = schema_of(&command, facts);
    let answered = match command {
        Command::CommandGetCatalogs(asked) => catalogs(asked),
        Command::CommandGetDbSchemas(asked) => schemas(asked),
        Command::CommandGetTables(asked) => tables_of(asked, tables),
        Command::CommandGetTableTypes(asked) => table_types(asked),
        Command::CommandGetSqlInfo(asked) => facts.info(asked),
        Command::CommandGetXdbcTypeInfo(asked) => facts.types(asked),
        // No table declares a key.
        other => match schema {
            Some(schema) => Ok(RecordBatch::new_empty(schema)),
            None => {
                let kind = other.type_url().to_owned();
                return Err(Status::unimplemented(format!("{kind} is not answered here")));
            }
        },
    };
    answered.map_err(Status::from)
}

fn catalogs(asked: CommandGetCatalogs) -> Result<RecordBatch, FlightError> {
    let mut rows = asked.into_builder();
    rows.append(CATALOG);
    rows.build()
}

fn schemas(asked: CommandGetDbSchemas) -> Result<RecordBatch, FlightError> {
    let mut rows = asked.into_builder();
    rows.append(CATALOG, SCHEMA);
    rows.build()
}

fn tables_of(asked: CommandGetTables, tables: &[NamedTable]) -> Result<RecordBatch, FlightError> {
    let mut rows = asked.into_builder();
    for table in tables {
        let kind = if table.is_view { VIEW } else { TABLE };
        rows.append(CATALOG, SCHEMA, &table.name, kind, &table.schema)?;
    }
    rows.build()
}

fn table_types(asked: CommandGetTableTypes) -> Result<RecordBatch, FlightError> {
    let mut rows = asked.into_builder();
    rows.append(TABLE);
    rows.append(VIEW);
    rows.build()
}

/// The columns of CommandGetPrimaryKeys, as FlightSql.proto lists them.
fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// The columns of CommandGetExportedKeys, CommandGetImportedKeys and
/// CommandGetCrossReference, as FlightSql.proto lists them.
fn foreign_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow_flight::sql::{
        CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys,
        CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetXdbcTypeInfo, CommandStatementQuery,
    };

    fn tables() -> Vec<NamedTable> {
        let columns = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let table = |name: &str, is_view| NamedTable {
            name: name.to_owned(),
            is_view,
            schema: Arc::clone(&columns),
        };
        vec![table("usage_events", false), table("usage_daily", true), table("users", false)]
    }

    fn names(asked: CommandGetTables) -> Vec<String> {
        let facts = ServerFacts::new().expect("facts");
        let rows = answer(Command::CommandGetTables(asked), &facts, &tables()).expect("rows");
        rows.column(2).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
    }

    #[test]
    fn tables_are_filtered_by_pattern_and_type() {
        assert_eq!(names(CommandGetTables::default()), ["usage_daily", "usage_events", "users"]);
        let pattern = Some("usage%".to_owned());
        let asked = CommandGetTables {
            table_name_filter_pattern: pattern,
            table_types: vec!["VIEW".to_owned()],
            ..Default::default()
        };
        assert_eq!(names(asked), ["usage_daily"]);
        let asked = CommandGetTables {
            db_schema_filter_pattern: Some("private".to_owned()),
            ..Default::default()
        };
        assert!(names(asked).is_empty());
    }

    #[test]
    fn every_answer_has_the_columns_that_were_promised() {
        let facts = ServerFacts::new().expect("facts");
        let commands = [
            Command::CommandGetCatalogs(CommandGetCatalogs {}),
            Command::CommandGetDbSchemas(CommandGetDbSchemas::default()),
            Command::CommandGetTables(CommandGetTables::default()),
            Command::CommandGetTables(CommandGetTables {
                include_schema: true,
                ..Default::default()
            }),
            Command::CommandGetTableTypes(CommandGetTableTypes {}),
            Command::CommandGetSqlInfo(CommandGetSqlInfo::default()),
            Command::CommandGetXdbcTypeInfo(CommandGetXdbcTypeInfo::default()),
            Command::CommandGetPrimaryKeys(CommandGetPrimaryKeys::default()),
            Command::CommandGetExportedKeys(CommandGetExportedKeys::default()),
            Command::CommandGetImportedKeys(CommandGetImportedKeys::default()),
            Command::CommandGetCrossReference(CommandGetCrossReference::default()),
        ];
        for command in commands {
            let promised = schema_of(&command, &facts).expect("a schema");
            let rows = answer(command.clone(), &facts, &tables()).expect("rows");
            assert_eq!(rows.schema(), promised, "{command:?}");
        }
        let other = Command::CommandStatementQuery(CommandStatementQuery::default());
        assert!(schema_of(&other, &facts).is_none());
    }
}
