//! Which files can hold a row that a filter accepts: decided from the file
//! list alone, before any file is opened.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Date32Type, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::scalar::ScalarValue;

use super::unordered::with_casts_hidden;
use crate::lake::LakeFile;

/// The files of `files` that may hold a row accepted by all of `filters`. A
/// filter that says nothing about date, time or organization keeps every file.
pub(super) fn prune_files<'a>(
    files: &'a [LakeFile],
    date_column: &str,
    schema: &SchemaRef,
    filters: &[Expr],
    session: &dyn Session,
) -> Vec<&'a LakeFile> {
    // A filter that cannot be turned into a predicate over bounds prunes
    // nothing; DataFusion applies every filter again to the rows.
    match verdicts(files, date_column, schema, filters, session) {
        Ok(Some(keep)) => {
            files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file).collect()
        }
        Ok(None) | Err(_) => files.iter().collect(),
    }
}

/// Whether `filter` most likely accepts few rows: one that names the values it
/// is looking for. Applying it while reading costs a second pass over its
/// columns.
pub(super) fn is_selective(filter: &Expr) -> bool {
    let is_constant = |one: &Expr| matches!(one, Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            is_selective(left) || is_selective(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            is_selective(left) && is_selective(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            is_constant(left) || is_constant(right)
        }
        Expr::InList(InList { list, negated: false, .. }) => list.iter().all(is_constant),
        _ => false,
    }
}

fn verdicts(
    files: &[LakeFile],
    date_column: &str,
    schema: &SchemaRef,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Option<Vec<bool>>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
    let columns = DFSchema::try_from(Arc::clone(schema))?;
    let filter = session.create_physical_expr(filter, &columns)?;
    let filter = with_casts_hidden(filter, schema)?.data;
    let predicate =
        PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(filter)?;
    predicate.prune(&FileBounds { files, date_column }).map(Some)
}

/// What the file list says about the rows of each file.
struct FileBounds<'a> {
    files: &'a [LakeFile],
    date_column: &'a str,
}

/// Which end of what is known of a file.
#[derive(Debug, Clone, Copy)]
enum End {
    Least,
    Most,
}

impl End {
    fn of<T>(self, (least, most): &(T, T)) -> &T {
        match self {
            Self::Least => least,
            Self::Most => most,
        }
    }
}

impl FileBounds<'_> {
    fn bounds(&self, column: &Column, end: End) -> Option<ArrayRef> {
        let files = self.files.iter();
        match column.name() {
            name if name == self.date_column => {
                let dates = files.map(|file| Date32Type::from_naive_date(file.date));
                Some(Arc::new(Date32Array::from_iter_values(dates)))
            }
            "organization_id" => {
                let bounds = files.map(|file| file.organizations.as_ref().map(|all| end.of(all)));
                Some(Arc::new(bounds.collect::<StringArray>()))
            }
            "event_time" => {
                let bounds = files.map(|file| file.event_times.as_ref().map(|all| *end.of(all)));
                let times = bounds.collect::<TimestampMicrosecondArray>();
                Some(Arc::new(times.with_timezone("UTC")))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, End::Least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, End::Most)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
