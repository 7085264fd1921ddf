//! Groups as the rows and columns of an answer.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
    UInt32Array, new_null_array,
};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take};

use super::aggregate::GroupSums;
use super::cube::Dictionaries;
use super::daily::{money_column, sum_too_large, text_column};
use super::latest::Latest;
use super::measures::GroupMeasures;
use super::plan::Plan;
use super::request::{Dimension, UsageRequest, usage_schema};
use super::scan::Grouped;
use super::segment::{STATUS, Segment, TOPIC};
use super::sums::{EVENTS, FAILED_EVENTS, TOKENS, UNPRICED_EVENTS};
use crate::error::{Context, Result};

/// The answer to `request`, sorted by its dimensions, nulls first.
pub(super) fn answer(
    request: &UsageRequest,
    plan: &Plan,
    segments: &[Arc<Segment>],
    mut grouped: Grouped,
    dictionaries: &RwLock<Dictionaries>,
) -> Result<RecordBatch> {
    if request.group_by.is_empty() && grouped.examples.is_empty() {
        grouped.examples.push((0, 0));
        grouped.measures.grow(1);
        // Nothing cost nothing: 0, not unknown.
        grouped.measures.actual.seen[0] = true;
        grouped.measures.charged.seen[0] = true;
    }
    let Grouped { examples, mut measures } = grouped;
    if measures.overflowed() {
        return Err(sum_too_large("a sum over the asked rows"));
    }
    let texts = read_texts(request, plan, segments, &examples, &mut measures, dictionaries)?;
    let rows = AnswerRows::new(request, &texts.groups, examples.len())?;
    let mut columns = texts.groups;
    for column in &mut columns {
        *column = rows.take(column)?;
    }
    columns.extend(rows.measures(measures, &texts.status, &texts.topic)?);
    RecordBatch::try_new(usage_schema(), columns).internal("cannot build the usage answer")
}

/// What had to be read from the dictionaries, by group number.
struct Texts {
    /// The columns of [`Dimension::ALL`].
    groups: Vec<ArrayRef>,
    status: (Vec<i64>, ArrayRef),
    topic: (Vec<i64>, ArrayRef),
}

/// Copies the texts out, so that the dictionaries are locked only shortly.
fn read_texts(
    request: &UsageRequest,
    plan: &Plan,
    segments: &[Arc<Segment>],
    examples: &[(usize, usize)],
    measures: &mut GroupMeasures,
    dictionaries: &RwLock<Dictionaries>,
) -> Result<Texts> {
    let dictionaries = dictionaries.read().unwrap_or_else(PoisonError::into_inner);
    let group_column = |(place, dimension): (usize, &Dimension)| -> Result<ArrayRef> {
        let schema = usage_schema();
        if !request.group_by.contains(dimension) {
            return Ok(new_null_array(schema.field(place).data_type(), examples.len()));
        }
        let Some(column) = place.checked_sub(1) else {
            let dates = examples
                .iter()
                .map(|(segment, row)| plan.bucket_start(segments[*segment].columns.dates[*row]));
            return Ok(Arc::new(Date32Array::from_iter_values(dates)));
        };
        text_column(dimension.column(), || {
            examples.iter().map(|(segment, row)| {
                dictionaries.text(column, segments[*segment].columns.codes[column][*row])
            })
        })
    };
    let groups = Dimension::ALL.iter().enumerate().map(group_column).collect::<Result<_>>()?;
    let latest = |name: &str, column: usize, latest: &mut Latest| {
        let texts = &dictionaries.texts[column];
        let (times, codes): (Vec<_>, Vec<_>) =
            std::mem::take(latest).finish(texts).into_iter().unzip();
        Ok((times, text_column(name, || codes.iter().map(|code| texts.text(*code)))?))
    };
    Ok(Texts {
        groups,
        status: latest("latest_status", STATUS, &mut measures.status)?,
        topic: latest("latest_topic", TOPIC, &mut measures.topic)?,
    })
}

/// Which groups make up each row of the answer, in its order.
struct AnswerRows {
    /// Group numbers in the order of the answer.
    order: Vec<u32>,
    /// The places in `order` of each row.
    rows: Vec<Range<usize>>,
}

impl AnswerRows {
    fn new(request: &UsageRequest, groups: &[ArrayRef], count: usize) -> Result<Self> {
        let asked = |dimension: &Dimension| request.group_by.contains(dimension);
        let columns: Vec<&ArrayRef> = groups
            .iter()
            .zip(&Dimension::ALL)
            .filter_map(|(column, dimension)| asked(dimension).then_some(column))
            .collect();
        let order = if columns.is_empty() {
            (0..count as u32).collect()
        } else {
            let options = Some(SortOptions { descending: false, nulls_first: true });
            let by = columns
                .iter()
                .map(|values| SortColumn { values: Arc::clone(values), options })
                .collect::<Vec<_>>();
            lexsort_to_indices(&by, None).internal("cannot sort groups")?.values().to_vec()
        };
        // The scan tells users and conversations of two organizations apart.
        // Where the answer does not name the organization, those of one id
        // are one row. They share no user and no conversation, so even their
        // distinct counts add up.
        let merge = !asked(&Dimension::Organization)
            && (asked(&Dimension::User) || asked(&Dimension::Conversation));
        let same = |one: &u32, other: &u32| {
            let (one, other) = (*one as usize, *other as usize);
            merge && columns.iter().all(|column| same_value(column, one, other))
        };
        let mut rows = Vec::with_capacity(count);
        let mut start = 0;
        for groups in order.chunk_by(same) {
            rows.push(start..start + groups.len());
            start += groups.len();
        }
        Ok(Self { order, rows })
    }

