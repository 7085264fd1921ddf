//! An immutable run of coded daily rows, one array a column, sorted by
//! organization, date, user, conversation, and the rest of the grain.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::dictionary::NULL_CODE;
use super::packed::Measures;
use super::sums::{DailySums, ENTRIES, EVENTS};
use crate::model::DAILY_GRAIN;

/// The coded columns: the grain without its date.
pub(super) const CODED: usize = DAILY_GRAIN.len() - 1;
pub(super) const ORGANIZATION: usize = 0;
pub(super) const TEAM: usize = 1;
pub(super) const DEPARTMENT: usize = 2;
pub(super) const USER: usize = 3;
pub(super) const STATUS: usize = 7;
pub(super) const CONVERSATION: usize = 8;
pub(super) const TOPIC: usize = 9;

/// An immutable run of coded daily rows. The codes are those of the cube that
/// made it.
#[derive(Debug)]
pub struct Segment {
    pub(super) columns: Columns,
    /// The organizations present, ascending by code.
    pub(super) runs: Vec<OrganizationRun>,
    /// The least and greatest date; `None` without rows.
    pub(super) dates: Option<(i32, i32)>,
    /// Users and conversations with a row that takes events back.
    pub(super) reversed_users: Vec<u32>,
    pub(super) reversed_conversations: Vec<u32>,
    /// Entries by date of daily rows of which no event is left: they are in no
    /// answer, but count as rows of the lake.
    pub(super) void_entries: VoidEntries,
}

/// Entries of void rows by days since 1970.
pub(super) type VoidEntries = BTreeMap<i32, i64>;

/// Where one organization's rows stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrganizationRun {
    pub(super) organization: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Daily rows, one array a column.
#[derive(Debug)]
pub(super) struct Columns {
    /// Days since 1970.
    pub(super) dates: Vec<i32>,
    pub(super) codes: [Vec<u32>; CODED],
    pub(super) measures: Measures,
}

impl Columns {
    fn rows(&self) -> usize {
        self.dates.len()
    }

    fn grain(&self, row: usize) -> (i32, [u32; CODED]) {
        (self.dates[row], std::array::from_fn(|column| self.codes[column][row]))
    }

    /// What rows are sorted by first: organization, date, user, conversation.
    fn sort_key(&self, row: usize) -> u128 {
        let date = self.dates[row].cast_unsigned() ^ 0x8000_0000;
        [self.codes[ORGANIZATION][row], date, self.codes[USER][row], self.codes[CONVERSATION][row]]
            .into_iter()
            .fold(0, |key, part| key << 32 | u128::from(part))
    }

    /// These rows, given as (part, row), as columns; `changed` places take
    /// the sums named there.
    fn gather(parts: &[&Self], rows: &[(u32, u32)], changed: &[(usize, DailySums)]) -> Self {
        let gather = |(part, row): &(u32, u32)| (parts[*part as usize], *row as usize);
        let codes = |column: usize| {
            rows.iter().map(gather).map(|(part, row)| part.codes[column][row]).collect()
        };
        let measures: Vec<&Measures> = parts.iter().map(|part| &part.measures).collect();
        Self {
            dates: rows.iter().map(gather).map(|(part, row)| part.dates[row]).collect(),
            codes: std::array::from_fn(codes),
            measures: Measures::gather(&measures, rows, changed),
        }
    }
}

