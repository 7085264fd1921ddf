//! Questions that clients ask of PostgreSQL's catalogs, in words that the
//! engine understands. Statements over our own tables are never reworded.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query,
    SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut, visit_relations,
    visit_relations_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::column_names::listed;
use super::lex::{Lexer, Token, is_too_deep};
use super::rewording::{by_subscript, escape_by_backslash, forget_subquery, is_null};
use super::settings::Settings;

/// How deep a question may nest; what nests deeper goes to the engine, which
/// says so.
const NESTING_MAX: usize = 50;

/// Words that only questions about the server itself have.
const WORDS: [&str; 24] = [
    "information_schema",
    "current_schema",
    "current_schemas",
    "current_database",
    "current_catalog",
    "current_user",
    "current_role",
    "session_user",
    "user",
    "version",
    "current_setting",
    "set_config",
    "regclass",
    "regtype",
    "regproc",
    "regprocedure",
    "regnamespace",
    "regrole",
    "to_regclass",
    "to_regtype",
    "format_type",
    "obj_description",
    "col_description",
    "shobj_description",
];

/// What the connection knows of itself.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) user: &'a str,
    pub(super) process_id: i32,
    pub(super) settings: &'a Settings,
}

/// A question in the engine's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) text: String,
    /// What `set_config` sets: name, value, and whether for the transaction only.
    pub(super) sets: Vec<(String, String, bool)>,
    /// Whether no table of ours is read.
    pub(super) is_about_catalogs: bool,
    /// The answer without rows, for a question about something of which there
    /// is nothing here (keys, indexes), should the engine not understand it.
    pub(super) nothing: Option<String>,
}

/// Rewords questions about catalogs.
#[derive(Debug)]
pub(super) struct Questions {
    parser: PostgresCompatibilityParser,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self { parser: PostgresCompatibilityParser::new() }
    }

    /// The question for the engine, where `text` is one about catalogs or the
    /// connection; otherwise `None`, and the engine is asked `text` itself.
    pub(super) fn translate(&self, text: &str, facts: &Facts<'_>) -> Option<Question> {
        if !mentions_catalogs(text) || is_too_deep(text) {
            return None;
        }
        // JDBC asks so whether a type is an array; the catalog has the names of
        // functions there, and not their numbers.
        let text = &text.replace("'pg_catalog.array_in'::regproc", "'array_in'");
        let mut statement = parse(text)?;
        let is_about_catalogs = is_about_catalogs(&statement);
        let nothing =
            (is_about_catalogs && is_about_nothing(&statement)).then(|| without_rows(text));
        if is_about_catalogs
            && let Ok(mut reworded) = self.parser.parse(text)
            && reworded.len() == 1
        {
            statement = reworded.remove(0);
        }
        let _ = visit_relations_mut(&mut statement, |name: &mut ObjectName| {
            point_to_catalogs(name);
            ControlFlow::<()>::Continue(())
        });
        let mut known = Known { facts, sets: Vec::new(), is_about_catalogs };
        let _ = statement.visit(&mut known);
        let (text, nothing) = (statement.to_string(), nothing.flatten());
        Some(Question { text, sets: known.sets, is_about_catalogs, nothing })
    }
}

fn mentions_catalogs(text: &str) -> bool {
    Lexer::new(text).any(|token| match &token {
        Token::Word(word) | Token::Quoted(word) => {
            word.starts_with("pg_") || word.starts_with("has_") || WORDS.contains(&word.as_str())
        }
        _ => false,
    })
}

fn parse(text: &str) -> Option<Statement> {
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX);
    let mut statements = parser.try_with_sql(text).ok()?.parse_statements().ok()?;
    statements.pop().filter(|_| statements.is_empty())
}

