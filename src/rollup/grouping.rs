//! Gives the rows of a scan their group numbers.

use super::aggregate::{Groups, Rows, visit};
use super::hashing::FastMap;
use super::plan::{Key, KeyColumn, Plan, Slice};
use super::scan::ScanLimits;
use super::segment::{Columns, ORGANIZATION};

/// Keys of up to this many bits index a table whatever the scan's size.
const TABLE_BITS_MIN: u32 = 14;

/// Gives each distinct key of the group columns a group number.
#[derive(Debug)]
pub(super) struct Grouping {
    /// Keys of a step, then the group numbers of its rows.
    keys: Vec<u64>,
    groups: Vec<u32>,
    key_bits_max: u32,
    /// Numbers for the leading parts of keys that need more than 64 bits.
    folds: Vec<FastMap<u64, u32>>,
    index: Index,
    pub(super) examples: Vec<(usize, usize)>,
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
    pub(super) fn new(keys: &[Key], rows: usize, limits: &ScanLimits) -> Self {
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
    pub(super) fn assign(
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
