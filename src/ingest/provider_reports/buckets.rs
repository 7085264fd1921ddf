//! Pages of a report → its buckets of time. Both providers answer pages of
//! `data`, each element a bucket with `results`; they only write times
//! differently.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::value::RawValue;

use super::fields::{Fields, Place, refusal, shorten};
use crate::error::Result;

/// Years that a report may be of.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2200;

/// What was reported of one stretch of time.
#[derive(Debug)]
pub(super) struct Bucket<'a> {
    pub(super) place: Place,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) results: Vec<Fields<'a>>,
}

/// The buckets of all pages.
#[derive(Debug, Default)]
pub(super) struct Buckets<'a> {
    pub(super) buckets: Vec<Bucket<'a>>,
    /// Whether the last page says that another one follows.
    pub(super) more_pages: bool,
}

/// The buckets of `body` in order: one page, an array of pages, or documents
/// one after the other. A document may be a single bucket as well.
pub(super) fn buckets(body: &[u8]) -> Result<Buckets<'_>> {
    let mut found = Buckets::default();
    for (page, document) in (1..).zip(documents(body)?) {
        let place = Place { page, bucket: None, result: None };
        let fields = Fields::read(place, document)?;
        if let Some(buckets) = fields.array("data")? {
            for (number, bucket) in (1..).zip(buckets) {
                let place = Place { bucket: Some(number), ..place };
                found.buckets.push(read_bucket(Fields::read(place, bucket)?)?);
            }
            found.more_pages = fields.flag("has_more")?.unwrap_or(false);
        } else {
            found.buckets.push(read_bucket(fields)?);
            found.more_pages = false;
        }
    }
    if found.buckets.is_empty() {
        return Err(refusal("the report has no bucket of time".to_owned()));
    }
    Ok(found)
}

/// The JSON documents of `body`; those of an array stand for themselves.
fn documents(body: &[u8]) -> Result<Vec<&RawValue>> {
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
        let number = documents.len() + 1;
        let document = document
            .map_err(|error| refusal(format!("document {number} is not JSON ({error})")))?;
        match document.get().starts_with('[') {
            true => {
                let elements: Vec<&RawValue> = serde_json::from_str(document.get())
                    .map_err(|error| refusal(format!("document {number}: {error}")))?;
                documents.extend(elements);
            }
            false => documents.push(document),
        }
    }
    Ok(documents)
}

fn read_bucket(fields: Fields<'_>) -> Result<Bucket<'_>> {
    // `result` is what OpenAI's first version called them.
    let results = match fields.array("results")? {
        Some(results) => Some(results),
        None => fields.array("result")?,
    };
    let results = results.ok_or_else(|| fields.missing("results"))?;
    let start = time(&fields, "start_time", "starting_at")?;
    let end = time(&fields, "end_time", "ending_at")?;
    let place = fields.place;
    let last = end - TimeDelta::microseconds(1);
    if end <= start || start.date_naive() != last.date_naive() {
        return Err(refusal(format!(
            "{place} goes from {start} to {end}; a bucket lies within one UTC day: ask for \
             bucket_width=1d or less"
        )));
    }
    let results = (1..)
        .zip(results)
        .map(|(number, result)| Fields::read(Place { result: Some(number), ..place }, result));
    Ok(Bucket { place, start, end, results: results.collect::<Result<_>>()? })
}

/// A time in seconds since 1970 under one name, or RFC 3339 under the other.
fn time(fields: &Fields<'_>, seconds_name: &str, text_name: &str) -> Result<DateTime<Utc>> {
    let (name, time) = match fields.count(seconds_name)? {
        Some(seconds) => (seconds_name, DateTime::from_timestamp(seconds, 0)),
        None => {
            let text = fields.text(text_name)?.ok_or_else(|| fields.missing(text_name))?;
            (text_name, text.parse::<DateTime<Utc>>().ok())
        }
    };
    let usable = time.filter(|time| YEARS.contains(&time.year()));
    usable.ok_or_else(|| {
        let value = shorten(fields.raw(name).map_or("null", RawValue::get));
        refusal(format!(
            "{}: {name} is {value}; it must be a time between the years {} and {}",
            fields.place,
            YEARS.start(),
            YEARS.end()
        ))
    })
}
