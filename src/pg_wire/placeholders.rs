//! What a statement itself says of its parameters' types, where the engine
//! looks no further than at the place of each.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Select, SelectItem, Statement, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use pgwire::api::Type;

use super::lex::{Lexer, Token, is_too_deep};
use super::types::type_by_name;

/// How deep a statement may nest to be looked at.
const NESTING_MAX: usize = 50;

/// What was found in a statement.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// The type of a parameter, by its number, from the cast around it.
    types: BTreeMap<usize, Type>,
    /// The statement with the casts that the engine needs.
    pub(super) text: Option<String>,
}

impl Hints {
    /// Of the parameter at this position, counted from 0.
    pub(super) fn of(&self, position: usize) -> Option<Type> {
        self.types.get(&(position + 1)).cloned()
    }
}

/// Looks at `text`, whose client says the types `said`.
pub(super) fn hints(text: &str, said: &[Option<Type>]) -> Hints {
    let mut finder = Finder { said, hints: Hints::default(), is_changed: false };
    let has_parameters = Lexer::new(text).any(|token| matches!(token, Token::Parameter(_)));
    if let Some(mut statement) = has_parameters.then(|| parse(text)).flatten() {
        let _ = statement.visit(&mut finder);
        if finder.is_changed {
            finder.hints.text = Some(statement.to_string());
        }
    }
    finder.hints
}

fn parse(text: &str) -> Option<Statement> {
    if is_too_deep(text) {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX);
    let mut statements = parser.try_with_sql(text).ok()?.parse_statements().ok()?;
    statements.pop().filter(|_| statements.is_empty())
}

fn expression(text: &str) -> Option<Expr> {
    let dialect = PostgreSqlDialect {};
    Parser::new(&dialect).try_with_sql(text).ok()?.parse_expr().ok()
}

struct Finder<'a> {
    said: &'a [Option<Type>],
    hints: Hints,
    is_changed: bool,
}

impl VisitorMut for Finder<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.be_what_is_said(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Cast { expr, data_type, .. } => {
                let name = data_type.to_string().to_lowercase();
                let name = name.split('(').next().unwrap_or_default().trim().to_owned();
                if let (Some(number), Some(kind)) = (number_of(expr), type_by_name(&name)) {
                    self.hints.types.entry(number).or_insert(kind);
                }
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Some(number) = number_of(right) {
                    self.be_array(number, right);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    fn said_of(&self, number: usize) -> Option<Type> {
        number.checked_sub(1).and_then(|at| self.said.get(at).cloned().flatten())
    }

    /// A selected `$1` is a column of the type that the client says; the engine
    /// describes it before there is a value, and would call it a text.
    fn be_what_is_said(&mut self, selected: &mut Expr) {
        let Some(number) = number_of(selected) else { return };
        let name = match self.said_of(number) {
            Some(Type::BOOL) => "BOOLEAN",
            Some(Type::INT2) => "SMALLINT",
            Some(Type::INT4) => "INT",
            Some(Type::INT8) => "BIGINT",
            Some(Type::FLOAT4) => "REAL",
            Some(Type::FLOAT8) => "DOUBLE",
            Some(Type::NUMERIC) => "NUMERIC(38, 18)",
            Some(Type::DATE) => "DATE",
            Some(Type::TIMESTAMP) => "TIMESTAMP",
            Some(Type::TIMESTAMPTZ) => "TIMESTAMP WITH TIME ZONE",
            _ => return,
        };
        if let Some(cast) = expression(&format!("${number}::{name}")) {
            self.is_changed = true;
            *selected = cast;
        }
    }

    /// `= ANY($1)` takes an array, which the engine does not guess.
    fn be_array(&mut self, number: usize, right: &mut Expr) {
        let (kind, name) = match self.said_of(number) {
            Some(Type::INT2_ARRAY) => (Type::INT2_ARRAY, "SMALLINT[]"),
            Some(Type::INT4_ARRAY) => (Type::INT4_ARRAY, "INT[]"),
            Some(Type::INT8_ARRAY) => (Type::INT8_ARRAY, "BIGINT[]"),
            Some(Type::DATE_ARRAY) => (Type::DATE_ARRAY, "DATE[]"),
            Some(Type::FLOAT8_ARRAY) => (Type::FLOAT8_ARRAY, "DOUBLE[]"),
            _ => (Type::TEXT_ARRAY, "TEXT[]"),
        };
        if let Some(cast) = expression(&format!("${number}::{name}")) {
            self.hints.types.insert(number, kind);
            self.is_changed = true;
            *right = cast;
        }
    }
}

/// The number of a parameter that stands alone.
fn number_of(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Nested(inner) => number_of(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_says_what_its_parameter_is() {
        let text = "SELECT $1::bigint, CAST($2 AS numeric(10, 2)), $3::text[], $4 FROM t";
        let found = hints(text, &[]);
        assert_eq!(found.text, None);
        let expected = [Some(Type::INT8), Some(Type::NUMERIC), Some(Type::TEXT_ARRAY), None];
        assert_eq!([0, 1, 2, 3].map(|at| found.of(at)), expected);
    }

    #[test]
    fn any_of_a_parameter_is_any_of_an_array() {
        let found = hints("SELECT 1 FROM t WHERE a = ANY($1)", &[]);
        assert_eq!(found.of(0), Some(Type::TEXT_ARRAY));
        assert_eq!(found.text.as_deref(), Some("SELECT 1 FROM t WHERE a = ANY($1::TEXT[])"));
        let found = hints("SELECT 1 FROM t WHERE a = ANY(($1))", &[Some(Type::INT8_ARRAY)]);
        assert!(found.text.is_some_and(|text| text.contains("$1::BIGINT[]")));
        assert_eq!(hints("SELECT 'any($1)' FROM t", &[]).text, None);
    }

    #[test]
    fn a_selected_parameter_is_a_column_of_its_type() {
        let said = [Some(Type::NUMERIC), Some(Type::TEXT), None];
        let found = hints("SELECT $1, $2, $3, $1 AS a FROM t WHERE b = $1", &said);
        let expected =
            "SELECT $1::NUMERIC(38,18), $2, $3, $1::NUMERIC(38,18) AS a FROM t WHERE b = $1";
        assert_eq!(found.text.as_deref(), Some(expected));
    }
}
