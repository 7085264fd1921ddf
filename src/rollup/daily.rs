//! Usage events summed to one row per day and grain, and such rows summed
//! again.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int8Array, Int64Array, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches, filter_record_batch, not};
use arrow::datatypes::{DataType, SchemaRef};

use super::dictionary::TextDictionary;
use super::hashing::FastMap;
use super::sums::{
    COUNTS, DailyMeasures, DailySums, EventMeasures, MeasureColumns, TOKENS, TakenBack,
    UNPRICED_EVENTS, column,
};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::model::{DAILY_GRAIN, standing_rows, usage_daily_schema, usage_events_schema};

/// The grain without the date: what is coded as text.
const TEXTS: usize = DAILY_GRAIN.len() - 1;

/// The columns that rows are sorted by, as places in [`DAILY_GRAIN`]: date,
/// organization, user, conversation, then the rest.
const SORT_ORDER: [usize; DAILY_GRAIN.len()] = [0, 1, 4, 9, 2, 3, 5, 6, 7, 8, 10];

/// The largest magnitude of a decimal(38,12) in picos.
pub(super) const MONEY_SUM_PICOS_MAX: i128 = 10_i128.pow(38) - 1;

/// Sums `usage_events` batches to `usage_daily` rows: one row per
/// [`DAILY_GRAIN`], sorted by date, organization, user, conversation and the
/// rest of the grain, nulls first. Fails when a sum does not fit its column.
pub fn daily_rows(events: &[RecordBatch]) -> Result<RecordBatch> {
    let mut rows = DailyRows::default();
    for batch in events {
        let batch = conform(batch, &usage_events_schema())?;
        rows.add(&batch, &EventMeasures::new(&batch)?)?;
    }
    rows.finish()
}

/// As [`daily_rows`], over every event of whole days: an event that was taken
/// back there leaves no time, status or group, only its number of entries.
/// A grain of which no event is left has `first_event_time` after
/// `last_event_time`.
pub fn standing_daily_rows(events: &[RecordBatch]) -> Result<RecordBatch> {
    let schema = usage_events_schema();
    let batches = events.iter().map(|batch| conform(batch, &schema).map(Cow::into_owned));
    let batches = batches.collect::<Result<Vec<_>>>()?;
    let all = concat_batches(&schema, &batches).internal("joining the events of a day")?;
    let standing = standing_rows(&all)?;
    let mut stands = vec![false; all.num_rows()];
    standing.iter().for_each(|row| stands[*row] = true);
    let stands = BooleanArray::from(stands);
    let part = |mask: &BooleanArray| {
        filter_record_batch(&all, mask).internal("parting the events of a day")
    };
    let mut rows = DailyRows::default();
    let standing = part(&stands)?;
    rows.add(&standing, &EventMeasures::new(&standing)?)?;
    rows.add(&part(&not(&stands).internal("parting the events of a day")?)?, &TakenBack)?;
    rows.finish()
}

/// Whether a row of `events` takes another one back.
pub fn has_reversals(events: &RecordBatch) -> Result<bool> {
    let quantity: &Int8Array = column(events, "quantity")?;
    Ok(quantity.values().iter().any(|quantity| *quantity < 0))
}

/// Sums `usage_daily` batches so that every grain has one row, in the order of
/// [`daily_rows`]. Fails when a sum does not fit its column.
pub fn merge_daily_rows(daily: &[RecordBatch]) -> Result<RecordBatch> {
    let mut rows = DailyRows::default();
    for batch in daily {
        let batch = conform(batch, &usage_daily_schema())?;
        rows.add(&batch, &DailyMeasures::new(&batch)?)?;
    }
    rows.finish()
}

/// No `usage_daily` rows.
pub fn empty_daily() -> RecordBatch {
    RecordBatch::new_empty(usage_daily_schema())
}

/// The batch in the types of `schema`. Engines hand out texts as views or
/// dictionaries; the values are the same.
pub(super) fn conform<'a>(
    batch: &'a RecordBatch,
    schema: &SchemaRef,
) -> Result<Cow<'a, RecordBatch>> {
    let have = batch.schema_ref();
    let typed = |field: &Arc<arrow::datatypes::Field>| {
        have.field_with_name(field.name()).is_ok_and(|found| found.data_type() == field.data_type())
    };
    if schema.fields().iter().all(typed) {
        return Ok(Cow::Borrowed(batch));
    }
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).ok_or_else(|| {
            Error::internal(format!("a batch to be aggregated lacks {}", field.name()))
        })?;
        let doing = || format!("cannot read {} as {}", field.name(), field.data_type());
        cast(column, field.data_type()).internal(doing())
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new(Arc::clone(schema), columns);
    Ok(Cow::Owned(batch.internal("a batch to be aggregated has nulls where none may be")?))
}

/// One row's grain: the date, made to sort as unsigned, then the text codes.
type Grain = [u32; DAILY_GRAIN.len()];

#[derive(Debug, Default)]
struct DailyRows {
    texts: [TextDictionary; TEXTS],
    index: FastMap<Grain, u32>,
    grains: Vec<Grain>,
    sums: Vec<DailySums>,
}

