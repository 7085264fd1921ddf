//! The one pass over coded rows: filter, find each row's group, add up. It
//! runs step by step, a column at a time within each step, so that every inner
//! loop is short and the rows of a step stay in the processor's cache.

use std::sync::Arc;

use super::distinct::Distinct;
use super::hashing::FastMap;
use super::latest::Latest;
use super::packed::{GroupSums, Groups, Rows, steps, visit};
use super::plan::{Accept, Key, KeyColumn, Plan, Slice, has_bit};
use super::segment::{CONVERSATION, Columns, ORGANIZATION, STATUS, Segment, TOPIC, USER};
use super::sums::{COUNTS, ENTRIES, EVENTS, UNCHARGED_EVENTS};
use crate::error::{Error, ErrorKind, Result};

/// Keys of up to this many bits index a table whatever the scan's size.
const TABLE_BITS_MIN: u32 = 14;

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
            measures.add(columns, rows, groups, count);
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
    let mut kept = 0;
    for place in 0..count.unwrap_or(all.len()) {
        let row = if count.is_some() { picks[place] as usize } else { all.at(place) };
        // Written always, kept by the step forward: no branch to mispredict.
        picks[kept] = row as u32;
        kept += usize::from(accept(column[row]));
    }
    kept
}

/// Gives each distinct key of the group columns a group number.
#[derive(Debug)]
struct Grouping {
    /// Keys of a step, then the group numbers of its rows.
    keys: Vec<u64>,
    groups: Vec<u32>,
    key_bits_max: u32,
    /// Numbers for the leading parts of keys that need more than 64 bits.
    folds: Vec<FastMap<u64, u32>>,
    index: Index,
    examples: Vec<(usize, usize)>,
    /// Whether rows of one organization are always of one group.
    by_organization: bool,
}

/// From key to group number.
#[derive(Debug)]
enum Index {
    /// By key; a group's number plus one, 0 = none yet.
    Table(Vec<u32>),
    Map(FastMap<u64, u32>),
}

impl Grouping {
    fn new(keys: &[Key], rows: usize, limits: &ScanLimits) -> Self {
        let (mut bits, mut folds) = (0, Vec::new());
        for key in keys {
            bits = if bits + key.bits > limits.key_bits_max {
                folds.push(FastMap::default());
                u32::BITS + key.bits
            } else {
                bits + key.bits
            };
        }
        // A table costs memory by its size; it pays unless the scan is small.
        let table = bits <= TABLE_BITS_MIN || bits < 26 && 1 << bits <= rows.saturating_mul(16);
        let index =
            if table { Index::Table(vec![0; 1 << bits]) } else { Index::Map(FastMap::default()) };
        let organization = KeyColumn::Coded(ORGANIZATION);
        Self {
            keys: vec![0; limits.step_rows],
            groups: vec![0; limits.step_rows],
            key_bits_max: limits.key_bits_max,
            folds,
            index,
            examples: Vec::new(),
            by_organization: keys.iter().all(|key| key.column == organization),
        }
    }

    /// The groups of the rows of a step, of which there is at least one, and
    /// how many groups there are now.
    fn assign(
        &mut self,
        plan: &Plan,
        columns: &Columns,
        slice: &Slice,
        rows: Rows<'_>,
    ) -> (Groups<'_>, usize) {
        if plan.keys.is_empty() || self.by_organization && slice.one_organization {
            let row = rows.at(0);
            self.number(plan, columns, slice, Rows::Run { start: row, end: row + 1 });
            return (Groups::One(self.groups[0] as usize), self.examples.len());
        }
        self.number(plan, columns, slice, rows);
        (Groups::Each(&self.groups[..rows.len()]), self.examples.len())
    }

    fn number(&mut self, plan: &Plan, columns: &Columns, slice: &Slice, rows: Rows<'_>) {
        let keys = &mut self.keys[..rows.len()];
        keys.fill(0);
        let (mut bits, mut folds) = (0, self.folds.iter_mut());
        for key in &plan.keys {
            if bits + key.bits > self.key_bits_max {
                if let Some(fold) = folds.next() {
                    fold_keys(fold, keys);
                }
                bits = u32::BITS;
            }
            bits += key.bits;
            match key.column {
                KeyColumn::Coded(column) => {
                    visit(&columns.codes[column], rows, Groups::One(0), |place, _, code| {
                        keys[place] = keys[place] << key.bits | u64::from(code);
                    });
                }
                KeyColumn::Date => append_buckets(keys, key.bits, plan, &columns.dates, rows),
            }
        }
        let Self { keys, groups, index, examples, .. } = self;
        let mut last: Option<(u64, u32)> = None;
        for place in 0..rows.len() {
            let key = keys[place];
            let group = match last {
                Some((same, group)) if same == key => group,
                _ => {
                    let next = examples.len() as u32;
                    let group = index.group(key, next);
                    if group == next {
                        examples.push((slice.segment, rows.at(place)));
                    }
                    group
                }
            };
            last = Some((key, group));
            groups[place] = group;
        }
    }
}

