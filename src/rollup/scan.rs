//! The one pass over coded rows: filter, find each row's group, add up. It
//! runs step by step, a column at a time within each step, so that every inner
//! loop is short and the rows of a step stay in the processor's cache.

use std::sync::Arc;

use super::aggregate::{Rows, steps};
use super::grouping::Grouping;
use super::measures::GroupMeasures;
use super::plan::{Accept, Plan, Slice, has_bit};
use super::segment::{Columns, Segment};
use crate::error::{Error, ErrorKind, Result};

/// Where the scan changes its ways. Tests hand in small ones.
#[derive(Debug, Clone)]
pub(super) struct ScanLimits {
    /// Rows of one step.
    pub(super) step_rows: usize,
    /// Rows an organization, on average, from which a segment is read
    /// organization by organization.
    pub(super) run_rows_min: usize,
    /// Bits of a key before its leading parts are replaced by a number.
    pub(super) key_bits_max: u32,
    /// Most groups of one answer: each holds about 300 bytes of state.
    pub(super) groups_max: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { step_rows: 2048, run_rows_min: 64, key_bits_max: u64::BITS, groups_max: 2_000_000 }
    }
}

/// The groups of one answer, in no particular order.
#[derive(Debug)]
pub(super) struct Grouped {
    /// One row of each group: its segment's place in the snapshot, and the row.
    pub(super) examples: Vec<(usize, usize)>,
    pub(super) measures: GroupMeasures,
}

/// Reads what `plan` asks for. Fails with `LimitExceeded` when the answer
/// would have too many groups.
pub(super) fn scan(plan: &Plan, segments: &[Arc<Segment>], limits: &ScanLimits) -> Result<Grouped> {
    let slices = plan.slices(segments, limits.run_rows_min);
    let rows = slices.iter().map(|slice| slice.rows.len()).sum();
    let mut measures = GroupMeasures::new(plan, segments, rows);
    let mut grouping = Grouping::new(&plan.keys, rows, limits);
    let mut picks = vec![0; limits.step_rows];
    for slice in &slices {
        let columns = &segments[slice.segment].columns;
        for step in steps(slice.rows.clone(), limits.step_rows) {
            let rows = pick(plan, columns, slice, step, &mut picks);
            if rows.len() == 0 {
                continue;
            }
            let (groups, count) = grouping.assign(plan, columns, slice, rows);
            if count > limits.groups_max {
                return Err(too_many_groups(limits.groups_max));
            }
            measures.add_step(columns, rows, groups, count);
        }
    }
    Ok(Grouped { examples: grouping.examples, measures })
}

fn too_many_groups(groups_max: usize) -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "the answer has more than {groups_max} groups, the most that is kept in memory; \
             ask for fewer dates, fewer dimensions, or one organization"
        ),
    )
}

/// The rows of a step that pass the filters.
fn pick<'a>(
    plan: &Plan,
    columns: &Columns,
    slice: &Slice,
    step: std::ops::Range<usize>,
    picks: &'a mut [u32],
) -> Rows<'a> {
    let mut count = None;
    let all = Rows::Run { start: step.start, end: step.end };
    if !slice.dates_match {
        let dates = plan.date_from..=plan.date_to;
        count = Some(keep(&columns.dates, all, count, picks, |date| dates.contains(&date)));
    }
    for (column, accept) in &plan.accepts {
        let codes = &columns.codes[*column];
        count = Some(match accept {
            Accept::One(accepted) => keep(codes, all, count, picks, |code| code == *accepted),
            Accept::Many(bits) => keep(codes, all, count, picks, |code| has_bit(bits, code)),
        });
    }
    if let Some(parts) = plan.parts_of(slice) {
        count = Some(keep_rows(all, count, picks, |row| parts.holds(columns, row)));
    }
    count.map_or(all, |count| Rows::Picked(&picks[..count]))
}

/// Keeps those of the first `count` picks, or of `all` before the first
/// filter, whose value is accepted; returns how many are left.
fn keep<T: Copy>(
    column: &[T],
    all: Rows<'_>,
    count: Option<usize>,
    picks: &mut [u32],
    accept: impl Fn(T) -> bool,
) -> usize {
    keep_rows(all, count, picks, |row| accept(column[row]))
}

/// As [`keep`], by the row instead of one of its values.
#[inline(always)]
fn keep_rows(
    all: Rows<'_>,
    count: Option<usize>,
    picks: &mut [u32],
    accept: impl Fn(usize) -> bool,
) -> usize {
    let mut kept = 0;
    for place in 0..count.unwrap_or(all.len()) {
        let row = if count.is_some() { picks[place] as usize } else { all.at(place) };
        // Written always, kept by the step forward: no branch to mispredict.
        picks[kept] = row as u32;
        kept += usize::from(accept(row));
    }
    kept
}
