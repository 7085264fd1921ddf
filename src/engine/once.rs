//! An expression over one column of texts, computed once for each text of a
//! batch: LIKE, a regular expression or a function of a text costs more than to
//! see that a row points to the same place as an earlier one (decision 0033).

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

use super::each_node::{Changed, EachNode};
use super::same_texts::SameTexts;

/// Lets filters, projections and groups compute once for each text. Comes after
/// the rules that move expressions about, which know them as they were.
pub(super) const ONCE_PER_TEXT: EachNode = EachNode {
    name: "once_per_text",
    change: |node| {
        let changed = match (node.downcast_ref(), node.downcast_ref(), node.downcast_ref()) {
            (Some(filter), _, _) => of_filter(filter),
            (_, Some(projection), _) => of_projection(projection),
            (_, _, Some(step)) => of_groups(step),
            (None, None, None) => Ok(None),
        }?;
        Ok(changed.filter(|changed| is_known_alike(node, changed)))
    },
};

/// Whether as much is known of the rows of both: that `lower(topic)` is the same
/// in all, say. Nodes above were planned by that.
fn is_known_alike(one: &Arc<dyn ExecutionPlan>, other: &Arc<dyn ExecutionPlan>) -> bool {
    use Partitioning::UnknownPartitioning;
    let [rows, of_other] = [one, other].map(|node| node.properties().equivalence_properties());
    let is_spread_alike = match (one.output_partitioning(), other.output_partitioning()) {
        (UnknownPartitioning(parts), UnknownPartitioning(of_other)) => parts == of_other,
        (parts, of_other) => parts == of_other,
    };
    is_spread_alike
        && rows.oeq_class() == of_other.oeq_class()
        && rows.eq_group()[..] == of_other.eq_group()[..]
}

fn of_filter(filter: &FilterExec) -> Changed {
    let predicate = once_per_text(Arc::clone(filter.predicate()), &filter.input().schema())?;
    if !predicate.transformed {
        return Ok(None);
    }
    let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data).build()?;
    Ok(Some(Arc::new(filter)))
}

fn of_projection(projection: &ProjectionExec) -> Changed {
    let schema = projection.input().schema();
    let mut changed = false;
    let columns = projection.expr().iter().map(|column| {
        let expr = once_per_text(Arc::clone(&column.expr), &schema)?;
        changed |= expr.transformed;
        Ok(ProjectionExpr { expr: expr.data, alias: column.alias.clone() })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    if !changed {
        return Ok(None);
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, Arc::clone(projection.input()))?)))
}

