//! The names of columns that a statement gives none: PostgreSQL's, which
//! clients rely on (`count`, `?column?`), not those of the engine's plan.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{DataType, Expr, Query, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::lex::is_too_deep;

/// How deep a statement may nest to be looked at.
const NESTING_MAX: usize = 50;

/// `columns` under the names that PostgreSQL would give those without one.
pub(super) fn renamed(columns: SchemaRef, text: &str) -> SchemaRef {
    let Some(items) = items(text) else { return columns };
    let names = names(&items, columns.fields().len());
    if names.iter().all(Option::is_none) {
        return columns;
    }
    let fields = columns.fields().iter().zip(names);
    let fields = fields.map(|(field, name)| match name {
        Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The names of the columns of a statement; `None` where they are not all in
/// its text.
pub(super) fn listed(text: &str) -> Option<Vec<String>> {
    let names = items(text)?.into_iter().map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value),
        SelectItem::UnnamedExpr(expression) => {
            Some(figured(&expression).unwrap_or_else(|| "?column?".to_owned()))
        }
        _ => None,
    });
    names.collect()
}

/// What the statement selects.
fn items(text: &str) -> Option<Vec<SelectItem>> {
    if is_too_deep(text) {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX);
    let mut statements = parser.try_with_sql(text).ok()?.parse_statements().ok()?;
    match statements.pop()? {
        Statement::Query(query) => items_of(*query),
        _ => None,
    }
}

fn items_of(query: Query) -> Option<Vec<SelectItem>> {
    let mut body = *query.body;
    loop {
        // The first of several decides.
        body = match body {
            SetExpr::Select(select) => return Some(select.projection),
            SetExpr::SetOperation { left, .. } => *left,
            SetExpr::Query(query) => *query.body,
            _ => return None,
        };
    }
}

/// The name of each of `count` columns; `None` where the engine's is right. A
/// wildcard stands for the columns that the others leave.
fn names(items: &[SelectItem], count: usize) -> Vec<Option<String>> {
    let wildcards = items.iter().filter(|item| is_wildcard(item)).count();
    let named = items.len() - wildcards;
    let Some(left) = count.checked_sub(named) else { return vec![None; count] };
    if wildcards > 1 || (wildcards == 0 && left > 0) {
        return vec![None; count];
    }
    let mut names = Vec::with_capacity(count);
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expression) => names.push(name_of(expression)),
            item if is_wildcard(item) => names.extend(vec![None; left]),
            _ => names.push(None),
        }
    }
    names
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// `FigureColname` of PostgreSQL; `None` for a column's own name.
fn name_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => None,
        other => Some(figured(other).unwrap_or_else(|| "?column?".to_owned())),
    }
}

fn figured(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(name) => Some(folded(&name.value, name.quote_style.is_some())),
        Expr::CompoundIdentifier(names) => {
            names.last().map(|name| folded(&name.value, name.quote_style.is_some()))
        }
        Expr::Function(function) => {
            let name = function.name.0.last()?.as_ident()?;
            Some(folded(&name.value, name.quote_style.is_some()))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figured(inner),
        Expr::Cast { expr, data_type, .. } => figured(expr).or_else(|| Some(type_name(data_type))),
        Expr::Case { else_result, .. } => {
            let inner = else_result.as_ref().and_then(|inner| figured(inner));
            inner.or_else(|| Some("case".to_owned()))
        }
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type)),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Subquery(query) => match items_of(query.as_ref().clone())?.first()? {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            SelectItem::UnnamedExpr(inner) => figured(inner),
            _ => None,
        },
        _ => None,
    }
}

fn folded(name: &str, is_quoted: bool) -> String {
    if is_quoted { name.to_owned() } else { name.to_lowercase() }
}

/// As `pg_type` has it.
fn type_name(data_type: &DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    let name = text.split('(').next().unwrap_or_default().trim();
    let name = name.rsplit('.').next().unwrap_or_default();
    match name {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "real" => "float4",
        "double precision" | "double" | "float" => "float8",
        "boolean" => "bool",
        "decimal" | "dec" => "numeric",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn of(text: &str, engine: &[&str]) -> Vec<String> {
        let fields =
            engine.iter().map(|name| Field::new(*name, arrow::datatypes::DataType::Utf8, true));
        let columns = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        renamed(columns, text).fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn columns_without_a_name_have_the_one_that_postgresql_gives() {
        let text = "SELECT count(*), SUM(x) + 1, 1, 'a'::text, x::int, CASE WHEN true THEN 1 END, \
                    coalesce(x, 1), (SELECT max(y) FROM t), ARRAY[1], extract(year FROM d) FROM t";
        let plan = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let expected = [
            "count", "?column?", "?column?", "text", "x", "case", "coalesce", "max", "array",
            "extract",
        ];
        assert_eq!(of(text, &plan), expected);
    }

    #[test]
    fn names_that_the_statement_gives_stay() {
        let text = "SELECT x AS \"count(*)\", t.y, *, count(*) OVER () FROM t";
        let plan = ["count(*)", "y", "a", "b", "count(*) ROWS"];
        assert_eq!(of(text, &plan), ["count(*)", "y", "a", "b", "count"]);
        assert_eq!(of("SELECT *, 1, * FROM t", &["a", "b", "c"]), ["a", "b", "c"]);
        assert_eq!(of("VALUES (1)", &["column1"]), ["column1"]);
        assert_eq!(of("SELECT 1 UNION SELECT x FROM t", &["Int64(1)"]), ["?column?"]);
        assert_eq!(of("SHOW TABLES", &["table_name"]), ["table_name"]);
    }
}
