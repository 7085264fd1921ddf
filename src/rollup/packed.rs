//! Columns of numbers in the width that their values need, and sums of them
//! by group.

use std::ops::Range;

use super::sums::DailySums;

/// A number as stored. Its least value stands for null, so it is never stored
/// as a value.
pub(super) trait Stored: Copy + PartialEq {
    const NULL: Self;
}

impl Stored for i32 {
    const NULL: Self = Self::MIN;
}

impl Stored for i64 {
    const NULL: Self = Self::MIN;
}

impl Stored for i128 {
    const NULL: Self = Self::MIN;
}

/// A column that starts as zeros, and becomes wider when a value asks for it:
/// most columns of most segments are all zero, or fit the narrow type.
#[derive(Debug, Clone)]
pub(super) enum Packed<N, W> {
    /// All zero; how many, and how many to make room for.
    Zero {
        len: usize,
        capacity: usize,
    },
    Narrow(Vec<N>),
    Wide(Vec<W>),
}

/// Counts, tokens, milliseconds.
pub(super) type Longs = Packed<i32, i64>;
/// Picos.
pub(super) type Monies = Packed<i64, i128>;

impl<N, W> Packed<N, W>
where
    N: Stored + Into<W> + TryFrom<W> + Default,
    W: Stored + Default,
{
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self::Zero { len: 0, capacity }
    }

    pub(super) fn push(&mut self, value: Option<W>) {
        let narrow = match value {
            None => Some(N::NULL),
            Some(value) => N::try_from(value).ok().filter(|narrow| *narrow != N::NULL),
        };
        match (&mut *self, narrow) {
            (Self::Zero { len, .. }, _) if value == Some(W::default()) => *len += 1,
            (Self::Narrow(values), Some(narrow)) => values.push(narrow),
            (Self::Wide(values), _) => values.push(value.unwrap_or(W::NULL)),
            _ => {
                self.widen();
                self.push(value);
            }
        }
    }

    fn widen(&mut self) {
        *self = match self {
            Self::Zero { len, capacity } => {
                let mut values = Vec::with_capacity((*capacity).max(*len + 1));
                values.resize(*len, N::default());
                Self::Narrow(values)
            }
            Self::Narrow(values) => {
                let mut wide = Vec::with_capacity(values.capacity());
                wide.extend(values.iter().map(|value| widened::<N, W>(*value)));
                Self::Wide(wide)
            }
            Self::Wide(values) => Self::Wide(std::mem::take(values)),
        };
    }

    /// The value, null or not.
    pub(super) fn get(&self, row: usize) -> Option<W> {
        let value = match self {
            Self::Zero { .. } => W::default(),
            Self::Narrow(values) => widened(values[row]),
            Self::Wide(values) => values[row],
        };
        (value != W::NULL).then_some(value)
    }

    pub(super) fn shrink(&mut self) {
        match self {
            Self::Zero { .. } => {}
            Self::Narrow(values) => values.shrink_to_fit(),
            Self::Wide(values) => values.shrink_to_fit(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Zero { .. } => 0,
            Self::Narrow(values) => values.capacity() * size_of::<N>(),
            Self::Wide(values) => values.capacity() * size_of::<W>(),
        }
    }
}

fn widened<N: Stored + Into<W>, W: Stored>(value: N) -> W {
    if value == N::NULL { W::NULL } else { value.into() }
}

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
    /// Whether the group had a value that is not null.
    pub(super) seen: Vec<bool>,
    pub(super) overflowed: bool,
}

impl<W: Total + Stored> GroupSums<W> {
    pub(super) fn grow(&mut self, groups: usize) {
        self.totals.resize(groups, W::default());
        self.seen.resize(groups, false);
    }

    pub(super) fn add<N>(&mut self, column: &Packed<N, W>, rows: Rows<'_>, groups: Groups<'_>)
    where
        N: Stored + Into<W>,
    {
        match column {
            Packed::Zero { .. } => match groups {
                Groups::One(group) => self.seen[group] |= rows.len() > 0,
                Groups::Each(groups) => {
                    groups.iter().for_each(|group| self.seen[*group as usize] = true);
                }
            },
            Packed::Narrow(values) => self.add_values::<N, true>(values, rows, groups),
            Packed::Wide(values) => self.add_values::<W, false>(values, rows, groups),
        }
    }

