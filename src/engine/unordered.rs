//! Casts that do not keep the order of values. `DataFusion` takes every cast but
//! those of texts for one that does: it judges a file, row group or page by the
//! casts of its least and its greatest value. The least time of a day may be
//! `22:00` though and its greatest `21:59`, with every time of day between them.
//! So such casts are hidden from it.

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{
    FileScanConfigBuilder, FileSource as _, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};

use super::each_node::{Changed, EachNode};

/// Hides such casts in what files are chosen by. Comes after the rules that
/// move filters to the files.
pub(super) const HIDE_UNORDERED_CASTS: EachNode = EachNode {
    name: "hide_unordered_casts",
    change: |node| node.downcast_ref().map_or(Ok(None), reading_otherwise),
};

fn reading_otherwise(scan: &DataSourceExec) -> Changed {
    let Some((config, source)) = scan.downcast_to_file_source::<ParquetSource>() else {
        return Ok(None);
    };
    let Some(predicate) = source.filter() else { return Ok(None) };
    let schema = source.table_schema().table_schema();
    let hidden = with_casts_hidden(predicate, schema)?;
    if !hidden.transformed {
        return Ok(None);
    }
    let source = Arc::new(source.with_predicate(hidden.data));
    let config = FileScanConfigBuilder::from(config.clone()).with_source(source).build();
    Ok(Some(DataSourceExec::from_data_source(config)))
}

/// `filter`, which is evaluated as it was and which bounds say less about.
pub(super) fn with_casts_hidden(
    filter: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    filter.transform_down(|part| {
        let cast = part.downcast_ref::<CastExpr>().map(|cast| (cast.expr(), cast.cast_type()));
        let tried =
            || part.downcast_ref::<TryCastExpr>().map(|cast| (cast.expr(), cast.cast_type()));
        let Some((from, to)) = cast.or_else(tried) else { return Ok(Transformed::no(part)) };
        if keeps_order(&from.data_type(schema)?, to) {
            return Ok(Transformed::no(part));
        }
        let hidden: Arc<dyn PhysicalExpr> = Arc::new(Hidden(part));
        Ok(Transformed::new(hidden, true, TreeNodeRecursion::Jump))
    })
}

fn keeps_order(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Date64, Time32, Time64, Timestamp};
    match (from, to) {
        (Timestamp(..) | Date32 | Date64, Time32(_) | Time64(_)) => false,
        // Clocks go back once a year where a zone has a summer time.
        (Timestamp(_, Some(zone)), Timestamp(_, None) | Date32 | Date64)
        | (Timestamp(_, None), Timestamp(_, Some(zone))) => {
            ["UTC", "+00:00", "Z"].contains(&zone.as_ref())
        }
        _ => true,
    }
}

/// An expression of which nobody knows what it is.
#[derive(Debug)]
struct Hidden(Arc<dyn PhysicalExpr>);

impl PhysicalExpr for Hidden {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.0.evaluate(batch)
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self(children.pop().unwrap_or_else(|| Arc::clone(&self.0)))))
    }

    fn fmt_sql(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt_sql(formatter)
    }
}

impl Display for Hidden {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Hidden {}

impl Hash for Hidden {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