/// Whether no table of ours is read.
fn is_about_catalogs(statement: &Statement) -> bool {
    let mut names = Names::default();
    let mut copy = statement.clone();
    let _ = copy.visit(&mut names);
    let all = visit_relations(statement, |name: &ObjectName| {
        let parts: Vec<String> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| ident.value.to_ascii_lowercase())
            .collect();
        let known = match parts.as_slice() {
            [.., schema, _] => ["pg_catalog", "information_schema"].contains(&schema.as_str()),
            [name] => {
                names.0.contains(name)
                    || PG_CATALOG_TABLES.contains(&name.as_str())
                    || is_function(name)
            }
            [] => true,
        };
        if known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    all.is_continue()
}

/// Whether a catalog is read that lists what no table here has.
fn is_about_nothing(statement: &Statement) -> bool {
    const EMPTY: [&str; 7] = [
        "pg_constraint",
        "pg_index",
        "pg_inherits",
        "pg_policy",
        "pg_rewrite",
        "pg_statistic_ext",
        "pg_trigger",
    ];
    let found = visit_relations(statement, |name: &ObjectName| {
        let last = name.0.last().and_then(|part| part.as_ident());
        let is_empty = last.is_some_and(|last| EMPTY.contains(&last.value.as_str()));
        if is_empty { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.is_break()
}

/// A question with the same columns that has no rows.
fn without_rows(text: &str) -> Option<String> {
    let columns = listed(text)?.into_iter();
    // Names twice the same are told apart: the client goes by their places.
    let columns = columns.enumerate().map(|(at, name)| {
        let name = Ident::with_quote('"', format!("{name}{}", " ".repeat(at)));
        format!("CAST(NULL AS TEXT) AS {name}")
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    Some(["SELECT ", &columns, " WHERE false"].concat())
}

/// `information_schema.columns` is `pg_catalog.information_schema_columns`:
/// the engine's own has its own names of types.
fn point_to_catalogs(name: &mut ObjectName) {
    const VIEWS: [&str; 8] = [
        "columns",
        "constraint_column_usage",
        "key_column_usage",
        "referential_constraints",
        "schemata",
        "table_constraints",
        "tables",
        "views",
    ];
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    let [.., schema, view] = parts.as_slice() else { return };
    let view = view.value.to_ascii_lowercase();
    if schema.value.eq_ignore_ascii_case("information_schema") && VIEWS.contains(&view.as_str()) {
        let parts = ["pg_catalog".to_owned(), format!("information_schema_{view}")];
        *name = ObjectName::from(parts.map(Ident::new).to_vec());
    }
}

/// Functions that stand in FROM.
fn is_function(name: &str) -> bool {
    ["generate_series", "unnest", "pg_get_keywords", "generate_subscripts"].contains(&name)
}

/// The names that WITH gives.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            let names =
                with.cte_tables.iter().map(|table| table.alias.name.value.to_ascii_lowercase());
            self.0.extend(names);
        }
        ControlFlow::Continue(())
    }
}

/// Puts what the connection knows in the place of what asks for it.
struct Known<'a> {
    facts: &'a Facts<'a>,
    is_about_catalogs: bool,
    sets: Vec<(String, String, bool)>,
}

impl VisitorMut for Known<'_> {
    type Break = ();

    /// The engine wants different names for columns; the client is told those
    /// of the question.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.is_about_catalogs
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            for (at, item) in select.projection.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(expr @ Expr::Value(_)) = item {
                    let alias = Ident::new(format!("column{at}"));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The engine makes no array of a subquery. What the catalogs list by one
    /// (options of tables, members of roles, parts of composite types) is empty
    /// here.
    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        // In a statement over our own tables these are rows, not catalogs.
        if !self.is_about_catalogs {
            return ControlFlow::Continue(());
        }
        if let Expr::Subquery(query) = &*expression {
            // JDBC asks whether a type is composite; none is.
            if query.to_string().starts_with("SELECT c.relkind = 'c' FROM") {
                *expression = Expr::Value(Value::Boolean(false).into());
                return ControlFlow::Continue(());
            }
            let lists = query.to_string().to_ascii_lowercase().contains("array_agg(");
            if query.with.is_some() || lists {
                *expression = Expr::Value(Value::Null.into());
            }
        }
        if let Expr::Case { conditions, else_result, .. } = expression {
            let results = conditions.iter_mut().map(|when| &mut when.result);
            results.chain(else_result.as_deref_mut()).for_each(forget_subquery);
            let mut results = conditions.iter().map(|when| &when.result);
            let nothing = results.all(is_null) && else_result.as_deref().is_none_or(is_null);
            if nothing {
                *expression = Expr::Value(Value::Null.into());
                return ControlFlow::Continue(());
            }
        }
        if let Expr::Function(function) = &*expression {
            let name = function.name.to_string().to_ascii_lowercase();
            let is_list = name.ends_with("array_to_string")
                && function.to_string().to_ascii_lowercase().contains("array(select");
            let is_array =
                name == "array" && matches!(function.args, FunctionArguments::Subquery(_));
            if is_list || is_array {
                *expression = Expr::Value(Value::Null.into());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && let Some(value) = self.value(function)
        {
            *expression = Expr::Value(value.into());
        }
        if !self.is_about_catalogs {
            return ControlFlow::Continue(());
        }
        match expression {
            // The columns of constraints are texts in these catalogs, and there
            // are none.
            Expr::CompoundFieldAccess { .. } if expression.to_string().contains("key[") => {
                *expression = Expr::Value(Value::Null.into());
            }
            Expr::CompoundFieldAccess { root, access_chain }
                if matches!(**root, Expr::Nested(_)) =>
            {
                access_chain.iter_mut().for_each(by_subscript);
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                escape_by_backslash(pattern, escape_char)
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Known<'_> {
    fn value(&mut self, function: &Function) -> Option<Value> {
        let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
        let text = |text: &str| Some(Value::SingleQuotedString(text.to_owned()));
        match name.as_str() {
            "current_user" | "session_user" | "user" | "current_role" => text(self.facts.user),
            "pg_backend_pid" => Some(Value::Number(self.facts.process_id.to_string(), false)),
            "version" => text(&version()),
            "current_setting" => {
                let (_, value) = self.facts.settings.get(&literal(function, 0)?).ok()?;
                text(value)
            }
            "set_config" => {
                let (name, value) = (literal(function, 0)?, literal(function, 1)?);
                let is_local = matches!(argument(function, 2)?, Value::Boolean(true));
                self.sets.push((name, value.clone(), is_local));
                text(&value)
            }
            _ => None,
        }
    }
}

fn literal(function: &Function, at: usize) -> Option<String> {
    match argument(function, at)? {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

fn argument(function: &Function, at: usize) -> Option<&Value> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.get(at)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(&value.value),
        _ => None,
    }
}

/// What `version()` says: clients read the first number.
fn version() -> String {
    let (postgresql, own) = (super::settings::SERVER_VERSION, env!("CARGO_PKG_VERSION"));
    format!("PostgreSQL {postgresql} (Spendlake {own})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(text: &str) -> Option<Question> {
        let settings = Settings::new("t1", false);
        let facts = Facts { user: "t1", process_id: 7, settings: &settings };
        Questions::new().translate(text, &facts)
    }

    fn text(question: &str) -> String {
        translate(question).expect("a question about catalogs").text
    }

    #[test]
    fn what_asks_for_rows_of_ours_is_left_alone() {
        for text in [
            "SELECT * FROM usage_events",
            "SELECT (SELECT max(user_id) FROM usage_events)",
            "SELECT 'pg_class', \"x\" FROM usage_events -- pg_class",
            "SELECT user_id FROM usage_events WHERE tags['version'] = 'current_user'",
            "no SQL at all but pg_class",
        ] {
            assert_eq!(translate(text), None, "{text}");
        }
        let mixed = "SELECT (SELECT max(user_id) FROM usage_events), current_user";
        let mixed = translate(mixed).expect("a question");
        assert_eq!(mixed.text, "SELECT (SELECT max(user_id) FROM usage_events), 't1'");
        assert!(!mixed.is_about_catalogs);
    }

    #[test]
    fn what_the_connection_knows_stands_in_its_place() {
        let both = text("SELECT current_user, pg_backend_pid()");
        assert_eq!(both, "SELECT 't1' AS column0, 7 AS column1");
        let zone = text("SELECT current_setting('TimeZone')");
        assert_eq!(zone, "SELECT 'UTC' AS column0");
        let question = translate("SELECT set_config('jit', 'off', false)").expect("a question");
        assert_eq!(question.sets, [("jit".to_owned(), "off".to_owned(), false)]);
    }

    #[test]
    fn the_information_schema_has_the_names_of_sql() {
        let reworded = text("SELECT data_type FROM information_schema.columns WHERE true");
        assert!(reworded.contains("pg_catalog.information_schema_columns"), "{reworded}");
    }

    #[test]
    fn what_nothing_here_has_may_be_answered_without_rows() {
        let question = "SELECT conname AS name, conkey FROM pg_constraint";
        let nothing = translate(question).and_then(|question| question.nothing);
        let expected = "SELECT CAST(NULL AS TEXT) AS \"name\", CAST(NULL AS TEXT) AS \"conkey \" \
                        WHERE false";
        assert_eq!(nothing.as_deref(), Some(expected));
        let tables = translate("SELECT relname FROM pg_class").expect("a question");
        assert_eq!(tables.nothing, None);
    }
}
