//! How much longer a statement may make what it reads. Values that functions
//! make are in memory for a whole batch of rows, outside the memory pool: a
//! text that is joined with itself thirty times, one step in the other, would
//! need more than any machine has.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, ScalarUDF};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArguments, Statement, Visit, Visitor,
};

use super::functions::{Concatenation, is_growing, joined};

/// Most calls of functions whose few arguments ask for much.
const GROWING_CALLS_MAX: usize = 16;
/// Most calls of functions that put their arguments together.
const JOINING_CALLS_MAX: usize = 64;
/// Longest text or bytes that a statement or parameter says: it is copied for
/// each row of a batch.
const CONSTANT_BYTES_MAX: usize = 4 << 10;
/// Functions that make a value of several of other types.
const RECORDS: [&str; 4] = ["struct", "row", "named_struct", "map"];
/// Most columns of any step, as in PostgreSQL.
const COLUMNS_MAX: usize = 1_664;

/// Most parts of the records that a statement makes, if all stood in one another:
/// a record of two copies of a record of two copies has a type of four parts.
const RECORD_PARTS_MAX: usize = 1_000_000;

/// Refuses a statement whose types would be too large to plan with.
pub(super) fn check_records(statement: &Statement) -> Result<()> {
    let mut records = Records { parts: 1 };
    let _ = statement.visit(&mut records);
    if records.parts <= RECORD_PARTS_MAX {
        return Ok(());
    }
    Err(DataFusionError::Plan(
        "the statement makes records (struct, row, map) of too many parts, should they stand in \
         one another; make fewer"
            .to_owned(),
    ))
}

struct Records {
    parts: usize,
}

impl Visitor for Records {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &SqlExpr) -> ControlFlow<()> {
        let parts = match expression {
            SqlExpr::Tuple(parts)
                if !parts.iter().all(|part| matches!(part, SqlExpr::Value(_))) =>
            {
                parts.len()
            }
            SqlExpr::Struct { values, .. } => values.len(),
            SqlExpr::Dictionary(fields) => fields.len(),
            SqlExpr::Map(map) => map.entries.len(),
            SqlExpr::Function(call) => parts_of(call),
            _ => 1,
        };
        self.parts = self.parts.saturating_mul(parts.max(1));
        ControlFlow::Continue(())
    }
}

fn parts_of(call: &Function) -> usize {
    let name = call.name.to_string().to_lowercase();
    match &call.args {
        FunctionArguments::List(list) if RECORDS.contains(&name.trim_matches('"')) => {
            list.args.len()
        }
        _ => 1,
    }
}

/// `plan`, whose parameters are bound, with what it may make longer bounded.
pub(super) fn bounded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut found = Found::default();
    plan.apply_with_subqueries(|node| {
        found.columns = found.columns.max(node.schema().fields().len());
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                found.note(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    found.check()?;
    if found.joining == 0 {
        return Ok(plan);
    }
    let concatenation = Arc::new(ScalarUDF::new_from_impl(Concatenation::new()));
    let bounded = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let joined = expression.transform_up(|part| Ok(bounded_join(part, &concatenation)))?;
            Ok(joined.update_data(|joined| name.restore(joined)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    });
    bounded.map(|bounded| bounded.data)
}

/// What a plan does that may need much memory.
#[derive(Debug, Default)]
struct Found {
    growing: usize,
    joining: usize,
    constant_bytes: usize,
    columns: usize,
}

impl Found {
    fn note(&mut self, part: &Expr) {
        self.growing +=
            usize::from(matches!(part, Expr::ScalarFunction(call) if is_growing(call.name())));
        self.joining += usize::from(joins(part));
        if let Expr::Literal(value, _) = part {
            self.constant_bytes = self.constant_bytes.max(bytes_of(value));
        }
    }

    fn check(&self) -> Result<()> {
        let Self { growing, joining, constant_bytes, columns } = self;
        let message = if *growing > GROWING_CALLS_MAX {
            format!(
                "the statement calls functions that make longer values (repeat, lpad, replace and \
                 their like) {growing} times; {GROWING_CALLS_MAX} are the most"
            )
        } else if *joining > JOINING_CALLS_MAX {
            format!(
                "the statement joins values (by ||, concat, make_array and their like) {joining} \
                 times; {JOINING_CALLS_MAX} are the most"
            )
        } else if *constant_bytes > CONSTANT_BYTES_MAX {
            format!(
                "a text of the statement or its parameters has {constant_bytes} bytes; \
                 {CONSTANT_BYTES_MAX} are the most"
            )
        } else if *columns > COLUMNS_MAX {
            format!("a step of the statement has {columns} columns; {COLUMNS_MAX} are the most")
        } else {
            return Ok(());
        };
        Err(DataFusionError::Plan(message))
    }
}

fn bytes_of(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes)) => bytes.len(),
        value => value.try_as_str().flatten().map_or(0, str::len),
    }
}

fn joins(part: &Expr) -> bool {
    match part {
        Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => true,
        Expr::ScalarFunction(call) => joined(&call.func).is_some(),
        _ => false,
    }
}

fn bounded_join(part: Expr, concatenation: &Arc<ScalarUDF>) -> Transformed<Expr> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let call = ScalarFunction::new_udf(Arc::clone(concatenation), vec![*left, *right]);
            Transformed::yes(Expr::ScalarFunction(call))
        }
        Expr::ScalarFunction(call) => match joined(&call.func) {
            Some(func) => {
                let call = ScalarFunction { func, args: call.args };
                Transformed::yes(Expr::ScalarFunction(call))
            }
            None => Transformed::no(Expr::ScalarFunction(call)),
        },
        other => Transformed::no(other),
    }
}