impl Segment {
    /// Sorts the rows of all `parts` and adds up those of one grain.
    pub(super) fn from_parts(parts: &[&Columns], void_entries: VoidEntries) -> Self {
        let mut order: Vec<(u128, u32, u32)> = Vec::new();
        order.reserve_exact(parts.iter().map(|part| part.rows()).sum());
        for (part, columns) in (0..).zip(parts) {
            let rows = 0..columns.rows() as u32;
            order.extend(rows.map(|row| (columns.sort_key(row as usize), part, row)));
        }
        let grain = |part: u32, row: u32| parts[part as usize].grain(row as usize);
        // A stable sort: it finds the parts, which are mostly sorted already,
        // and only merges them.
        order.sort_by(|(one, part, row), (other, other_part, other_row)| {
            one.cmp(other).then_with(|| grain(*part, *row).cmp(&grain(*other_part, *other_row)))
        });
        let mut rows: Vec<(u32, u32)> = Vec::with_capacity(order.len());
        let mut changed: Vec<(usize, DailySums)> = Vec::new();
        let sums = |part: u32, row: u32| parts[part as usize].measures.get(row as usize);
        let mut last_key = None;
        for (key, part, row) in order {
            if last_key.replace(key) == Some(key)
                && let Some((last_part, last_row)) = rows.last().copied()
                && grain(last_part, last_row) == grain(part, row)
            {
                let place = rows.len() - 1;
                let known = changed.pop_if(|(changed, _)| *changed == place);
                let before = known.map_or_else(|| sums(last_part, last_row), |(_, sums)| sums);
                let total = before.plus(&sums(part, row));
                let fits = total.is_some();
                changed.push((place, total.unwrap_or(before)));
                if fits {
                    continue;
                }
                // Sums that do not fit stay apart: rows of one grain may.
            }
            rows.push((part, row));
        }
        Self::index(Columns::gather(parts, &rows, &changed), void_entries)
    }

    /// The rows of all dates but these; `None` when no row has any of them.
    pub(super) fn without_dates(&self, gone: &BTreeSet<i32>) -> Option<Self> {
        let dates = &self.columns.dates;
        let touches = |(from, to): (i32, i32)| gone.range(from..=to).next().is_some();
        let in_rows = self.dates.is_some_and(touches);
        if !in_rows && !self.void_entries.keys().any(|date| gone.contains(date)) {
            return None;
        }
        let kept = (0..).zip(dates).filter(|(_, date)| !gone.contains(date));
        let rows: Vec<(u32, u32)> = kept.map(|(row, _)| (0, row)).collect();
        let void = self.void_entries.iter().filter(|(date, _)| !gone.contains(date));
        let void_entries = void.map(|(date, entries)| (*date, *entries)).collect();
        Some(Self::index(Columns::gather(&[&self.columns], &rows, &[]), void_entries))
    }

    fn index(columns: Columns, void_entries: VoidEntries) -> Self {
        let organizations = &columns.codes[ORGANIZATION];
        let mut runs = Vec::new();
        let mut start = 0;
        for run in organizations.chunk_by(|one, other| one == other) {
            let end = start + run.len();
            runs.push(OrganizationRun { organization: run[0], start, end });
            start = end;
        }
        runs.shrink_to_fit();
        let least = columns.dates.iter().min().copied();
        let dates = least.zip(columns.dates.iter().max().copied());
        let reversed_users = reversed(&columns, USER);
        let reversed_conversations = reversed(&columns, CONVERSATION);
        Self { columns, runs, dates, reversed_users, reversed_conversations, void_entries }
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Memory held, in bytes, without the dictionaries of the cube.
    pub fn bytes(&self) -> usize {
        let Columns { dates, codes, measures } = &self.columns;
        let codes: usize = codes.iter().map(Vec::capacity).sum();
        let reversed = self.reversed_users.capacity() + self.reversed_conversations.capacity();
        size_of::<Self>()
            + 4 * (dates.capacity() + codes + reversed)
            + measures.bytes()
            + size_of::<OrganizationRun>() * self.runs.capacity()
    }

    /// The rows of a run whose dates are within the inclusive bounds.
    pub(super) fn dated(&self, run: OrganizationRun, from: i32, to: i32) -> Range<usize> {
        let dates = &self.columns.dates[run.start..run.end];
        let start = run.start + dates.partition_point(|date| *date < from);
        let end = run.start + dates.partition_point(|date| *date <= to);
        start..end.max(start)
    }
}

/// The codes of `column` that have a row with reversals, each once.
fn reversed(columns: &Columns, column: usize) -> Vec<u32> {
    let counts = &columns.measures.counts;
    // A usage row is one entry and one event; a reversal is one entry and
    // takes one event off.
    let mut codes: Vec<u32> = (0..columns.rows())
        .filter(|row| counts[ENTRIES].get(*row) != counts[EVENTS].get(*row))
        .map(|row| columns.codes[column][row])
        .filter(|code| *code != NULL_CODE)
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes.shrink_to_fit();
    codes
}