    /// `NARROW` values cannot overflow the sum of one step, so that the
    /// compiler may add several at once.
    fn add_values<V: Stored + Into<W>, const NARROW: bool>(
        &mut self,
        values: &[V],
        rows: Rows<'_>,
        groups: Groups<'_>,
    ) {
        let mut overflowed = false;
        if let Groups::One(group) = groups {
            let (mut total, mut seen) = (W::default(), false);
            visit(values, rows, groups, |_, _, value| {
                let null = value == V::NULL;
                let value = if null { W::default() } else { value.into() };
                let (sum, over) = total.overflowing_plus(value);
                total = sum;
                seen |= !null;
                overflowed |= over && !NARROW;
            });
            let (sum, over) = self.totals[group].overflowing_plus(total);
            self.totals[group] = sum;
            self.seen[group] |= seen;
            overflowed |= over;
        } else {
            let (totals, seen) = (&mut self.totals[..], &mut self.seen[..]);
            visit(values, rows, groups, |_, group, value| {
                if value != V::NULL {
                    let (sum, over) = totals[group].overflowing_plus(value.into());
                    totals[group] = sum;
                    seen[group] = true;
                    overflowed |= over;
                }
            });
        }
        self.overflowed |= overflowed;
    }
}

/// Every measure of a run of daily rows.
#[derive(Debug, Clone)]
pub(super) struct Measures {
    pub(super) counts: [Longs; super::sums::COUNTS.len()],
    pub(super) duration_ms: Longs,
    pub(super) actual: Monies,
    pub(super) charged: Monies,
    pub(super) unpriced_charged: Monies,
    pub(super) first: Vec<i64>,
    pub(super) last: Vec<i64>,
}

impl Measures {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            counts: std::array::from_fn(|_| Longs::with_capacity(rows)),
            duration_ms: Longs::with_capacity(rows),
            actual: Monies::with_capacity(rows),
            charged: Monies::with_capacity(rows),
            unpriced_charged: Monies::with_capacity(rows),
            first: Vec::with_capacity(rows),
            last: Vec::with_capacity(rows),
        }
    }

    pub(super) fn push(&mut self, sums: &DailySums) {
        for (column, count) in self.counts.iter_mut().zip(sums.counts) {
            column.push(Some(count));
        }
        self.duration_ms.push(sums.duration_ms);
        self.actual.push(sums.actual);
        self.charged.push(sums.charged);
        self.unpriced_charged.push(Some(sums.unpriced_charged));
        self.first.push(sums.first);
        self.last.push(sums.last);
    }

    pub(super) fn get(&self, row: usize) -> DailySums {
        DailySums {
            counts: std::array::from_fn(|place| self.counts[place].get(row).unwrap_or(0)),
            actual: self.actual.get(row),
            charged: self.charged.get(row),
            unpriced_charged: self.unpriced_charged.get(row).unwrap_or(0),
            duration_ms: self.duration_ms.get(row),
            first: self.first[row],
            last: self.last[row],
        }
    }

    pub(super) fn shrink(&mut self) {
        self.counts.iter_mut().for_each(Packed::shrink);
        self.duration_ms.shrink();
        for column in [&mut self.actual, &mut self.charged, &mut self.unpriced_charged] {
            column.shrink();
        }
        self.first.shrink_to_fit();
        self.last.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        let counts: usize = self.counts.iter().map(Packed::bytes).sum();
        let monies = [&self.actual, &self.charged, &self.unpriced_charged];
        counts
            + self.duration_ms.bytes()
            + monies.iter().map(|column| column.bytes()).sum::<usize>()
            + 8 * (self.first.capacity() + self.last.capacity())
    }
}

/// Places of a run, cut into steps of at most `step_rows`.
pub(super) fn steps(rows: Range<usize>, step_rows: usize) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(step_rows).map(move |start| start..end.min(start + step_rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[Option<i64>]) -> Longs {
        let mut column = Longs::with_capacity(values.len());
        values.iter().for_each(|value| column.push(*value));
        column
    }

    #[test]
    fn a_column_gives_back_what_it_was_given_in_every_width() {
        let narrow_least = i64::from(i32::MIN);
        for values in [
            vec![Some(0), Some(0)],
            vec![Some(0), None, Some(7)],
            vec![Some(0), None, Some(narrow_least)],
            vec![Some(-5), None, Some(i64::MAX), Some(i64::MIN + 1), None],
        ] {
            let column = packed(&values);
            let read: Vec<_> = (0..values.len()).map(|row| column.get(row)).collect();
            assert_eq!(read, values);
        }
        assert_eq!(packed(&[Some(0); 100]).bytes(), 0);
    }

    #[test]
    fn a_sum_beyond_its_width_is_noticed() {
        let column = packed(&[Some(i64::MAX), Some(1)]);
        for groups in [Groups::One(0), Groups::Each(&[0, 0])] {
            let mut sums = GroupSums::default();
            sums.grow(1);
            sums.add(&column, Rows::Run { start: 0, end: 2 }, groups);
            assert!(sums.overflowed);
        }
    }
}
