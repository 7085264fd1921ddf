//! Which of an event's rows counts: the one that no reversal took back.

use std::collections::HashMap;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int8Array, Int64Array, MapArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{Int8Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};

/// What tells one event from another.
const IDENTITY: [&str; 3] = ["organization_id", "source", "event_id"];

/// What a reversal shares with the row it takes back, its identity aside.
const TEXTS: [&str; 12] = [
    "team_id",
    "department",
    "user_id",
    "api_key_id",
    "conversation_id",
    "request_id",
    "provider",
    "model_name",
    "status",
    "topic",
    "cost_source",
    "price_version",
];

/// What a reversal has negated.
const COUNTS: [&str; 7] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "duration_ms",
];
const AMOUNTS: [&str; 2] = ["actual_api_cost", "charged_cost"];

/// The rows that count, one for each event that has any, in order: of `rows`,
/// which hold every row of their events, each event's in the order of recording.
pub fn current_rows(rows: &RecordBatch) -> Result<Vec<usize>> {
    let quantity = typed::<Int8Array>(rows, "quantity")?;
    let standing = standing_rows(rows)?.into_iter();
    Ok(standing.filter(|row| quantity.value(*row) > 0).collect())
}

/// The rows that no other one of `rows` takes back, in order: current events,
/// and reversals of rows that are not among `rows`.
///
/// A reversal takes back a row with the same content. Rows of the same content
/// are the same to every sum; the last one stands for them.
pub fn standing_rows(rows: &RecordBatch) -> Result<Vec<usize>> {
    let identities = hashes(rows, &IDENTITY, &[], &[])?;
    let contents = hashes(rows, &TEXTS, &COUNTS, &AMOUNTS)?;
    let contents = with_times_and_tags(rows, contents)?;
    let quantity = typed::<Int8Array>(rows, "quantity")?;
    // By content, the rows of either sign that have no counterpart yet.
    let mut open: HashMap<(u64, u64), Vec<usize>> = HashMap::with_capacity(rows.num_rows());
    for (row, key) in identities.into_iter().zip(contents).enumerate() {
        let open = open.entry(key).or_default();
        match open.last() {
            // The earliest goes, so that the latest one stays.
            Some(other) if quantity.value(*other) != quantity.value(row) => drop(open.remove(0)),
            _ => open.push(row),
        }
    }
    let mut standing: Vec<usize> = open.into_values().flatten().collect();
    standing.sort_unstable();
    Ok(standing)
}

fn with_times_and_tags(rows: &RecordBatch, mut contents: Vec<u64>) -> Result<Vec<u64>> {
    let times = column(rows, "event_time")?.as_primitive::<TimestampMicrosecondType>();
    let tags = typed::<MapArray>(rows, "tags")?;
    for (row, content) in contents.iter_mut().enumerate() {
        *content = xxh3_64_with_seed(&times.value(row).to_le_bytes(), *content);
        if tags.is_valid(row) {
            let entries = tags.value(row);
            let (names, values) = (entries.column(0), entries.column(1));
            for place in 0..entries.len() {
                for texts in [names, values] {
                    *content = text_hash(texts.as_string::<i32>(), place, *content);
                }
            }
        }
    }
    Ok(contents)
}

/// A hash of these columns of each row; numbers as they are before a reversal
/// negates them.
fn hashes(
    rows: &RecordBatch,
    texts: &[&str],
    counts: &[&str],
    amounts: &[&str],
) -> Result<Vec<u64>> {
    let mut hashes = vec![0; rows.num_rows()];
    for name in texts {
        let column = typed::<StringArray>(rows, name)?;
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = text_hash(column, row, *hash);
        }
    }
    let quantity = column(rows, "quantity")?.as_primitive::<Int8Type>();
    for name in counts {
        let column = typed::<Int64Array>(rows, name)?;
        for (row, hash) in hashes.iter_mut().enumerate() {
            let sign = i128::from(quantity.value(row));
            let value = column.is_valid(row).then(|| i128::from(column.value(row)) * sign);
            *hash = number_hash(value, *hash);
        }
    }
    for name in amounts {
        let column = typed::<Decimal128Array>(rows, name)?;
        for (row, hash) in hashes.iter_mut().enumerate() {
            let sign = i128::from(quantity.value(row));
            let value = column.is_valid(row).then(|| column.value(row) * sign);
            *hash = number_hash(value, *hash);
        }
    }
    Ok(hashes)
}

fn text_hash(texts: &StringArray, row: usize, seed: u64) -> u64 {
    match texts.is_valid(row) {
        true => xxh3_64_with_seed(texts.value(row).as_bytes(), seed.wrapping_add(1)),
        false => xxh3_64_with_seed(&[], seed),
    }
}

fn number_hash(value: Option<i128>, seed: u64) -> u64 {
    match value {
        Some(value) => xxh3_64_with_seed(&value.to_le_bytes(), seed),
        None => xxh3_64_with_seed(&[], seed),
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
}

fn typed<'a, A: 'static>(rows: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let typed = column(rows, name)?.as_any().downcast_ref();
    typed.ok_or_else(|| Error::internal(format!("column {name} has another type")))
}
