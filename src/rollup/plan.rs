//! What a request means in codes: which rows to read, and how to group them.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Datelike};

use super::cube::Dictionaries;
use super::dictionary::TextDictionary;
use super::parts::Parts;
use super::request::{DateBucket, Dimension, UsageRequest};
use super::segment::{CODED, CONVERSATION, ORGANIZATION, Segment, USER};
use crate::access::{Reach, RowReach};
use crate::model::epoch_days;

/// A request in codes.
#[derive(Debug)]
pub(super) struct Plan {
    /// Inclusive, days since 1970.
    pub(super) date_from: i32,
    pub(super) date_to: i32,
    /// The only organizations to read, ascending; `None` for all.
    organizations: Option<Vec<u32>>,
    /// Of the organizations that are read in part, by ascending code: which
    /// rows.
    parts: Vec<(u32, Parts)>,
    /// By coded column: what rows must have there.
    pub(super) accepts: Vec<(usize, Accept)>,
    /// Whether some list names nothing that exists.
    nothing: bool,
    pub(super) keys: Vec<Key>,
    bucket: DateBucket,
    pub(super) users: usize,
    pub(super) conversations: usize,
}

/// One part of a group's key, and how many bits its codes need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) column: KeyColumn,
    pub(super) bits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyColumn {
    /// The bucket of the date.
    Date,
    /// A coded column.
    Coded(usize),
}

/// Rows of one segment to read.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) segment: usize,
    pub(super) rows: Range<usize>,
    /// Whether all rows are of one organization.
    pub(super) one_organization: bool,
    /// Whether every row is within the dates.
    pub(super) dates_match: bool,
    /// The place in the plan of what may be read of the organization, where
    /// that is not all.
    part: Option<usize>,
}

/// A set of codes.
#[derive(Debug)]
pub(super) enum Accept {
    One(u32),
    /// A bit for each code.
    Many(Vec<u64>),
}

impl Accept {
    fn new(codes: &[u32]) -> Self {
        if let [code] = codes {
            return Self::One(*code);
        }
        let words = codes.iter().max().map_or(0, |code| *code as usize / 64 + 1);
        let mut bits = vec![0; words];
        for code in codes {
            bits[*code as usize / 64] |= 1_u64 << (code % 64);
        }
        Self::Many(bits)
    }
}

/// Whether a set made of [`Accept::Many`] holds the code.
pub(super) fn has_bit(bits: &[u64], code: u32) -> bool {
    bits.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
}

