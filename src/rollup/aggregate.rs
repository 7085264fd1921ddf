//! The inner loops of the scan: rows of a step, their groups, and sums by
//! group.

use std::ops::Range;

use super::packed::{Packed, Stored};

/// Rows of one segment that a step of the scan reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Neighbours.
    Run { start: usize, end: usize },
    /// These, ascending.
    Picked(&'a [u32]),
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Run { start, end } => end - start,
            Self::Picked(rows) => rows.len(),
        }
    }

    /// The rows at some places of the step.
    pub(super) fn part(&self, places: Range<usize>) -> Self {
        match self {
            Self::Run { start, .. } => {
                Self::Run { start: start + places.start, end: start + places.end }
            }
            Self::Picked(rows) => Self::Picked(&rows[places]),
        }
    }

    /// The row at a place of the step.
    pub(super) fn at(&self, place: usize) -> usize {
        match self {
            Self::Run { start, .. } => start + place,
            Self::Picked(rows) => rows[place] as usize,
        }
    }
}

/// The groups that the rows of a step belong to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Groups<'a> {
    /// All to this one.
    One(usize),
    /// One group for each row.
    Each(&'a [u32]),
}

/// Calls `visit(place in the step, group, value)` for each row. The one loop
/// that every aggregate runs in: inlined, it has no branch on the kind of
/// rows or groups inside.
#[inline(always)]
pub(super) fn visit<T: Copy>(
    column: &[T],
    rows: Rows<'_>,
    groups: Groups<'_>,
    mut visit: impl FnMut(usize, usize, T),
) {
    match (rows, groups) {
        (Rows::Run { start, end }, Groups::One(group)) => {
            for (place, value) in column[start..end].iter().enumerate() {
                visit(place, group, *value);
            }
        }
        (Rows::Run { start, end }, Groups::Each(groups)) => {
            let values = column[start..end].iter().zip(groups);
            for (place, (value, group)) in values.enumerate() {
                visit(place, *group as usize, *value);
            }
        }
        (Rows::Picked(rows), Groups::One(group)) => {
            for (place, row) in rows.iter().enumerate() {
                visit(place, group, column[*row as usize]);
            }
        }
        (Rows::Picked(rows), Groups::Each(groups)) => {
            for (place, (row, group)) in rows.iter().zip(groups).enumerate() {
                visit(place, *group as usize, column[*row as usize]);
            }
        }
    }
}

/// A sum's number: 64 bits for counts, 128 for picos.
pub(super) trait Total: Copy + Default {
    fn overflowing_plus(self, other: Self) -> (Self, bool);
}

impl Total for i64 {
    fn overflowing_plus(self, other: Self) -> (Self, bool) {
        self.overflowing_add(other)
    }
}

impl Total for i128 {
    fn overflowing_plus(self, other: Self) -> (Self, bool) {
        self.overflowing_add(other)
    }
}

/// Sums of one column by group.
#[derive(Debug, Default)]
pub(super) struct GroupSums<W> {
    pub(super) totals: Vec<W>,
    /// Whether the group had a value that is not null; kept for columns that
    /// are added with [`GroupSums::add_nullable`].
    pub(super) seen: Vec<bool>,
    pub(super) overflowed: bool,
}

impl<W: Total + Stored> GroupSums<W> {
    pub(super) fn grow(&mut self, groups: usize) {
        self.totals.resize(groups, W::default());
        self.seen.resize(groups, false);
    }

    /// Adds a column without nulls.
    pub(super) fn add<N>(&mut self, column: &Packed<N, W>, rows: Rows<'_>, groups: Groups<'_>)
    where
        N: Stored + Into<W>,
    {
        self.overflowed |= match column {
            Packed::Zero { .. } => false,
            Packed::Narrow(values) => self.add_values::<N, true>(values, rows, groups),
            Packed::Wide(values) => self.add_values::<W, false>(values, rows, groups),
        };
    }

