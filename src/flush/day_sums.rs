//! The daily rows of files, in steps of bounded memory.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, Int8Array, RecordBatch};
use arrow::compute::{filter_record_batch, not};

use super::old_events::{IDENTITY_COLUMNS, for_each_key};
use crate::error::{Context, Error, Result};
use crate::lake::{Lake, LakeFile};
use crate::rollup::{daily_rows, has_reversals, merge_daily_rows, standing_daily_rows};

/// Rows aggregated in one step, which bounds memory.
const STEP_ROWS_MAX: usize = 1_000_000;

/// Rows that wait to be aggregated, and the sums of those that were.
#[derive(Debug, Default)]
struct Steps {
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    parts: Vec<RecordBatch>,
}

impl Steps {
    fn add(&mut self, rows: RecordBatch) -> Result<()> {
        self.pending_rows += rows.num_rows();
        self.pending.push(rows);
        match self.pending_rows >= STEP_ROWS_MAX {
            true => self.aggregate(),
            false => Ok(()),
        }
    }

    fn aggregate(&mut self) -> Result<()> {
        if self.pending_rows > 0 {
            self.parts.push(daily_rows(&self.pending)?);
        }
        self.pending.clear();
        self.pending_rows = 0;
        Ok(())
    }
}

/// The sums of rows of which none takes another one back, or of which it does
/// not matter.
pub(super) fn sums_of_files(lake: &Lake, files: &[LakeFile]) -> Result<RecordBatch> {
    let mut steps = Steps::default();
    for file in files {
        for batch in lake.events.read_file(file, None)? {
            steps.add(batch?)?;
        }
    }
    steps.aggregate()?;
    joined(steps.parts)
}

/// The sums of a whole day: events that were taken back there leave nothing
/// but their number. An event and its reversal may be far apart, so the rows
/// of these events are held in memory, and only theirs.
pub(super) fn sums_of_day(lake: &Lake, files: &[LakeFile]) -> Result<RecordBatch> {
    let mut reversed = HashSet::new();
    for file in files {
        reversed.extend(reversed_events(lake, file)?);
    }
    if reversed.is_empty() {
        return sums_of_files(lake, files);
    }
    let (mut steps, mut held) = (Steps::default(), Vec::new());
    for file in files {
        for batch in lake.events.read_file(file, None)? {
            let batch = batch?;
            let mut is_held = Vec::with_capacity(batch.num_rows());
            for_each_key(&batch, |key| is_held.push(reversed.contains(&key)))?;
            let is_held = BooleanArray::from(is_held);
            let doing = "parting the rows of a day";
            held.push(filter_record_batch(&batch, &is_held).internal(doing)?);
            let others = not(&is_held).internal(doing)?;
            steps.add(filter_record_batch(&batch, &others).internal(doing)?)?;
        }
    }
    steps.aggregate()?;
    steps.parts.push(standing_daily_rows(&held)?);
    joined(steps.parts)
}

/// Parts of sums as one.
pub(super) fn joined(mut parts: Vec<RecordBatch>) -> Result<RecordBatch> {
    match parts.len() {
        1 => parts.pop().ok_or_else(|| Error::internal("no part")),
        _ => merge_daily_rows(&parts),
    }
}

/// The keys of the events of which a row of `file` takes one back. Few files
/// have any, so their quantities are looked at first.
pub(super) fn reversed_events(lake: &Lake, file: &LakeFile) -> Result<HashSet<u128>> {
    let mut reversed = HashSet::new();
    let mut any = false;
    for batch in lake.events.read_file(file, Some(&["quantity"]))? {
        any |= has_reversals(&batch?)?;
    }
    if !any {
        return Ok(reversed);
    }
    let columns = [&IDENTITY_COLUMNS[..], &["quantity"]].concat();
    for batch in lake.events.read_file(file, Some(&columns))? {
        let batch = batch?;
        let quantity = batch.column_by_name("quantity");
        let quantity: Option<&Int8Array> = quantity.and_then(|column| column.as_primitive_opt());
        let quantity = quantity.ok_or_else(|| Error::internal("rows have no quantity"))?;
        let mut row = 0;
        for_each_key(&batch, |key| {
            reversed.extend((quantity.value(row) < 0).then_some(key));
            row += 1;
        })?;
    }
    Ok(reversed)
}
