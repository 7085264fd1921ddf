//! The word of the latest row of each group; of several at the same time, the
//! greatest word.

use super::aggregate::{Groups, Rows, visit};
use super::dictionary::{NULL_CODE, TextDictionary};

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
        if let Groups::One(group) = groups {
            self.add_to_one(codes, times, rows, group);
        } else {
            let Self { best, ties, .. } = self;
            visit(times, rows, groups, |place, group, time| {
                let best = &mut best[group];
                if time >= best.0 {
                    update(best, ties, group, (time, codes[rows.at(place)]));
                }
            });
        }
        if self.ties.len() > self.ties_max.max(TIES_MAX) {
            self.drop_overtaken();
        }
    }

    /// Rows are sorted by date, so that nearly each is later than those before
    /// it: finds the latest first, and then looks at those as late.
    fn add_to_one(&mut self, codes: &[u32], times: &[i64], rows: Rows<'_>, group: usize) {
        let mut latest = i64::MIN;
        visit(times, rows, Groups::One(group), |place, _, time| {
            let null = codes[rows.at(place)] == NULL_CODE;
            latest = latest.max(if null { i64::MIN } else { time });
        });
        let best = &mut self.best[group];
        if latest < best.0 {
            return;
        }
        visit(times, rows, Groups::One(group), |place, _, time| {
            if time == latest {
                update(best, &mut self.ties, group, (time, codes[rows.at(place)]));
            }
        });
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

/// Takes in a row that is at least as late as the best one of its group.
#[cold]
fn update(
    best: &mut (i64, u32),
    ties: &mut Vec<(usize, i64, u32)>,
    group: usize,
    (time, code): (i64, u32),
) {
    if code == NULL_CODE {
        return;
    }
    if time > best.0 || best.1 == NULL_CODE {
        *best = (time, code);
    } else if code != best.1 {
        ties.push((group, time, code));
    }
}
