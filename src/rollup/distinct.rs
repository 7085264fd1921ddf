//! Exact counts of distinct codes by group.

use super::dictionary::NULL_CODE;
use super::hashing::{FastMap, FastSet};
use super::packed::{Groups, Longs, Rows, visit};

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
            reversed.for_each(|code| table[code as usize] = REVERSED);
            Marks::Table(table)
        } else {
            Marks::Map(reversed.map(|code| (code, REVERSED)).collect())
        };
        let further = Further { codes, bits: Vec::new(), set: FastSet::default() };
        Self { marks, further, left: FastMap::default(), counts: Vec::new() }
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
        let Self { marks, further, left, counts } = self;
        // Not inlined into the loop: rows come here once a code and group.
        let mut rare = |place: usize, group: usize, code: u32, mark: u32| {
            if mark == REVERSED {
                let events = events.get(rows.at(place)).unwrap_or(0);
                *left.entry(pair(group, code)).or_insert(0) += events;
            } else if further.insert(group, code) {
                counts[group] += 1;
            }
        };
        let mut first_seen: Vec<usize> = Vec::new();
        match marks {
            Marks::Table(marks) => visit(codes, rows, groups, |place, group, code| {
                let mark = &mut marks[code as usize];
                if *mark == group as u32 + FIRST || code == NULL_CODE {
                    // Counted already, or nothing to count.
                } else if *mark == UNSEEN {
                    *mark = group as u32 + FIRST;
                    first_seen.push(group);
                } else {
                    rare(place, group, code, *mark);
                }
            }),
            Marks::Map(marks) => visit(codes, rows, groups, |place, group, code| {
                if code == NULL_CODE {
                    return;
                }
                let mark = marks.entry(code).or_insert(UNSEEN);
                if *mark == UNSEEN {
                    *mark = group as u32 + FIRST;
                    first_seen.push(group);
                } else if *mark != group as u32 + FIRST {
                    rare(place, group, code, *mark);
                }
            }),
        }
        first_seen.into_iter().for_each(|group| counts[group] += 1);
    }

    /// The count of each group.
    pub(super) fn finish(mut self) -> Vec<i64> {
        for (pair, events) in self.left {
            self.counts[(pair >> 32) as usize] += i64::from(events > 0);
        }
        self.counts
    }
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
