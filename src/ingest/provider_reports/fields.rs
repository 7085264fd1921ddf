//! One JSON object of a report, read field by field. Amounts keep their
//! digits: a value stays text until its reader knows what it is.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::model::parse_decimal;

/// Longest text of a report, characters.
const TEXT_CHARS_MAX: usize = 256;
/// Most tokens or requests of one line: a sum over the lines of a report then
/// fits 64 bits.
const COUNT_MAX: u64 = 1_000_000_000_000;
/// Amounts stay below this, in 10⁻¹² of the currency: a billion.
const AMOUNT_PICOS_MAX: i128 = 1_000_000_000_000_000_000_000;
/// Characters of a wrong value that a message shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Where something stands in a report; each number counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) page: usize,
    pub(super) bucket: Option<usize>,
    pub(super) result: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "page {}", self.page)?;
        if let Some(bucket) = self.bucket {
            write!(formatter, ", bucket {bucket}")?;
        }
        if let Some(result) = self.result {
            write!(formatter, ", result {result}")?;
        }
        Ok(())
    }
}

/// The fields of one object. Fields that nobody asks for are passed over:
/// providers add new ones at any time.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) place: Place,
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which must be an object.
    pub(super) fn read(place: Place, value: &'a RawValue) -> Result<Self> {
        let values = serde_json::from_str(value.get()).map_err(|_| {
            let shown = shorten(value.get());
            refusal(format!("{place} is {shown}; it must be a JSON object"))
        })?;
        Ok(Self { place, values })
    }

    /// The value of `name`, unless it is absent or null.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.values.get(name).copied().filter(|value| value.get() != "null")
    }

    /// The elements of the array `name`.
    pub(super) fn array(&self, name: &str) -> Result<Option<Vec<&'a RawValue>>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let elements = serde_json::from_str(value.get());
        elements.map(Some).map_err(|_| self.wrong(name, "must be an array"))
    }

    /// The object `name`.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let inner = Self::read(self.place, value);
        inner.map(Some).map_err(|_| self.wrong(name, "must be an object"))
    }

    /// The text `name`; an empty one says nothing.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text: String =
            serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "must be a text"))?;
        if text.chars().count() > TEXT_CHARS_MAX {
            let rule = format!("must have at most {TEXT_CHARS_MAX} characters");
            return Err(self.wrong(name, &rule));
        }
        if text.chars().any(char::is_control) {
            return Err(self.wrong(name, "must have no control characters"));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The truth value `name`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let flag = serde_json::from_str(value.get());
        flag.map(Some).map_err(|_| self.wrong(name, "must be true or false"))
    }

    /// The whole number `name`.
    pub(super) fn count(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let count: Option<u64> = serde_json::from_str(value.get()).ok();
        let count = count.filter(|count| *count <= COUNT_MAX);
        let count = count.and_then(|count| i64::try_from(count).ok());
        let rule = format!("must be a whole number from 0 to {COUNT_MAX}");
        count.map(Some).ok_or_else(|| self.wrong(name, &rule))
    }

    /// [`Self::count`] of a field that every line has.
    pub(super) fn required_count(&self, name: &str) -> Result<i64> {
        self.count(name)?.ok_or_else(|| self.missing(name))
    }

    /// The decimal `name`, a number or a text, as an integer of 10^-`scale`.
    pub(super) fn decimal(&self, name: &str, scale: u32) -> Result<i128> {
        let value = self.raw(name).ok_or_else(|| self.missing(name))?;
        let text: Option<String> = serde_json::from_str(value.get()).ok();
        let literal = text.as_deref().unwrap_or(value.get());
        let parsed = parse_decimal(literal, scale).ok().map(|parsed| parsed.mantissa);
        let rule = "must be a decimal number below a billion";
        parsed.filter(|picos| picos.abs() < AMOUNT_PICOS_MAX).ok_or_else(|| self.wrong(name, rule))
    }

    /// The currency `name`, in capital letters.
    pub(super) fn currency(&self, name: &str) -> Result<String> {
        let code = self.text(name)?.ok_or_else(|| self.missing(name))?.to_ascii_uppercase();
        if code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Ok(code);
        }
        Err(self.wrong(name, "must be a currency of three letters, for instance USD"))
    }

    /// The error of a field whose value breaks `rule`.
    pub(super) fn wrong(&self, name: &str, rule: &str) -> Error {
        let value = self.values.get(name).map_or("null", |value| value.get());
        refusal(format!("{}: {name} is {}; it {rule}", self.place, shorten(value)))
    }

    /// The error of a field that must be there.
    pub(super) fn missing(&self, name: &str) -> Error {
        let has: Vec<&str> = self.values.keys().map(String::as_str).take(8).collect();
        let has = shorten(&has.join(", ")).to_owned();
        refusal(format!(
            "{}: {name} is missing (it has {has}); is the file of the format that --format names?",
            self.place
        ))
    }
}

/// An error that says that the report is refused as a whole.
pub(super) fn refusal(what: String) -> Error {
    Error::invalid(format!("{what}; nothing was imported"))
}

/// The first characters of a value.
pub(super) fn shorten(value: &str) -> &str {
    value.char_indices().nth(SHOWN_CHARS_MAX).map_or(value, |(end, _)| &value[..end])
}
