//! Columns of numbers in the width that their values need.

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

    /// The values of these rows, given as (column, row), except that
    /// `changed` places, ascending, take a value from there.
    fn gather(
        columns: &[&Self],
        rows: &[(u32, u32)],
        changed: &[(usize, DailySums)],
        value: impl Fn(&DailySums) -> Option<W>,
    ) -> Self {
        let mut gathered = Self::with_capacity(rows.len());
        let mut changed = changed.iter().peekable();
        for (place, (column, row)) in rows.iter().enumerate() {
            gathered.push(match changed.next_if(|(changed, _)| *changed == place) {
                Some((_, sums)) => value(sums),
                None => columns[*column as usize].get(*row as usize),
            });
        }
        gathered
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

    /// The measures of these rows, given as (part, row); those of `changed`
    /// places, ascending, take the sums named there instead.
    pub(super) fn gather(
        parts: &[&Self],
        rows: &[(u32, u32)],
        changed: &[(usize, DailySums)],
    ) -> Self {
        let counts = std::array::from_fn(|place| {
            let columns = parts.iter().map(|part| &part.counts[place]).collect::<Vec<_>>();
            Packed::gather(&columns, rows, changed, |sums| Some(sums.counts[place]))
        });
        let monies = |column: fn(&Self) -> &Monies, sum: fn(&DailySums) -> Option<i128>| {
            let columns = parts.iter().map(|part| column(part)).collect::<Vec<_>>();
            Packed::gather(&columns, rows, changed, sum)
        };
        let times = |column: fn(&Self) -> &Vec<i64>, time: fn(&DailySums) -> i64| {
            let gathered =
                rows.iter().map(|(part, row)| column(parts[*part as usize])[*row as usize]);
            let mut times: Vec<i64> = gathered.collect();
            changed.iter().for_each(|(place, sums)| times[*place] = time(sums));
            times
        };
        let durations = parts.iter().map(|part| &part.duration_ms).collect::<Vec<_>>();
        Self {
            counts,
            duration_ms: Packed::gather(&durations, rows, changed, |sums| sums.duration_ms),
            actual: monies(|part| &part.actual, |sums| sums.actual),
            charged: monies(|part| &part.charged, |sums| sums.charged),
            unpriced_charged: monies(
                |part| &part.unpriced_charged,
                |sums| Some(sums.unpriced_charged),
            ),
            first: times(|part| &part.first, |sums| sums.first),
            last: times(|part| &part.last, |sums| sums.last),
        }
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
}
