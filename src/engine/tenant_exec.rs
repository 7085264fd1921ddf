//! The leaf of a plan behind which the tenant wall stands: it gives the rows
//! that passed, and shows nothing of what it read for them.
//!
//! What comes out is a function of those rows alone: they come in one
//! partition, in the order of the files, in batches of one size. Whatever is
//! done with them above, an answer without ORDER BY, a sum of floats, the
//! counters of EXPLAIN ANALYZE, is therefore the same whoever else uses the
//! lake. Nor can anything of above come in: a leaf has no children for an
//! optimizer to push into.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewArray,
};
use arrow::compute::{BatchCoalescer, filter_record_batch, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::{
    RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::same_texts::SameTexts;

/// Batches that one part of the inside may be ahead of what is read from it.
const BATCHES_AHEAD: usize = 8;

/// What is behind the wall, and how to pass it.
#[derive(Debug)]
pub(super) struct Inside {
    /// Every row that may be needed; its partitions are read in their order.
    pub(super) rows: Arc<dyn ExecutionPlan>,
    /// Whether a row passes. It never fails.
    pub(super) filter: Arc<dyn PhysicalExpr>,
    /// For each column that is given, its place in `rows`.
    pub(super) projection: Vec<usize>,
}

/// The rows of one table that the caller reaches.
#[derive(Debug, Clone)]
pub(super) struct TenantScanExec {
    inside: Arc<Inside>,
    /// The table and the caller's own conditions, for EXPLAIN.
    label: Arc<str>,
    /// Most rows to give.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TenantScanExec {
    pub(super) fn new(
        inside: Inside,
        schema: SchemaRef,
        label: &str,
        fetch: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            inside: Arc::new(inside),
            label: label.into(),
            fetch,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for TenantScanExec {
    fn fmt_as(&self, kind: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let columns = columns.join(", ");
        let fetch = self.fetch.map(|fetch| format!(", fetch={fetch}")).unwrap_or_default();
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(formatter, "TenantScanExec: {}, columns=[{columns}]{fetch}", self.label)
            }
            DisplayFormatType::TreeRender => write!(formatter, "{}{fetch}", self.label),
        }
    }
}

impl ExecutionPlan for TenantScanExec {
    fn name(&self) -> &'static str {
        "TenantScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// The filter belongs to the inside: nobody visits or rewrites it.
    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let config = context.session_config();
        let (partitions, batch_size) = (config.target_partitions(), config.batch_size());
        let inside = Arc::clone(&self.inside);
        let parts = 0..inside.rows.output_partitioning().partition_count();
        // Some parts work while an earlier one is read.
        let batches = stream::iter(parts)
            .map(move |part| std::future::ready(passed(&inside, part, &context)))
            .buffered(partitions.saturating_sub(1).max(1))
            .flatten()
            .map_err(|error| DataFusionError::External(Box::new(InsideError(error))));
        let gather = Gather {
            batches: batches.boxed(),
            ready: BatchCoalescer::new(self.schema(), batch_size),
            left: self.fetch.unwrap_or(usize::MAX),
            output_rows: MetricBuilder::new(&self.metrics).output_rows(partition),
        };
        let rows = stream::try_unfold(gather, Gather::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Starts reading one part; its stream gives what passed the wall. Dropping
/// the stream ends the reading.
fn passed(
    inside: &Arc<Inside>,
    part: usize,
    context: &Arc<TaskContext>,
) -> SendableRecordBatchStream {
    let schema = inside.rows.schema();
    let mut builder = RecordBatchReceiverStreamBuilder::new(schema, BATCHES_AHEAD);
    let output = builder.tx();
    let (inside, context) = (Arc::clone(inside), Arc::clone(context));
    builder.spawn(async move {
        let mut rows = inside.rows.execute(part, context)?;
        while let Some(batch) = rows.try_next().await? {
            let batch = inside.pass(&batch)?;
            if batch.num_rows() > 0 && output.send(Ok(batch)).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    builder.build()
}

impl Inside {
    /// The rows of `batch` that pass, with the columns that are given.
    fn pass(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let verdicts = self.filter.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(verdicts) = verdicts.as_boolean_opt() else {
            return Err(DataFusionError::Internal("the filter gave no verdicts".to_owned()));
        };
        let given = batch.project(&self.projection)?;
        match verdicts.true_count() == given.num_rows() {
            true => Ok(given),
            false => Ok(filter_record_batch(&given, verdicts)?),
        }
    }
}

/// Makes batches of one size of whatever comes.
struct Gather {
    batches: BoxStream<'static, Result<RecordBatch>>,
    ready: BatchCoalescer,
    /// Rows that may still be given.
    left: usize,
    output_rows: Count,
}

impl Gather {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.ready.next_completed_batch() {
                self.output_rows.add(batch.num_rows());
                return Ok(Some((alone(batch)?, self)));
            }
            let batch = match self.left {
                0 => None,
                _ => self.batches.try_next().await?,
            };
            match batch {
                Some(batch) => {
                    let batch = batch.slice(0, batch.num_rows().min(self.left));
                    self.left -= batch.num_rows();
                    self.ready.push_batch(batch)?;
                }
                None => {
                    // Nothing works any longer for rows that nobody wants.
                    self.batches = stream::empty().boxed();
                    self.left = 0;
                    self.ready.finish_buffered_batch()?;
                    if !self.ready.has_completed_batch() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// The same rows in memory of their own. A text is a view into a page that holds
/// texts of others, and what rows take in memory decides how a sort goes about
/// them, and when it finds too little.
fn alone(batch: RecordBatch) -> Result<RecordBatch> {
    let (schema, columns, rows) = batch.into_parts();
    let columns = columns.into_iter().map(|mut column| {
        if let Some(texts) = column.as_string_view_opt() {
            column = copied(texts)?;
        }
        column.shrink_to_fit();
        Ok(column)
    });
    let columns = columns.collect::<Result<_>>()?;
    // A count needs no column.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// One copy of each text where they repeat. That is asked of the texts, not of
/// where they are kept, which others have a part in; nor is what stands at a NULL
/// looked at, which may be a text of others.
fn copied(texts: &StringViewArray) -> Result<ArrayRef> {
    let Some(same) = SameTexts::by_text(texts) else {
        return Ok(Arc::new(texts.iter().collect::<StringViewArray>()));
    };
    let text = |row: usize| texts.is_valid(row).then(|| texts.value(row));
    let first = same.first.values().iter().map(|row| text(*row as usize));
    Ok(take(&first.collect::<StringViewArray>(), &same.numbers, None)?)
}

/// A failure of the inside, of which only an operator may know more: it has no
/// source, so that it is never taken for a fault of the statement's text.
#[derive(Debug)]
struct InsideError(DataFusionError);

impl fmt::Display for InsideError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "reading a table's files: {}", self.0)
    }
}

impl std::error::Error for InsideError {}

#[cfg(test)]
mod tests {
    use arrow::array::BooleanArray;
    use arrow::compute::cast;
    use arrow::compute::kernels::nullif::nullif;
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn a_copy_takes_the_same_memory_wherever_its_texts_were() {
        let texts = |distinct: usize| {
            (0..400).map(move |row| Some(format!("longer than a view, {}", row % distinct)))
        };
        let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
        let memory = |texts: &ArrayRef| texts.get_array_memory_size();
        for (distinct, is_smaller) in [(10, true), (300, false)] {
            let apart: ArrayRef = Arc::new(texts(distinct).collect::<StringViewArray>());
            let dictionary = cast(&apart, &dictionary).expect("a dictionary");
            let shared = cast(&dictionary, &DataType::Utf8View).expect("its views");
            assert!(memory(&shared) < memory(&apart));
            let copies = [&apart, &shared].map(|texts| {
                let mut copy = copied(texts.as_string_view()).expect("a copy");
                copy.shrink_to_fit();
                assert_eq!(&copy, &apart);
                memory(&copy)
            });
            assert_eq!(copies[0], copies[1]);
            assert_eq!(copies[0] < memory(&apart) / 2, is_smaller, "{copies:?}");
        }
    }

    #[test]
    fn what_stands_at_a_null_is_not_copied() {
        for distinct in [2, 90] {
            let text = |row: usize| format!("longer than a view, {}", row % distinct);
            let is_null = |row: usize| row.is_multiple_of(3);
            let texts: StringViewArray = (0..100).map(|row| Some(text(row))).collect();
            let nulls: BooleanArray = (0..100).map(|row| Some(is_null(row))).collect();
            let hidden = nullif(&texts, &nulls).expect("texts behind NULL");
            let clean: StringViewArray =
                (0..100).map(|row| (!is_null(row)).then(|| text(row))).collect();
            assert_eq!(hidden.as_string_view(), &clean);
            let [hidden, clean] = [hidden.as_string_view(), &clean].map(|texts| {
                let mut copy = copied(texts).expect("a copy");
                copy.shrink_to_fit();
                copy.to_data()
            });
            assert_eq!(hidden.buffers(), clean.buffers());
        }
    }
}