impl Index {
    /// The group of `key`: `next` when it has none yet.
    fn group(&mut self, key: u64, next: u32) -> u32 {
        match self {
            Self::Map(groups) => *groups.entry(key).or_insert(next),
            Self::Table(groups) => {
                let group = &mut groups[key as usize];
                if *group == 0 {
                    *group = next + 1;
                }
                *group - 1
            }
        }
    }
}

/// Replaces keys by numbers of 32 bits, the same for the same key.
fn fold_keys(fold: &mut FastMap<u64, u32>, keys: &mut [u64]) {
    for key in keys {
        let next = fold.len() as u32;
        *key = u64::from(*fold.entry(*key).or_insert(next));
    }
}

fn append_buckets(keys: &mut [u64], bits: u32, plan: &Plan, dates: &[i32], rows: Rows<'_>) {
    // Neighbours mostly share their date.
    let mut last = (plan.date_from, 0);
    visit(dates, rows, Groups::One(0), |place, _, date| {
        if date != last.0 {
            last = (date, plan.bucket_code(date));
        }
        keys[place] = keys[place] << bits | u64::from(last.1);
    });
}

/// The measures of every group, by group number.
#[derive(Debug)]
pub(super) struct GroupMeasures {
    pub(super) counts: [GroupSums<i64>; COUNTS.len()],
    pub(super) duration_ms: GroupSums<i64>,
    pub(super) actual: GroupSums<i128>,
    pub(super) charged: GroupSums<i128>,
    pub(super) unpriced_charged: GroupSums<i128>,
    pub(super) first: Vec<i64>,
    pub(super) last: Vec<i64>,
    pub(super) status: Latest,
    pub(super) topic: Latest,
    pub(super) users: Distinct,
    pub(super) conversations: Distinct,
}

impl GroupMeasures {
    fn new(plan: &Plan, segments: &[Arc<Segment>], rows: usize) -> Self {
        let users = segments.iter().flat_map(|segment| segment.reversed_users.iter().copied());
        let conversations =
            segments.iter().flat_map(|segment| segment.reversed_conversations.iter().copied());
        Self {
            counts: Default::default(),
            duration_ms: GroupSums::default(),
            actual: GroupSums::default(),
            charged: GroupSums::default(),
            unpriced_charged: GroupSums::default(),
            first: Vec::new(),
            last: Vec::new(),
            status: Latest::default(),
            topic: Latest::default(),
            users: Distinct::new(plan.users, rows, users),
            conversations: Distinct::new(plan.conversations, rows, conversations),
        }
    }

    /// Makes room for `count` groups.
    pub(super) fn grow(&mut self, count: usize) {
        for sums in self.counts.iter_mut().chain([&mut self.duration_ms]) {
            sums.grow(count);
        }
        for sums in [&mut self.actual, &mut self.charged, &mut self.unpriced_charged] {
            sums.grow(count);
        }
        self.first.resize(count, i64::MAX);
        self.last.resize(count, i64::MIN);
        self.status.grow(count);
        self.topic.grow(count);
        self.users.grow(count);
        self.conversations.grow(count);
    }

    fn add(&mut self, columns: &Columns, rows: Rows<'_>, groups: Groups<'_>, count: usize) {
        if count > self.first.len() {
            self.grow(count);
        }
        let measures = &columns.measures;
        for (place, (sums, column)) in self.counts.iter_mut().zip(&measures.counts).enumerate() {
            if place != ENTRIES && place != UNCHARGED_EVENTS {
                sums.add(column, rows, groups);
            }
        }
        self.duration_ms.add(&measures.duration_ms, rows, groups);
        self.actual.add(&measures.actual, rows, groups);
        self.charged.add(&measures.charged, rows, groups);
        self.unpriced_charged.add(&measures.unpriced_charged, rows, groups);
        let (first, last) = (&mut self.first[..], &mut self.last[..]);
        visit(&measures.first, rows, groups, |_, group, time| {
            first[group] = first[group].min(time);
        });
        visit(&measures.last, rows, groups, |_, group, time| {
            last[group] = last[group].max(time);
        });
        self.status.add(&columns.codes[STATUS], &measures.last, rows, groups);
        self.topic.add(&columns.codes[TOPIC], &measures.last, rows, groups);
        let events = &measures.counts[EVENTS];
        self.users.add(&columns.codes[USER], events, rows, groups);
        self.conversations.add(&columns.codes[CONVERSATION], events, rows, groups);
    }

    /// Whether some sum went beyond its width.
    pub(super) fn overflowed(&self) -> bool {
        let longs = self.counts.iter().chain([&self.duration_ms]);
        let monies = [&self.actual, &self.charged, &self.unpriced_charged];
        longs.into_iter().any(|sums| sums.overflowed)
            || monies.into_iter().any(|sums| sums.overflowed)
    }
}