impl Plan {
    pub(super) fn new(request: &UsageRequest, dictionaries: &Dictionaries) -> Self {
        let filter = &request.filter;
        let mut plan = Self {
            date_from: epoch_days(filter.date_from),
            date_to: epoch_days(filter.date_to),
            organizations: None,
            parts: Vec::new(),
            accepts: Vec::new(),
            nothing: false,
            keys: Vec::new(),
            bucket: request.date_bucket,
            users: dictionaries.users.len(),
            conversations: dictionaries.conversations.len(),
        };
        plan.restrict_reach(&filter.reach, dictionaries);
        let lists: [&[String]; 9] = [
            &filter.organization_ids,
            &filter.team_ids,
            &filter.departments,
            &filter.user_ids,
            &filter.api_key_ids,
            &filter.providers,
            &filter.models,
            &filter.statuses,
            &filter.conversation_ids,
        ];
        for (column, list) in lists.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let codes = dictionaries.lookup(column, list);
            plan.restrict(column, codes, dictionaries);
        }
        let mut dimensions = request.group_by.clone();
        dimensions.sort_unstable();
        dimensions.dedup();
        plan.nothing |= plan.date_from > plan.date_to;
        plan.keys = dimensions.into_iter().map(|one| plan.key(one, dictionaries)).collect();
        plan
    }

    fn key(&self, dimension: Dimension, dictionaries: &Dictionaries) -> Key {
        let place = Dimension::ALL.iter().position(|one| *one == dimension).unwrap_or(0);
        let (column, greatest) = match place.checked_sub(1) {
            None => (KeyColumn::Date, self.bucket_code(self.date_to.max(self.date_from))),
            Some(column) => (KeyColumn::Coded(column), dictionaries.codes(column) as u32),
        };
        Key { column, bits: u32::BITS - greatest.leading_zeros() }
    }

    /// Leaves only rows within the reach: whole organizations cost nothing
    /// more than naming them, and parts one look at each of their rows.
    fn restrict_reach(&mut self, reach: &Reach, dictionaries: &Dictionaries) {
        let Reach::Within(organizations) = reach else { return };
        let mut codes = Vec::with_capacity(organizations.len());
        for (organization_id, rows) in organizations {
            let code = dictionaries.texts[ORGANIZATION].lookup(organization_id);
            let Some(code) = code else { continue };
            if let RowReach::Parts { team_ids, departments, user_ids } = rows {
                let parts = Parts::new(code, team_ids, departments, user_ids, dictionaries);
                if parts.is_nothing() {
                    continue;
                }
                self.parts.push((code, parts));
            }
            codes.push(code);
        }
        self.parts.sort_unstable_by_key(|(code, _)| *code);
        self.nothing |= codes.is_empty();
        self.restrict_organizations(codes);
    }

    /// What may be read of the organization of a slice, where that is not all.
    pub(super) fn parts_of(&self, slice: &Slice) -> Option<&Parts> {
        self.parts.get(slice.part?).map(|(_, parts)| parts)
    }

    fn restrict(&mut self, column: usize, codes: Vec<u32>, dictionaries: &Dictionaries) {
        self.nothing |= codes.is_empty();
        let pairs = match column {
            ORGANIZATION => return self.restrict_organizations(codes),
            USER => Some(&dictionaries.users),
            CONVERSATION => Some(&dictionaries.conversations),
            _ => None,
        };
        if let Some(pairs) = pairs {
            let owners = codes.iter().map(|code| pairs.organization(*code)).collect();
            self.restrict_organizations(owners);
        }
        self.accepts.push((column, Accept::new(&codes)));
    }

    fn restrict_organizations(&mut self, mut codes: Vec<u32>) {
        codes.sort_unstable();
        codes.dedup();
        if let Some(earlier) = &self.organizations {
            codes.retain(|code| earlier.binary_search(code).is_ok());
        }
        self.organizations = Some(codes);
    }

    /// The rows to read: all that may match, and few others. A segment with
    /// fewer than `run_rows_min` rows an organization, on average, is not cut
    /// into organizations unless only some are asked for.
    pub(super) fn slices(&self, segments: &[Arc<Segment>], run_rows_min: usize) -> Vec<Slice> {
        let mut slices = Vec::new();
        if self.nothing {
            return slices;
        }
        for (index, segment) in segments.iter().enumerate() {
            let Some((first, last)) = segment.dates else { continue };
            if last < self.date_from || first > self.date_to {
                continue;
            }
            let runs = &segment.runs;
            match &self.organizations {
                None if segment.rows() < runs.len() * run_rows_min => slices.push(Slice {
                    segment: index,
                    rows: 0..segment.rows(),
                    one_organization: runs.len() == 1,
                    dates_match: self.date_from <= first && last <= self.date_to,
                    // Whoever reads all organizations reads them whole.
                    part: None,
                }),
                None => {
                    slices.extend((0..runs.len()).map(|run| self.slice(index, segment, run)));
                }
                Some(organizations) => {
                    let runs = organizations.iter().filter_map(|code| {
                        runs.binary_search_by_key(code, |run| run.organization).ok()
                    });
                    slices.extend(runs.map(|run| self.slice(index, segment, run)));
                }
            }
        }
        slices.retain(|slice| !slice.rows.is_empty());
        slices
    }

    fn slice(&self, index: usize, segment: &Segment, run: usize) -> Slice {
        let run = segment.runs[run];
        let rows = segment.dated(run, self.date_from, self.date_to);
        let part = self.parts.binary_search_by_key(&run.organization, |(code, _)| *code).ok();
        Slice { segment: index, rows, one_organization: true, dates_match: true, part }
    }

    /// The first day of the bucket that a day lies in, both in days since 1970.
    pub(super) fn bucket_start(&self, days: i32) -> i32 {
        bucket_start(self.bucket, days)
    }

    /// The bucket of a day within the dates, as days after the first bucket.
    pub(super) fn bucket_code(&self, days: i32) -> u32 {
        (self.bucket_start(days) - self.bucket_start(self.date_from)).unsigned_abs()
    }
}

fn bucket_start(bucket: DateBucket, days: i32) -> i32 {
    match bucket {
        DateBucket::Day => days,
        // Day 0 was a Thursday, three days after a Monday.
        DateBucket::Week => days - (days + 3).rem_euclid(7),
        DateBucket::Month => {
            let date = DateTime::from_timestamp(i64::from(days) * 86_400, 0);
            date.map_or(days, |date| days - date.day0().cast_signed())
        }
    }
}

impl Dictionaries {
    /// The codes of these texts in a coded column; unknown ones have none.
    fn lookup(&self, column: usize, texts: &[String]) -> Vec<u32> {
        match column {
            USER => texts.iter().flat_map(|text| self.users.lookup(text)).collect(),
            CONVERSATION => texts.iter().flat_map(|text| self.conversations.lookup(text)).collect(),
            _ => texts.iter().filter_map(|text| self.texts[column].lookup(text)).collect(),
        }
    }

    /// How many codes a coded column has.
    fn codes(&self, column: usize) -> usize {
        match column {
            USER => self.users.len(),
            CONVERSATION => self.conversations.len(),
            _ => self.texts[column].len(),
        }
    }

    /// The text of a code of a coded column.
    pub(super) fn text(&self, column: usize, code: u32) -> Option<&str> {
        match column {
            USER => self.users.text(code),
            CONVERSATION => self.conversations.text(code),
            _ => self.texts[column].text(code),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.texts.iter().map(TextDictionary::bytes).sum::<usize>()
            + self.users.bytes()
            + self.conversations.bytes()
    }
}

const _: () = assert!(CODED == Dimension::ALL.len(), "topic takes the place of the date");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_start_on_monday_and_months_on_the_first() {
        for (day, week, month) in [
            ("1969-12-28", "1969-12-22", "1969-12-01"),
            ("1969-12-29", "1969-12-29", "1969-12-01"),
            ("2024-02-29", "2024-02-26", "2024-02-01"),
            ("2025-06-01", "2025-05-26", "2025-06-01"),
        ] {
            let days = |text: &str| epoch_days(text.parse().expect("a date"));
            assert_eq!(bucket_start(DateBucket::Day, days(day)), days(day));
            assert_eq!(bucket_start(DateBucket::Week, days(day)), days(week), "{day}");
            assert_eq!(bucket_start(DateBucket::Month, days(day)), days(month), "{day}");
        }
    }
}