    /// The groups of each row; at least one.
    fn members(&self) -> impl Iterator<Item = &[u32]> {
        self.rows.iter().map(|row| &self.order[row.clone()])
    }

    fn take(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let firsts: UInt32Array = self.members().map(|members| Some(members[0])).collect();
        take(column, &firsts, None).internal("cannot order groups")
    }

    /// The word of the member with the greatest (time, word).
    fn latest(&self, (times, words): &(Vec<i64>, ArrayRef)) -> Result<ArrayRef> {
        let texts = words.as_string::<i32>();
        let key = |group: &&u32| {
            let group = **group as usize;
            texts.is_valid(group).then(|| (times[group], texts.value(group)))
        };
        let winners: UInt32Array =
            self.members().map(|members| members.iter().max_by_key(key).copied()).collect();
        take(words, &winners, None).internal("cannot order groups")
    }

    fn sum(&self, values: impl Fn(usize) -> Option<i128>) -> Vec<Option<i128>> {
        // Members are few, and each sum is below 10³⁸: no overflow in i128
        // before `money_column` looks.
        let add = |sum: Option<i128>, value: Option<i128>| match (sum, value) {
            (Some(sum), Some(value)) => Some(sum.saturating_add(value)),
            (sum, value) => sum.or(value),
        };
        let total = |members: &[u32]| {
            members.iter().fold(None, |sum, group| add(sum, values(*group as usize)))
        };
        self.members().map(total).collect()
    }

    fn longs(&self, values: impl Fn(usize) -> Option<i64>) -> Result<ArrayRef> {
        let sums = self.sum(|group| values(group).map(i128::from)).into_iter();
        let narrow = |sum: Option<i128>| {
            sum.map(i64::try_from).transpose().map_err(|_| sum_too_large("a sum"))
        };
        Ok(Arc::new(sums.map(narrow).collect::<Result<Int64Array>>()?))
    }

    fn times(&self, times: &[i64], none: i64, choose: fn(i64, i64) -> i64) -> ArrayRef {
        let time = |members: &[u32]| {
            let times = members.iter().map(|group| times[*group as usize]);
            times.reduce(choose).filter(|time| *time != none)
        };
        let column: TimestampMicrosecondArray = self.members().map(time).collect();
        Arc::new(column.with_timezone("UTC"))
    }

    fn measures(
        &self,
        measures: GroupMeasures,
        status: &(Vec<i64>, ArrayRef),
        topic: &(Vec<i64>, ArrayRef),
    ) -> Result<Vec<ArrayRef>> {
        let users = measures.users.finish();
        let conversations = measures.conversations.finish();
        let (counts, duration_ms) = (&measures.counts, &measures.duration_ms);
        let count = |place: usize| self.longs(|group| Some(counts[place].totals[group]));
        let money =
            |sums: &GroupSums<i128>| self.sum(|group| sums.seen[group].then(|| sums.totals[group]));
        let (actual, charged) = (money(&measures.actual), money(&measures.charged));
        let unpriced_charged = self.sum(|group| Some(measures.unpriced_charged.totals[group]));
        let profit = |row: usize| {
            // Unpriced events have a charge but no known cost: leave them out.
            let priced = charged[row]?.checked_sub(unpriced_charged[row].unwrap_or(0))?;
            priced.checked_sub(actual[row]?)
        };
        // The reasoning tokens, last of the classes, are a part of the output.
        let total_tokens = self.sum(|group| {
            let classes = TOKENS.start..TOKENS.end - 1;
            Some(classes.map(|place| i128::from(counts[place].totals[group])).sum())
        });
        let total_tokens = total_tokens.into_iter().map(|sum| {
            sum.map(i64::try_from).transpose().map_err(|_| sum_too_large("a sum of tokens"))
        });
        let mut columns = vec![
            count(EVENTS)?,
            self.longs(|group| Some(conversations[group]))?,
            self.longs(|group| Some(users[group]))?,
            Arc::new(total_tokens.collect::<Result<Int64Array>>()?),
        ];
        for place in TOKENS {
            columns.push(count(place)?);
        }
        columns.extend([
            money_column(charged.iter().copied())?,
            money_column(actual.iter().copied())?,
            money_column((0..self.rows.len()).map(profit))?,
            count(UNPRICED_EVENTS)?,
            count(FAILED_EVENTS)?,
            self.longs(|group| duration_ms.seen[group].then(|| duration_ms.totals[group]))?,
            self.times(&measures.first, i64::MAX, i64::min),
            self.times(&measures.last, i64::MIN, i64::max),
            self.latest(status)?,
            self.latest(topic)?,
        ]);
        Ok(columns)
    }
}

fn same_value(column: &ArrayRef, one: usize, other: usize) -> bool {
    match column.as_string_opt::<i32>() {
        Some(texts) => {
            texts.is_valid(one) == texts.is_valid(other)
                && (texts.is_null(one) || texts.value(one) == texts.value(other))
        }
        None => {
            let dates = column.as_primitive::<arrow::datatypes::Date32Type>();
            dates.value(one) == dates.value(other)
        }
    }
}