/// Of the first of two steps of an aggregation; the last one groups by columns.
fn of_groups(step: &AggregateExec) -> Changed {
    let is_plain = *step.mode() == AggregateMode::Partial
        && step.group_expr().is_single()
        && step.limit_options().is_none();
    if !is_plain {
        return Ok(None);
    }
    let schema = step.input().schema();
    let mut changed = false;
    let groups = step.group_expr().expr().iter().map(|(group, name)| {
        let group = once_per_text(Arc::clone(group), &schema)?;
        changed |= group.transformed;
        Ok((group.data, name.clone()))
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    if !changed {
        return Ok(None);
    }
    Ok(Some(Arc::new(AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(groups),
        step.aggr_expr().to_vec(),
        step.filter_expr().to_vec(),
        Arc::clone(step.input()),
        step.input_schema(),
    )?)))
}

/// `expression`, each part of which that is costly and of one column of texts
/// is computed once for each text.
fn once_per_text(
    expression: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    let has_costly = |part: &Arc<dyn PhysicalExpr>| part.exists(|step| Ok(is_costly(step)));
    if !has_costly(&expression)? {
        return Ok(Transformed::no(expression));
    }
    expression.transform_down(|part| match only_texts(&part, schema)? {
        Some(column) if has_costly(&part)? => {
            let part = Arc::new(Once::new(part, column, schema)?);
            Ok(Transformed::new(part, true, TreeNodeRecursion::Jump))
        }
        _ if is_of_its_parts(&part) || part.is::<BinaryExpr>() => Ok(Transformed::no(part)),
        // CASE and its like compute their parts over other columns.
        _ => Ok(Transformed::new(part, false, TreeNodeRecursion::Jump)),
    })
}

/// The one column that `expression` depends on, where it is one of texts,
/// nothing else decides the value, and no value is much longer than its text. AND
/// and OR leave rows out of their second part, and how many decides whether they
/// do, so that a cast may fail for texts that it should not see; they stay.
fn only_texts(expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Column>> {
    if !is_of_its_parts(expression) {
        return Ok(None);
    }
    let columns = collect_columns(expression);
    let Some(column) = columns.iter().next().filter(|_| columns.len() == 1) else {
        return Ok(None);
    };
    let is_small = match expression.data_type(schema)? {
        DataType::Boolean => true,
        DataType::Utf8View => !expression.exists(|part| Ok(may_grow(part)))?,
        other => other.is_primitive(),
    };
    if !is_small
        || schema.field(column.index()).data_type() != &DataType::Utf8View
        || is_volatile(expression)
    {
        return Ok(None);
    }
    let is_other = expression.exists(|part| Ok(!is_of_its_parts(part)))?;
    Ok((!is_other).then(|| column.clone()))
}

/// Whether the value of `part` follows from the values of its parts, row by row.
fn is_of_its_parts(part: &Arc<dyn PhysicalExpr>) -> bool {
    part.is::<Column>()
        || part.is::<Literal>()
        || part.is::<NotExpr>()
        || part.is::<IsNullExpr>()
        || part.is::<IsNotNullExpr>()
        || part.downcast_ref().is_some_and(takes_both)
        || part.is::<CastExpr>()
        || is_costly(part)
}

fn takes_both(binary: &BinaryExpr) -> bool {
    !matches!(binary.op(), Operator::And | Operator::Or)
}

fn is_costly(part: &Arc<dyn PhysicalExpr>) -> bool {
    let matches = |binary: &BinaryExpr| {
        use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
        matches!(binary.op(), RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
    };
    part.is::<LikeExpr>()
        || part.is::<ScalarFunctionExpr>()
        || part.downcast_ref::<BinaryExpr>().is_some_and(matches)
}

/// Functions of a text whose values are at most about as long as the text.
const SHORT: [&str; 9] =
    ["btrim", "left", "lower", "ltrim", "right", "rtrim", "split_part", "substr", "upper"];

/// Whether a text may become a much longer one, which each row would have that
/// the bounds of growing functions see once.
fn may_grow(part: &Arc<dyn PhysicalExpr>) -> bool {
    let is_long = |function: &ScalarFunctionExpr| !SHORT.contains(&function.name());
    let is_joined = |binary: &BinaryExpr| *binary.op() == Operator::StringConcat;
    part.downcast_ref().is_some_and(is_long) || part.downcast_ref().is_some_and(is_joined)
}

/// `whole`, computed once for each text of its column.
#[derive(Debug)]
struct Once {
    whole: Arc<dyn PhysicalExpr>,
    column: Column,
    /// The same over a batch of nothing but the column.
    alone: Arc<dyn PhysicalExpr>,
    texts: SchemaRef,
}

impl Once {
    fn new(whole: Arc<dyn PhysicalExpr>, column: Column, schema: &Schema) -> Result<Self> {
        let texts = Schema::new(vec![schema.field(column.index()).clone()]);
        Self::over(whole, column, Arc::new(texts))
    }

    fn over(whole: Arc<dyn PhysicalExpr>, column: Column, texts: SchemaRef) -> Result<Self> {
        let first: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), 0));
        let alone = Arc::clone(&whole).transform(|part| match part.is::<Column>() {
            true => Ok(Transformed::yes(Arc::clone(&first))),
            false => Ok(Transformed::no(part)),
        })?;
        Ok(Self { whole, column, alone: alone.data, texts })
    }
}

impl PhysicalExpr for Once {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = batch.column(self.column.index());
        let Some(same) = column.as_string_view_opt().and_then(SameTexts::by_view) else {
            return self.whole.evaluate(batch);
        };
        let texts = take(column, &same.first, None)?;
        let texts = RecordBatch::try_new(Arc::clone(&self.texts), vec![texts])?;
        let values = self.alone.evaluate(&texts)?.into_array(texts.num_rows())?;
        Ok(ColumnarValue::Array(take(&values, &same.numbers, None)?))
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.whole.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.whole.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.whole.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.whole]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let whole = children.pop().unwrap_or_else(|| Arc::clone(&self.whole));
        let columns: Vec<_> = collect_columns(&whole).into_iter().collect();
        Ok(match <[Column; 1]>::try_from(columns) {
            Ok([column]) => Arc::new(Self::over(whole, column, Arc::clone(&self.texts))?),
            Err(_) => whole,
        })
    }

    fn fmt_sql(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.whole.fmt_sql(formatter)
    }
}