impl DailyRows {
    fn add(&mut self, batch: &RecordBatch, measures: &impl MeasureColumns) -> Result<()> {
        let dates: &Date32Array = column(batch, DAILY_GRAIN[0])?;
        let mut codes: [Vec<u32>; TEXTS] = Default::default();
        for ((codes, texts), name) in codes.iter_mut().zip(&mut self.texts).zip(&DAILY_GRAIN[1..]) {
            *codes = texts.codes(column::<StringArray>(batch, name)?)?;
        }
        for row in 0..batch.num_rows() {
            let mut grain = [sortable(dates.value(row)); DAILY_GRAIN.len()];
            for (code, codes) in grain[1..].iter_mut().zip(&codes) {
                *code = codes[row];
            }
            self.add_row(grain, measures.sums(row))?;
        }
        Ok(())
    }

    fn add_row(&mut self, grain: Grain, sums: DailySums) -> Result<()> {
        let next = u32::try_from(self.grains.len()).internal("too many daily rows in one batch")?;
        let row = *self.index.entry(grain).or_insert(next);
        if row == next {
            self.grains.push(grain);
            self.sums.push(sums);
            return Ok(());
        }
        let total = &mut self.sums[row as usize];
        *total = total.plus(&sums).ok_or_else(|| sum_too_large("a daily sum"))?;
        Ok(())
    }

    /// The rows in the order of the table.
    fn order(&self) -> Vec<usize> {
        let ranks: Vec<Vec<u32>> = self.texts.iter().map(TextDictionary::ranks).collect();
        let key = |grain: &Grain| {
            SORT_ORDER.map(|place| match place {
                0 => grain[0],
                _ => ranks[place - 1][grain[place] as usize],
            })
        };
        let mut keyed: Vec<(Grain, usize)> = self.grains.iter().map(key).zip(0..).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    fn finish(self) -> Result<RecordBatch> {
        let order = self.order();
        // Rows are moved once, so that each column is then read in order.
        let grains: Vec<Grain> = order.iter().map(|row| self.grains[*row]).collect();
        let rows: Vec<DailySums> = order.iter().map(|row| self.sums[*row].clone()).collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(28);
        let dates = grains.iter().map(|grain| from_sortable(grain[0]));
        columns.push(Arc::new(Date32Array::from_iter_values(dates)));
        for place in 1..DAILY_GRAIN.len() {
            let texts = &self.texts[place - 1];
            let values = || grains.iter().map(|grain| texts.text(grain[place]));
            columns.push(text_column(DAILY_GRAIN[place], values)?);
        }
        let sums = || rows.iter();
        let counts = |places: std::ops::Range<usize>| {
            places.map(|place| -> ArrayRef {
                let values = sums().map(|sums| sums.counts[place]);
                Arc::new(Int64Array::from_iter_values(values))
            })
        };
        let times = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        columns.extend(counts(0..TOKENS.end));
        columns.push(money_column(sums().map(|sums| sums.actual))?);
        columns.push(money_column(sums().map(|sums| sums.charged))?);
        columns.push(money_column(sums().map(|sums| Some(sums.unpriced_charged)))?);
        columns.extend(counts(UNPRICED_EVENTS..COUNTS.len()));
        columns.push(Arc::new(sums().map(|sums| sums.duration_ms).collect::<Int64Array>()));
        columns.push(times(sums().map(|sums| sums.first).collect()));
        columns.push(times(sums().map(|sums| sums.last).collect()));
        RecordBatch::try_new(usage_daily_schema(), columns).internal("cannot build daily rows")
    }
}

/// Unsigned numbers in the order of the signed days.
fn sortable(days: i32) -> u32 {
    days.cast_unsigned() ^ 0x8000_0000
}

fn from_sortable(days: u32) -> i32 {
    (days ^ 0x8000_0000).cast_signed()
}

/// A text column; texts beyond Arrow's 32-bit offsets are an error.
pub(super) fn text_column<'a, I: Iterator<Item = Option<&'a str>>>(
    name: &str,
    values: impl Fn() -> I,
) -> Result<ArrayRef> {
    let bytes: usize = values().map(|text| text.map_or(0, str::len)).sum();
    if i32::try_from(bytes).is_err() {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "{name} would hold {bytes} bytes; an answer holds 2 GiB a column; ask for less"
            ),
        ));
    }
    let mut builder = StringBuilder::with_capacity(values().size_hint().0, bytes);
    for text in values() {
        builder.append_option(text);
    }
    Ok(Arc::new(builder.finish()))
}

/// A decimal(38,12) column of picos; a sum that does not fit is an error.
pub(super) fn money_column(values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    let fits = |picos: Option<i128>| match picos {
        Some(picos) if picos.unsigned_abs() > MONEY_SUM_PICOS_MAX.unsigned_abs() => {
            Err(sum_too_large("a cost"))
        }
        fitting => Ok(fitting),
    };
    let column = values.map(fits).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(column.with_data_type(DataType::Decimal128(38, 12))))
}

pub(super) fn sum_too_large(what: &str) -> Error {
    Error::internal(format!(
        "{what} does not fit its column (64 bits, or 38 digits of money); events of this size \
         cannot be genuine: void them"
    ))
}
