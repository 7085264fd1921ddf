//! Exact counts of distinct codes by group.

use super::aggregate::{Groups, Rows, visit};
use super::dictionary::NULL_CODE;
use super::hashing::{FastMap, FastSet};
use super::packed::Longs;

/// In a mark: the code was not seen yet.
const UNSEEN: u32 = 0;
/// In a mark: some row takes events of this code back, so that it counts only
/// where events are left.
const REVERSED: u32 = 1;
/// A mark of this or more: the code was first seen in group `mark - FIRST`.
const FIRST: u32 = 2;

/// A table of marks costs memory in proportion to the dictionary; it pays
/// while the scan is not much smaller.
const TABLE_CODES_PER_ROW_MAX: usize = 16;

/// Most bits spent on codes that are seen in a second group (8 MiB).
const BITS_MAX: usize = 1 << 26;

/// Counts the distinct codes of each group. Remembers for each code the first
/// group it was seen in: seeing it there again costs one comparison. Codes
/// seen in further groups go to a set of (group, code).
#[derive(Debug)]
pub(super) struct Distinct {
    marks: Marks,
    further: Further,
    /// Events left by (group, code), of codes with reversals.
    left: FastMap<u64, i64>,
    counts: Vec<i64>,
    /// Place, group and code of a step's rows that need a closer look.
    unclear: Vec<(usize, usize, u32)>,
}

#[derive(Debug)]
enum Marks {
    Table(Vec<u32>),
    Map(FastMap<u32, u32>),
}

impl Distinct {
    /// `codes`: how many codes there are; `rows`: how many rows will be seen
    /// at most; `reversed`: codes with reversals.
    pub(super) fn new(codes: usize, rows: usize, reversed: impl Iterator<Item = u32>) -> Self {
        let marks = if codes <= rows.saturating_mul(TABLE_CODES_PER_ROW_MAX) {
            let mut table = vec![UNSEEN; codes];
            // Null is no code to count: never seen for the first time.
            table[NULL_CODE as usize] = REVERSED;
            reversed.for_each(|code| table[code as usize] = REVERSED);
            Marks::Table(table)
        } else {
            Marks::Map(reversed.map(|code| (code, REVERSED)).collect())
        };
        let further = Further { codes, bits: Vec::new(), set: FastSet::default() };
        Self { marks, further, left: FastMap::default(), counts: Vec::new(), unclear: Vec::new() }
    }

    pub(super) fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    pub(super) fn add(
        &mut self,
        codes: &[u32],
        events: &Longs,
        rows: Rows<'_>,
        groups: Groups<'_>,
    ) {
        let Self { marks, counts, unclear, .. } = self;
        match (marks, groups) {
            (Marks::Table(marks), Groups::One(group)) => {
                let mut count = 0;
                mark_rows(marks, codes, rows, groups, unclear, |_, first| count += first);
                counts[group] += count;
            }
            (Marks::Table(marks), Groups::Each(_)) => {
                mark_rows(marks, codes, rows, groups, unclear, |group, first| {
                    counts[group] += first;
                });
            }
            (Marks::Map(marks), _) => visit(codes, rows, groups, |place, group, code| {
                if code == NULL_CODE {
                    return;
                }
                let mark = marks.entry(code).or_insert(UNSEEN);
                if *mark == UNSEEN {
                    *mark = group as u32 + FIRST;
                    counts[group] += 1;
                } else if *mark != group as u32 + FIRST {
                    unclear.push((place, group, code));
                }
            }),
        }
        if !self.unclear.is_empty() {
            self.clear_up(events, rows);
        }
    }

    fn clear_up(&mut self, events: &Longs, rows: Rows<'_>) {
        for (place, group, code) in self.unclear.drain(..) {
            let mark = match &self.marks {
                Marks::Table(marks) => marks[code as usize],
                Marks::Map(marks) => marks.get(&code).copied().unwrap_or(UNSEEN),
            };
            if mark == REVERSED {
                let events = events.get(rows.at(place)).unwrap_or(0);
                *self.left.entry(pair(group, code)).or_insert(0) += events;
            } else if self.further.insert(group, code) {
                self.counts[group] += 1;
            }
        }
    }

    /// The count of each group.
    pub(super) fn finish(mut self) -> Vec<i64> {
        for (pair, events) in self.left {
            self.counts[(pair >> 32) as usize] += i64::from(events > 0);
        }
        self.counts
    }
}

/// Marks each row's code with its group and tells `count` 1 where it is seen
/// for the first time, else 0. Without a branch on that, since it is as good
/// as random. Codes with another mark are left in `unclear`.
#[inline(always)]
fn mark_rows(
    marks: &mut [u32],
    codes: &[u32],
    rows: Rows<'_>,
    groups: Groups<'_>,
    unclear: &mut Vec<(usize, usize, u32)>,
    mut count: impl FnMut(usize, i64),
) {
    visit(codes, rows, groups, |place, group, code| {
        let mark = &mut marks[code as usize];
        let (known, mine) = (*mark, group as u32 + FIRST);
        let first = known == UNSEEN;
        *mark = if first { mine } else { known };
        count(group, i64::from(first));
        if !first & (known != mine) & (code != NULL_CODE) {
            unclear.push((place, group, code));
        }
    });
}

fn pair(group: usize, code: u32) -> u64 {
    (group as u64) << 32 | u64::from(code)
}

/// A set of (group, code): a bit each for the first groups, hashed beyond.
#[derive(Debug)]
struct Further {
    codes: usize,
    bits: Vec<u64>,
    set: FastSet<u64>,
}

impl Further {
    fn insert(&mut self, group: usize, code: u32) -> bool {
        let bit = group.saturating_mul(self.codes).saturating_add(code as usize);
        if bit >= BITS_MAX {
            return self.set.insert(pair(group, code));
        }
        let word = bit / 64;
        if word >= self.bits.len() {
            // Room for this group and as many again.
            let words = (bit + self.codes).max(2 * 64 * self.bits.len()).min(BITS_MAX) / 64 + 1;
            self.bits.resize(words, 0);
        }
        let mask = 1 << (bit % 64);
        let fresh = self.bits[word] & mask == 0;
        self.bits[word] |= mask;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With few codes a table of marks and bits are used, with many a map
        /// and a hashed set.
        #[test]
        fn counts_are_those_of_a_set_of_pairs(
            pairs in vec((0_u32..5, 0_u32..8), 0..200),
            few in any::<bool>(),
        ) {
            let (codes, rows) = if few { (8, pairs.len()) } else { (BITS_MAX, 1) };
            let mut distinct = Distinct::new(codes, rows, std::iter::empty());
            distinct.grow(5);
            let events = Longs::with_capacity(0);
            for pairs in pairs.chunks(16) {
                let (groups, codes): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
                let rows = Rows::Run { start: 0, end: pairs.len() };
                distinct.add(&codes, &events, rows, Groups::Each(&groups));
            }
            let set: BTreeSet<_> = pairs.iter().filter(|(_, code)| *code != NULL_CODE).collect();
            let expected: Vec<i64> = (0..5)
                .map(|group| set.iter().filter(|(one, _)| *one == group).count() as i64)
                .collect();
            prop_assert_eq!(distinct.finish(), expected);
        }
    }
}
