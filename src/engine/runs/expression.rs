//! An expression over one column of texts, computed once for each run: LIKE, a
//! regular expression or a function of a text costs more than to see that the
//! text is the one before.

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal,
    NotExpr, TryCastExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;

use super::chunk::Runs;
use super::input::RUN_ROWS_MIN;

/// `expression`, each part of which that is costly and of one column of texts
/// is computed once for each run.
pub(super) fn once_a_run(
    expression: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    expression.transform_down(|part| match only_texts(&part, schema)? {
        Some(column) if is_costly(&part)? => {
            let part = Arc::new(OnceARun::new(part, column, schema)?);
            Ok(Transformed::new(part, true, TreeNodeRecursion::Jump))
        }
        _ => Ok(Transformed::no(part)),
    })
}

/// The one column that `expression` depends on, where it is one of texts and
/// nothing else decides the value.
fn only_texts(expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Column>> {
    let columns = collect_columns(expression);
    let Some(column) = columns.iter().next().filter(|_| columns.len() == 1) else {
        return Ok(None);
    };
    if schema.field(column.index()).data_type() != &DataType::Utf8View || is_volatile(expression) {
        return Ok(None);
    }
    let mut is_known = true;
    expression.apply(|part| {
        is_known &= part.is::<Column>()
            || part.is::<Literal>()
            || part.is::<NotExpr>()
            || part.is::<IsNullExpr>()
            || part.is::<IsNotNullExpr>()
            || part.is::<BinaryExpr>()
            || is_costly_step(part);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_known.then(|| column.clone()))
}

fn is_costly(expression: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    expression.exists(|part| Ok(is_costly_step(part)))
}

fn is_costly_step(part: &Arc<dyn PhysicalExpr>) -> bool {
    let matches = |binary: &BinaryExpr| {
        use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
        matches!(binary.op(), RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
    };
    part.is::<LikeExpr>()
        || part.is::<ScalarFunctionExpr>()
        || part.is::<CastExpr>()
        || part.is::<TryCastExpr>()
        || part.is::<InListExpr>()
        || part.downcast_ref::<BinaryExpr>().is_some_and(matches)
}

/// `whole`, computed once for each run of its column.
#[derive(Debug)]
struct OnceARun {
    whole: Arc<dyn PhysicalExpr>,
    column: Column,
    /// The same over a batch of nothing but the column.
    alone: Arc<dyn PhysicalExpr>,
    texts: SchemaRef,
}

impl OnceARun {
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

    fn evaluate_runs(&self, texts: &ArrayRef, runs: &Runs) -> Result<ArrayRef> {
        let values = runs.values(texts)?;
        let batch = RecordBatch::try_new(Arc::clone(&self.texts), vec![values])?;
        let results = self.alone.evaluate(&batch)?.into_array(batch.num_rows())?;
        let numbers = runs.numbers().into_iter().filter_map(|number| u32::try_from(number).ok());
        Ok(take(&results, &UInt32Array::from_iter_values(numbers), None)?)
    }
}

impl PhysicalExpr for OnceARun {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = batch.column(self.column.index());
        let runs = Runs::of(std::slice::from_ref(texts), batch.num_rows())?;
        if runs.len() * RUN_ROWS_MIN > batch.num_rows() {
            return self.whole.evaluate(batch);
        }
        Ok(ColumnarValue::Array(self.evaluate_runs(texts, &runs)?))
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
        Ok(match collect_columns(&whole).into_iter().next() {
            Some(column) => Arc::new(Self::over(whole, column, Arc::clone(&self.texts))?),
            None => whole,
        })
    }

    fn fmt_sql(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.whole.fmt_sql(formatter)
    }
}

impl Display for OnceARun {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.whole.fmt(formatter)
    }
}

impl PartialEq for OnceARun {
    fn eq(&self, other: &Self) -> bool {
        self.whole.eq(&other.whole)
    }
}

impl Eq for OnceARun {}

impl Hash for OnceARun {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whole.hash(state);
    }
}