    /// Adds a column that may have nulls.
    pub(super) fn add_nullable<N>(
        &mut self,
        column: &Packed<N, W>,
        rows: Rows<'_>,
        groups: Groups<'_>,
    ) where
        N: Stored + Into<W>,
    {
        self.overflowed |= match column {
            Packed::Zero { .. } => {
                match groups {
                    Groups::One(group) => self.seen[group] |= rows.len() > 0,
                    Groups::Each(groups) => {
                        groups.iter().for_each(|group| self.seen[*group as usize] = true);
                    }
                }
                false
            }
            Packed::Narrow(values) => self.add_present::<N, true>(values, rows, groups),
            Packed::Wide(values) => self.add_present::<W, false>(values, rows, groups),
        };
    }

    /// Returns whether a sum overflowed. `NARROW` values cannot overflow the
    /// sum of one step, so that the compiler may add several at once.
    fn add_values<V: Stored + Into<W>, const NARROW: bool>(
        &mut self,
        values: &[V],
        rows: Rows<'_>,
        groups: Groups<'_>,
    ) -> bool {
        let mut overflowed = false;
        if let Groups::One(group) = groups {
            let mut step = W::default();
            visit(values, rows, groups, |_, _, value| {
                let (sum, over) = step.overflowing_plus(value.into());
                step = sum;
                overflowed |= over && !NARROW;
            });
            let (sum, over) = self.totals[group].overflowing_plus(step);
            self.totals[group] = sum;
            return overflowed | over;
        }
        let totals = &mut self.totals[..];
        visit(values, rows, groups, |_, group, value| {
            let (sum, over) = totals[group].overflowing_plus(value.into());
            totals[group] = sum;
            overflowed |= over;
        });
        overflowed
    }

    /// As [`Self::add_values`], for values of which some are null.
    fn add_present<V: Stored + Into<W>, const NARROW: bool>(
        &mut self,
        values: &[V],
        rows: Rows<'_>,
        groups: Groups<'_>,
    ) -> bool {
        let mut overflowed = false;
        if let Groups::One(group) = groups {
            let (mut step, mut seen) = (W::default(), false);
            visit(values, rows, groups, |_, _, value| {
                let null = value == V::NULL;
                let value = if null { W::default() } else { value.into() };
                let (sum, over) = step.overflowing_plus(value);
                step = sum;
                seen |= !null;
                overflowed |= over && !NARROW;
            });
            let (sum, over) = self.totals[group].overflowing_plus(step);
            self.totals[group] = sum;
            self.seen[group] |= seen;
            return overflowed | over;
        }
        let (totals, seen) = (&mut self.totals[..], &mut self.seen[..]);
        visit(values, rows, groups, |_, group, value| {
            if value != V::NULL {
                let (sum, over) = totals[group].overflowing_plus(value.into());
                totals[group] = sum;
                seen[group] = true;
                overflowed |= over;
            }
        });
        overflowed
    }
}

/// Replaces each group's time by the one that `choose` prefers.
pub(super) fn choose_times(
    chosen: &mut [i64],
    times: &[i64],
    rows: Rows<'_>,
    groups: Groups<'_>,
    choose: impl Fn(i64, i64) -> i64,
) {
    if let Groups::One(group) = groups {
        let mut best = chosen[group];
        visit(times, rows, groups, |_, _, time| best = choose(best, time));
        chosen[group] = best;
    } else {
        visit(times, rows, groups, |_, group, time| chosen[group] = choose(chosen[group], time));
    }
}

/// Places of a run, cut into steps of at most `step_rows`.
pub(super) fn steps(rows: Range<usize>, step_rows: usize) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(step_rows).map(move |start| start..end.min(start + step_rows))
}

#[cfg(test)]
mod tests {
    use super::super::packed::Longs;
    use super::*;

    #[test]
    fn a_sum_beyond_its_width_is_noticed() {
        let mut column = Longs::with_capacity(2);
        [i64::MAX, 1].iter().for_each(|value| column.push(Some(*value)));
        for groups in [Groups::One(0), Groups::Each(&[0, 0])] {
            let mut sums = GroupSums::default();
            sums.grow(1);
            sums.add(&column, Rows::Run { start: 0, end: 2 }, groups);
            assert!(sums.overflowed);
        }
    }
}
