//! A statement of a user: its text, what kinds of it are run, and its plan.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::DFParserBuilder;
pub(super) use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement as Ansi;

use super::deep::{CHAIN_MAX, is_longer_chain};
use super::growth::check_records;
use super::references::check_references;
use super::texts::{as_plain, plain};

/// How deep parentheses and subqueries may nest.
const NESTING_MAX: usize = 50;

/// Most parameters of one statement: as many as PostgreSQL's protocol can count.
const PARAMETERS_MAX: usize = 65_535;

/// What is run, for those who sent something else.
const RUN: &str = "SQL here only reads: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE and SHOW";

/// One statement of a user, as it came through a door.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// SQL.
    pub text: String,
    /// The values of `$1`, `$2`, …
    pub parameters: Vec<ScalarValue>,
}

impl From<&str> for Statement {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), parameters: Vec::new() }
    }
}

/// What a statement would answer, found out without running it.
#[derive(Debug, Clone)]
pub struct Description {
    /// The columns of every batch.
    pub columns: SchemaRef,
    /// The type of `$1`, `$2`, …, as the place where each stands needs it.
    /// `None` where any type would do, or two places need different ones.
    pub parameters: Vec<Option<DataType>>,
}

/// The one statement that `text` holds, if it is of a kind that is run.
pub(super) fn parse(text: &str) -> Result<Parsed> {
    if is_longer_chain(text, CHAIN_MAX) {
        return Err(DataFusionError::Plan(format!(
            "the SQL text has more than {CHAIN_MAX} operators in a row; use IN, a list or a join"
        )));
    }
    let parser = DFParserBuilder::new(text).with_recursion_limit(NESTING_MAX);
    let mut statements = parser.build()?.parse_statements()?;
    let statement = match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => {
            return Err(DataFusionError::Plan("the SQL text holds no statement".to_owned()));
        }
        (Some(_), more) => {
            let count = more + 1;
            return Err(DataFusionError::Plan(format!(
                "the SQL text holds {count} statements; send one at a time"
            )));
        }
    };
    if !only_reads(&statement) {
        let kind = kind_of(&statement);
        return Err(DataFusionError::Plan(format!("{kind} is not run; {RUN}")));
    }
    if let Some(ansi) = ansi_of(&statement) {
        check_references(ansi)?;
        check_records(ansi)?;
    }
    Ok(statement)
}

/// The statement that runs or is explained.
fn ansi_of(statement: &Parsed) -> Option<&Ansi> {
    match statement {
        Parsed::Statement(ansi) => Some(ansi),
        Parsed::Explain(explain) => ansi_of(&explain.statement),
        Parsed::CreateExternalTable(_) | Parsed::CopyTo(_) | Parsed::Reset(_) => None,
    }
}

/// Whether a statement is of a kind that is run. What is not listed is
/// refused; a query that hides a change is found by [`plan`].
fn only_reads(statement: &Parsed) -> bool {
    match statement {
        Parsed::Statement(ansi) => reads(ansi),
        Parsed::Explain(explain) => only_reads(&explain.statement),
        Parsed::CreateExternalTable(_) | Parsed::CopyTo(_) | Parsed::Reset(_) => false,
    }
}

fn reads(statement: &Ansi) -> bool {
    match statement {
        Ansi::Query(_)
        | Ansi::ExplainTable { .. }
        | Ansi::ShowTables { .. }
        | Ansi::ShowColumns { .. }
        | Ansi::ShowFunctions { .. }
        | Ansi::ShowVariable { .. }
        | Ansi::ShowCreate { .. } => true,
        Ansi::Explain { statement, .. } => reads(statement),
        _ => false,
    }
}

/// The words that a statement opens with, without names or values.
fn kind_of(statement: &Parsed) -> String {
    let text = statement.to_string();
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default().to_uppercase();
    let takes_object = ["CREATE", "DROP", "ALTER", "START", "EXPLAIN"].contains(&first.as_str());
    match words.next().filter(|_| takes_object) {
        Some(second) => format!("{first} {}", second.to_uppercase()),
        None => first,
    }
}

/// The logical plan of one statement that only reads. Parameters are still
/// open in it.
pub(super) async fn plan(state: &SessionState, statement: Parsed) -> Result<LogicalPlan> {
    let plan = state.statement_to_plan(statement).await?;
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only
        .verify_plan(&plan)
        .map_err(|error| DataFusionError::Plan(format!("{}; {RUN}", error.message())))?;
    Ok(plan)
}

/// What the places of one parameter need.
#[derive(Debug, Clone, PartialEq)]
enum Need {
    /// Any type would do.
    Open,
    One(DataType),
    /// Different types.
    Several,
}

impl Need {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, need) | (need, Self::Open) => need,
            (one, other) if one == other => one,
            _ => Self::Several,
        }
    }
}

/// The types of the parameters of `plan`, by position.
pub(super) fn parameter_types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut found: BTreeMap<usize, Need> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        // LIMIT and OFFSET count rows, which the planner does not say.
        let count = matches!(node, LogicalPlan::Limit(_)).then_some(DataType::Int64);
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Placeholder(placeholder) = part {
                    let field = placeholder.field.as_ref();
                    let typed = field.map(|field| field.data_type().clone());
                    let need = typed.or_else(|| count.clone()).map_or(Need::Open, Need::One);
                    let known = found.entry(position_of(placeholder)?).or_insert(Need::Open);
                    *known = std::mem::replace(known, Need::Open).and(need);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let count = found.keys().next_back().map_or(0, |last| last + 1);
    let types = (0..count).map(|at| match found.remove(&at) {
        Some(Need::One(data_type)) => Some(data_type),
        Some(Need::Open | Need::Several) | None => None,
    });
    Ok(types.collect())
}

/// Which of the values a placeholder stands for, from 0.
fn position_of(placeholder: &Placeholder) -> Result<usize> {
    let id = &placeholder.id;
    let number = id.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let known = number.filter(|number| (1..=PARAMETERS_MAX).contains(number));
    known.map(|number| number - 1).ok_or_else(|| {
        DataFusionError::Plan(format!(
            "the parameter {id} has no number; parameters are $1, $2, … up to ${PARAMETERS_MAX}"
        ))
    })
}

/// Columns and parameters of the statement in `text`.
pub(super) async fn describe(state: &SessionState, text: &str) -> Result<Description> {
    let plan = plan(state, parse(text)?).await?;
    let parameters = parameter_types(&plan)?;
    let parameters = parameters.into_iter().map(|needed| needed.map(|needed| plain(&needed)));
    let parameters = parameters.collect();
    // Coercion, which comes after planning, may change what a union or a CASE
    // answers. It cannot always be done while parameters are open.
    let options = state.config_options();
    let coerced = state.analyzer().execute_and_check(plan.clone(), options, |_, _| {});
    let plan = coerced.unwrap_or(plan);
    Ok(Description { columns: as_plain(plan.schema().inner()), parameters })
}

#[cfg(test)]
mod tests;
