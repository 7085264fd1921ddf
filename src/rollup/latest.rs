//! The word of the latest row of each group; of several at the same time, the
//! greatest word.

use super::dictionary::{NULL_CODE, TextDictionary};
use super::packed::{Groups, Rows, visit};

/// Ties kept before those that were overtaken are thrown out.
const TIES_MAX: usize = 1 << 16;

/// The code of the latest row of each group. Words are not known during the
/// scan, so rows at the very time of the latest one are kept as ties.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// The latest time and its code; null code: no row with a word yet.
    best: Vec<(i64, u32)>,
    /// Group, time and code of rows that were as late as the best one.
    ties: Vec<(usize, i64, u32)>,
    ties_max: usize,
}

impl Latest {
    pub(super) fn grow(&mut self, groups: usize) {
        self.best.resize(groups, (i64::MIN, NULL_CODE));
    }

    pub(super) fn add(&mut self, codes: &[u32], times: &[i64], rows: Rows<'_>, groups: Groups<'_>) {
        let Self { best, ties, .. } = self;
        visit(times, rows, groups, |place, group, time| {
            let best = &mut best[group];
            if time < best.0 {
                return;
            }
            let code = codes[rows.at(place)];
            if code == NULL_CODE || code == best.1 {
                best.0 = if code == NULL_CODE { best.0 } else { time };
            } else if time > best.0 || best.1 == NULL_CODE {
                *best = (time, code);
            } else {
                ties.push((group, time, code));
            }
        });
        if self.ties.len() > self.ties_max.max(TIES_MAX) {
            self.drop_overtaken();
        }
    }

    fn drop_overtaken(&mut self) {
        let best = &self.best;
        self.ties.retain(|(group, time, _)| best[*group].0 == *time);
        self.ties.sort_unstable();
        self.ties.dedup();
        self.ties_max = self.ties.len() * 2;
    }

    /// The time and code of each group's word; the null code where no row has
    /// one.
    pub(super) fn finish(mut self, texts: &TextDictionary) -> Vec<(i64, u32)> {
        self.drop_overtaken();
        for (group, _, code) in self.ties {
            let best = &mut self.best[group];
            if texts.text(code) > texts.text(best.1) {
                best.1 = code;
            }
        }
        self.best
    }
}
