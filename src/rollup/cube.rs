//! The in-memory cache of daily rows: segments that never change, and the
//! dictionaries they share.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use chrono::{DateTime, NaiveDate};

use super::answer::answer;
use super::daily::{conform, sum_too_large};
use super::dictionary::{PairDictionary, TextDictionary};
use super::plan::Plan;
use super::request::UsageRequest;
use super::scan::{ScanLimits, scan};
use super::segment::{CODED, CONVERSATION, Columns, ORGANIZATION, Segment, USER, VoidEntries};
use super::sums::{DailyMeasures, ENTRIES, MeasureColumns, column};
use crate::error::{Context, Result};
use crate::model::{DAILY_GRAIN, epoch_days, usage_daily_schema};

/// The writer's side: turns daily rows into segments. Holds the dictionaries,
/// which only grow; a new cube starts with empty ones.
#[derive(Debug, Default)]
pub struct Cube {
    dictionaries: Arc<RwLock<Dictionaries>>,
}

/// The codes of every dimension. A user's or conversation's code stands for
/// an (organization, id) pair, all others for a text.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    /// By coded column; unused for users and conversations.
    pub(super) texts: [TextDictionary; CODED],
    pub(super) users: PairDictionary,
    pub(super) conversations: PairDictionary,
}

/// What one query reads: a fixed set of segments.
#[derive(Debug, Clone, Default)]
pub struct CubeSnapshot {
    segments: Vec<Arc<Segment>>,
    dictionaries: Arc<RwLock<Dictionaries>>,
}

impl Cube {
    /// An empty cube.
    pub fn new() -> Self {
        Self::default()
    }

    /// Codes `usage_daily` rows into a segment. Rows of one grain are added
    /// up. Fails when the batch lacks a column or a dictionary is full.
    pub fn segment(&self, daily: &RecordBatch) -> Result<Arc<Segment>> {
        let daily = conform(daily, &usage_daily_schema())?;
        let (daily, void_entries) = without_void(daily)?;
        let dates: &Date32Array = column(&daily, DAILY_GRAIN[0])?;
        let mut columns = Columns {
            dates: dates.values().to_vec(),
            codes: self.codes(&daily)?,
            measures: super::packed::Measures::with_capacity(daily.num_rows()),
        };
        let measures = DailyMeasures::new(&daily)?;
        for row in 0..daily.num_rows() {
            let sums = measures.sums(row);
            if !sums.fits() {
                return Err(sum_too_large("a measure of a daily row"));
            }
            columns.measures.push(&sums);
        }
        Ok(Arc::new(Segment::from_parts(&[&columns], void_entries)))
    }

    /// The codes of every text column, under one lock.
    fn codes(&self, daily: &RecordBatch) -> Result<[Vec<u32>; CODED]> {
        let mut codes: [Vec<u32>; CODED] = Default::default();
        let mut dictionaries = self.dictionaries.write().unwrap_or_else(PoisonError::into_inner);
        for place in 0..CODED {
            let texts: &StringArray = column(daily, DAILY_GRAIN[place + 1])?;
            // The organization stands before the columns that need it.
            codes[place] = match place {
                USER => dictionaries.users.codes(texts, &codes[ORGANIZATION])?,
                CONVERSATION => dictionaries.conversations.codes(texts, &codes[ORGANIZATION])?,
                _ => dictionaries.texts[place].codes(texts)?,
            };
        }
        Ok(codes)
    }

    /// One segment with the rows of all `segments`, which this cube made; rows
    /// of one grain are added up. Time is linear in the rows, with a sort of
    /// already sorted parts.
    pub fn merge(&self, segments: &[Arc<Segment>]) -> Arc<Segment> {
        let parts: Vec<&Columns> = segments.iter().map(|segment| &segment.columns).collect();
        let mut void_entries = VoidEntries::new();
        for (date, entries) in segments.iter().flat_map(|segment| &segment.void_entries) {
            *void_entries.entry(*date).or_insert(0) += entries;
        }
        Arc::new(Segment::from_parts(&parts, void_entries))
    }

