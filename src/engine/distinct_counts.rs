//! Several `count(DISTINCT …)` of one aggregation. DataFusion counts a single
//! one by grouping; of several, it keeps the values of each group in sets, which
//! meet on one thread at last and cannot spill. Here each is an aggregation of
//! its own over the same table, counted by grouping, and the rows that these
//! give for a group become one (decision 0034).

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Operator, Projection, Union, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Most aggregations that one becomes: each reads the table anew.
const PARTS_MAX: usize = 8;

/// Other aggregates that may stand beside: what they give has a largest value.
const OTHERS: [&str; 5] = ["count", "sum", "min", "max", "avg"];

/// The rule of the logical optimizer.
#[derive(Debug)]
pub(super) struct DistinctCountsApart;

impl OptimizerRule for DistinctCountsApart {
    fn name(&self) -> &'static str {
        "distinct_counts_apart"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        let parts = parts_of(aggregate);
        let counted = parts.iter().filter(|part| part.counted.is_some()).count();
        if counted < 2
            || parts.len() > PARTS_MAX
            || !have_a_largest(aggregate)
            || !may_be_read_again(aggregate)?
        {
            return Ok(Transformed::no(plan));
        }
        apart(aggregate, &parts).map(Transformed::yes)
    }
}

/// Aggregates that one aggregation of its own computes.
struct Part {
    /// What each is the number of distinct values of; `None` for the others.
    counted: Option<Expr>,
    /// Their places among the aggregates.
    places: Vec<usize>,
}

/// The aggregates in parts; none where one of them has to stay as it is.
fn parts_of(aggregate: &Aggregate) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (place, expr) in aggregate.aggr_expr.iter().enumerate() {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = unnamed(expr) else {
            return Vec::new();
        };
        let is_plain = params.order_by.is_empty() && params.null_treatment.is_none();
        let counted = match &params.args[..] {
            [value] if params.distinct && func.name() == "count" && params.filter.is_none() => {
                Some(value.clone())
            }
            _ if !params.distinct && OTHERS.contains(&func.name()) => None,
            _ => return Vec::new(),
        };
        if !is_plain {
            return Vec::new();
        }
        match parts.iter_mut().find(|part| part.counted == counted) {
            Some(part) => part.places.push(place),
            None => parts.push(Part { counted, places: vec![place] }),
        }
    }
    parts
}

/// `expr` without the names that it was given.
fn unnamed(mut expr: &Expr) -> &Expr {
    while let Expr::Alias(named) = expr {
        expr = &named.expr;
    }
    expr
}

/// Whether reading the aggregated rows again costs no more than reading a table,
/// and gives the same ones.
fn may_be_read_again(aggregate: &Aggregate) -> Result<bool> {
    let mut exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    let mut may = exprs.all(is_cheap);
    aggregate.input.apply_with_subqueries(|node| {
        let is_known = match node {
            LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
                true
            }
            _ => false,
        };
        may &= is_known && node.expressions().iter().all(is_cheap);
        Ok(if may { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(may)
}

/// Functions that cost little, of texts because they are computed once for each
/// text (decision 33).
const CHEAP: [&str; 13] = [
    "abs",
    "character_length",
    "coalesce",
    "date_bin",
    "date_part",
    "date_trunc",
    "left",
    "lower",
    "nullif",
    "right",
    "split_part",
    "substr",
    "upper",
];

/// Whether `expr` is made of what costs little, and is the same each time.
fn is_cheap(expr: &Expr) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    let is_other = |part: &Expr| {
        let is_known = match part {
            Expr::ScalarFunction(call) => CHEAP.contains(&call.name()),
            Expr::BinaryExpr(both) => {
                !matches!(both.op, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
            }
            Expr::Alias(_)
            | Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_)
            | Expr::AggregateFunction(_) => true,
            _ => false,
        };
        Ok(!is_known)
    };
    !expr.exists(is_other).unwrap_or(true)
}

/// Whether a result is the largest of itself and NULLs. Of floats, DataFusion
/// says that the largest of minus infinity is the least finite one.
fn have_a_largest(aggregate: &Aggregate) -> bool {
    let results = &aggregate.schema.fields()[aggregate.group_expr.len()..];
    !results.iter().any(|result| result.data_type().is_floating())
}

/// The aggregation as one of each part, and one over what these give.
fn apart(aggregate: &Aggregate, parts: &[Part]) -> Result<LogicalPlan> {
    let groups = 0..aggregate.group_expr.len();
    let results = 0..aggregate.aggr_expr.len();
    let rows = parts.iter().map(|part| part.rows(aggregate).map(Arc::new));
    let rows = LogicalPlan::Union(Union::try_new(rows.collect::<Result<_>>()?)?);
    let largest = results.clone().map(|place| max(column(&result_name(place)))).collect();
    let by_group = groups.clone().map(|place| column(&group_name(place))).collect();
    let one = Aggregate::try_new(Arc::new(rows), by_group, largest)?;
    let values = one.schema.columns().into_iter().map(Expr::Column).enumerate();
    let named = values.map(|(at, value)| {
        let (qualifier, field) = aggregate.schema.qualified_field(at);
        // Every part has every group: it only says that a count is no NULL.
        let value = match at >= groups.len() && !field.is_nullable() {
            true => coalesce(vec![value, lit(ScalarValue::new_zero(field.data_type())?)]),
            false => value,
        };
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let named = named.collect::<Result<_>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(named, Arc::new(LogicalPlan::Aggregate(one)))?))
}

impl Part {
    /// A row of each group: its values, then a column of each aggregate, which
    /// is NULL where another part computes it.
    fn rows(&self, aggregate: &Aggregate) -> Result<LogicalPlan> {
        let by_group = aggregate.group_expr.iter().enumerate();
        let mut by_group: Vec<Expr> =
            by_group.map(|(place, expr)| expr.clone().alias(group_name(place))).collect();
        let (groups, input) = (by_group.len(), Arc::clone(&aggregate.input));
        let computed = match &self.counted {
            None => {
                let own = self.places.iter().map(|place| aggregate.aggr_expr[*place].clone());
                Aggregate::try_new(input, by_group, own.collect())?
            }
            Some(value) => {
                by_group.push(value.clone().alias(VALUE));
                let values = Aggregate::try_new(input, by_group, Vec::new())?;
                let by_group = (0..groups).map(|place| column(&group_name(place))).collect();
                let values = Arc::new(LogicalPlan::Aggregate(values));
                Aggregate::try_new(values, by_group, vec![count(column(VALUE))])?
            }
        };
        let given = computed.schema.columns();
        let mut columns: Vec<Expr> = given[..groups].iter().cloned().map(Expr::Column).collect();
        for place in 0..aggregate.aggr_expr.len() {
            let own = self.places.iter().position(|own| *own == place);
            // Equal counts are one column.
            let own = own.map(|own| own.min(given.len() - groups - 1));
            let value = match own {
                Some(own) => Expr::Column(given[groups + own].clone()),
                None => {
                    let data_type = aggregate.schema.field(groups + place).data_type();
                    lit(ScalarValue::try_from(data_type)?)
                }
            };
            columns.push(value.alias(result_name(place)));
        }
        let computed = Arc::new(LogicalPlan::Aggregate(computed));
        Ok(LogicalPlan::Projection(Projection::try_new(columns, computed)?))
    }
}

/// The column of the values that are counted.
const VALUE: &str = "value";

fn group_name(place: usize) -> String {
    format!("group_{place}")
}

fn result_name(place: usize) -> String {
    format!("result_{place}")
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}