impl Display for Once {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.whole.fmt(formatter)
    }
}

impl PartialEq for Once {
    fn eq(&self, other: &Self) -> bool {
        self.whole.eq(&other.whole)
    }
}

impl Eq for Once {}

impl Hash for Once {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whole.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray, StringViewBuilder};
    use datafusion::common::DFSchema;
    use datafusion::execution::context::SessionContext;

    use super::*;

    fn batch() -> RecordBatch {
        let texts = |word: &'static str| -> ArrayRef {
            let mut texts = StringViewBuilder::new().with_deduplicate_strings();
            let row = |row: usize| (!row.is_multiple_of(7)).then(|| format!("{word} {}", row % 3));
            texts.extend((0..40).map(row));
            let texts = texts.finish();
            assert!(SameTexts::by_view(&texts).is_some());
            Arc::new(texts)
        };
        let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
        let columns = [("a", texts("word")), ("b", texts("a much longer word")), ("n", number)];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)))
            .expect("a batch")
    }

    fn expression(text: &str) -> Arc<dyn PhysicalExpr> {
        let context = SessionContext::new();
        let schema = DFSchema::try_from(batch().schema().as_ref().clone()).expect("a schema");
        let parsed = context.parse_sql_expr(text, &schema).expect(text);
        context.create_physical_expr(parsed, &schema).expect(text)
    }

    #[test]
    fn what_is_costly_and_of_one_text_is_computed_once() {
        let batch = batch();
        for text in [
            "a LIKE '%1'",
            "b ~ '[12]$' OR b IS NULL",
            "substr(b, 3)",
            "length(a) + n",
            "upper(a) = lower(b)",
            "CAST(right(a, 1) AS bigint) / 2",
            "length(repeat(a, 9)) > 50",
            "a LIKE 'word%' AND n > 3 AND substr(b, 3) < 'x'",
        ] {
            let plain = expression(text);
            let changed = once_per_text(Arc::clone(&plain), &batch.schema()).expect(text);
            assert!(changed.transformed, "{text}");
            let values = |expression: &Arc<dyn PhysicalExpr>| {
                expression.evaluate(&batch).and_then(|value| value.into_array(40)).expect(text)
            };
            assert_eq!(&values(&plain), &values(&changed.data), "{text}");
        }
    }

    #[test]
    fn a_condition_guards_what_follows_as_it_did() {
        let texts = (0..40).map(|row| Some(if row % 7 == 0 { "12" } else { "debug" }));
        let texts: ArrayRef = Arc::new(texts.collect::<StringViewArray>());
        let batch = RecordBatch::try_from_iter([("a", texts)]).expect("a batch");
        let plain = expression("a ~ '^[0-9]+$' AND CAST(a AS bigint) > 5");
        let changed = once_per_text(plain, &batch.schema()).expect("changed");
        assert!(changed.transformed);
        let values = changed.data.evaluate(&batch).expect("only numbers are cast");
        let values = values.into_array(40).expect("values");
        assert_eq!(values.as_boolean().true_count(), 6);
    }

    #[test]
    fn an_empty_batch_and_a_failing_text_are_as_they_were() {
        let plain = expression("CAST(substr(a, 6) AS bigint)");
        let changed = once_per_text(Arc::clone(&plain), &batch().schema()).expect("changed");
        assert!(changed.transformed);
        let empty = batch().slice(0, 0);
        let values = changed.data.evaluate(&empty).and_then(|values| values.into_array(0));
        assert_eq!(values.expect("no values").len(), 0);
        let wrong = expression("CAST(substr(a, 1) AS bigint)");
        let changed = once_per_text(Arc::clone(&wrong), &batch().schema()).expect("changed");
        let errors = [wrong, changed.data].map(|expression| {
            expression.evaluate(&batch()).expect_err("a word is no number").to_string()
        });
        assert_eq!(errors[0], errors[1]);
    }

    #[test]
    fn other_expressions_stay() {
        for text in [
            "a",
            "a = 'word 1'",
            "a = b",
            "abs(n)",
            "substr(a, CAST(random() AS bigint))",
            "concat(a, b)",
            "repeat(a, 9)",
            "a || a",
            "CASE WHEN n > 5 THEN length(b) ELSE 0 END",
        ] {
            let changed = once_per_text(expression(text), &batch().schema()).expect(text);
            assert!(!changed.transformed, "{text}");
        }
    }
}