    /// `segments` without the rows of `dates`.
    pub fn without_dates(
        &self,
        segments: &[Arc<Segment>],
        dates: &BTreeSet<NaiveDate>,
    ) -> Vec<Arc<Segment>> {
        let days: BTreeSet<i32> = dates.iter().map(|date| epoch_days(*date)).collect();
        let kept = segments.iter().map(|segment| match segment.without_dates(&days) {
            Some(rest) => Arc::new(rest),
            None => Arc::clone(segment),
        });
        kept.collect()
    }

    /// A view of `segments`, which this cube made.
    pub fn snapshot(&self, segments: Vec<Arc<Segment>>) -> CubeSnapshot {
        CubeSnapshot { segments, dictionaries: Arc::clone(&self.dictionaries) }
    }

    /// Memory held by the dictionaries, in bytes.
    pub fn bytes(&self) -> usize {
        self.dictionaries.read().unwrap_or_else(PoisonError::into_inner).bytes()
    }
}

impl CubeSnapshot {
    /// Answers `request` in the columns of [`super::usage_schema`], sorted by
    /// the dimensions asked for, nulls first. A repeated dimension counts once.
    ///
    /// Conversations and users whose events were all reversed are not counted.
    /// Without any row, an ungrouped answer has costs of 0, a null duration and
    /// null times. Fails with `LimitExceeded` beyond two million groups.
    pub fn usage(&self, request: &UsageRequest) -> Result<RecordBatch> {
        self.usage_within(request, &ScanLimits::default())
    }

    pub(super) fn usage_within(
        &self,
        request: &UsageRequest,
        limits: &ScanLimits,
    ) -> Result<RecordBatch> {
        let plan = {
            let dictionaries = self.dictionaries.read().unwrap_or_else(PoisonError::into_inner);
            Plan::new(request, &dictionaries)
        };
        let grouped = scan(&plan, &self.segments, limits)?;
        answer(request, &plan, &self.segments, grouped, &self.dictionaries)
    }

    /// The segments read.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Memory held by the segments and the dictionaries, in bytes.
    pub fn bytes(&self) -> usize {
        let dictionaries = self.dictionaries.read().unwrap_or_else(PoisonError::into_inner);
        let segments = self.segments.iter().map(|segment| segment.bytes());
        segments.sum::<usize>() + dictionaries.bytes()
    }

    /// How many physical rows of `usage_events` each date stands for, to be
    /// compared with the lake. Dates without rows are absent.
    pub fn entries_by_date(&self) -> BTreeMap<NaiveDate, i64> {
        let mut entries = BTreeMap::new();
        for segment in &self.segments {
            let Columns { dates, measures, .. } = &segment.columns;
            let mut start = 0;
            for run in dates.chunk_by(|one, other| one == other) {
                let rows = start..start + run.len();
                start = rows.end;
                let count = rows.filter_map(|row| measures.counts[ENTRIES].get(row)).sum::<i64>();
                add_entries(&mut entries, run[0], count);
            }
            for (day, count) in &segment.void_entries {
                add_entries(&mut entries, *day, *count);
            }
        }
        entries
    }
}

fn add_entries(entries: &mut BTreeMap<NaiveDate, i64>, day: i32, count: i64) {
    // Every stored date came from one that chrono could name.
    if let Some(time) = DateTime::from_timestamp(i64::from(day) * 86_400, 0) {
        *entries.entry(time.date_naive()).or_insert(0) += count;
    }
}

/// Parts `daily` into the rows that an answer may show, and the entries of
/// those of which no event is left.
fn without_void(daily: Cow<'_, RecordBatch>) -> Result<(Cow<'_, RecordBatch>, VoidEntries)> {
    let measures = DailyMeasures::new(&daily)?;
    let mut entries = VoidEntries::new();
    let dates: &Date32Array = column(&daily, DAILY_GRAIN[0])?;
    let stands: BooleanArray = (0..daily.num_rows())
        .map(|row| {
            let sums = measures.sums(row);
            if sums.first > sums.last {
                *entries.entry(dates.value(row)).or_insert(0) += sums.counts[ENTRIES];
            }
            Some(sums.first <= sums.last)
        })
        .collect();
    if entries.is_empty() {
        return Ok((daily, entries));
    }
    let rest = filter_record_batch(&daily, &stands).internal("leaving out void daily rows")?;
    Ok((Cow::Owned(rest), entries))
}
