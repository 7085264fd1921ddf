//! Reads the rows of a price list.

use chrono::NaiveDate;
use csv::StringRecord;

use super::{PriceRow, Rates};
use crate::error::{Error, Result};
use crate::model::Money;

/// The header of a price list, in this order.
const COLUMNS: [&str; 10] = [
    "provider",
    "model",
    "valid_from",
    "valid_to",
    "input_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "output_usd_per_mtok",
    "reasoning_usd_per_mtok",
];

/// A row and the line it stood on, for messages.
struct Numbered {
    line: u64,
    row: PriceRow,
}

/// The rows of `csv_text`, sorted by provider, model and start of validity,
/// and free of overlaps.
pub(super) fn read_rows(csv_text: &str) -> Result<Vec<PriceRow>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(csv_text.as_bytes());
    let header = reader.headers().map_err(unreadable)?;
    if header.iter().ne(COLUMNS) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(Error::invalid(format!(
            "line 1 of the price list is \"{found}\"; the columns must be {}",
            COLUMNS.join(",")
        )));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(Numbered { line, row: read_row(line, &record)? });
    }
    rows.sort_by(|left, right| sort_key(&left.row).cmp(&sort_key(&right.row)));
    check_overlaps(&rows)?;
    Ok(rows.into_iter().map(|numbered| numbered.row).collect())
}

fn sort_key(row: &PriceRow) -> (&str, &str, Option<NaiveDate>) {
    (&row.provider, &row.model, row.valid_from)
}

fn read_row(line: u64, record: &StringRecord) -> Result<PriceRow> {
    let cell = |column: usize| Cell {
        line,
        column: COLUMNS[column],
        value: record.get(column).unwrap_or_default(),
    };
    let row = PriceRow {
        provider: cell(0).name()?,
        model: cell(1).name()?,
        valid_from: cell(2).date()?,
        valid_to: cell(3).date()?,
        rates: Rates {
            input: cell(4).rate()?,
            cache_read: cell(5).rate()?,
            cache_write: cell(6).rate()?,
            cache_write_1h: cell(7).rate()?,
            output: cell(8).rate()?,
            reasoning: cell(9).rate()?,
        },
    };
    if let (Some(from), Some(to)) = (row.valid_from, row.valid_to)
        && to <= from
    {
        return Err(cell(3).refused(&format!("it must be after valid_from, {from}")));
    }
    Ok(row)
}

/// Rows of one model stand together, ordered by their start: an overlap shows
/// between neighbours.
fn check_overlaps(rows: &[Numbered]) -> Result<()> {
    for pair in rows.windows(2) {
        let [first, second] = pair else { continue };
        let same = first.row.provider == second.row.provider && first.row.model == second.row.model;
        let apart = match (first.row.valid_to, second.row.valid_from) {
            (Some(to), Some(from)) => to <= from,
            _ => false,
        };
        if same && !apart {
            return Err(Error::invalid(format!(
                "line {} of the price list overlaps line {}: the periods of {} {} must not \
                 overlap; end the earlier one with valid_to",
                second.line, first.line, second.row.provider, second.row.model
            )));
        }
    }
    Ok(())
}

/// One value of a row and where it stands.
struct Cell<'a> {
    line: u64,
    column: &'static str,
    value: &'a str,
}

impl Cell<'_> {
    fn name(&self) -> Result<String> {
        if self.value.is_empty() {
            Err(self.refused("it must not be empty"))
        } else {
            Ok(self.value.to_owned())
        }
    }

    fn date(&self) -> Result<Option<NaiveDate>> {
        if self.value.is_empty() {
            return Ok(None);
        }
        let date = NaiveDate::parse_from_str(self.value, "%Y-%m-%d");
        date.map(Some).map_err(|_| self.refused("it must be a date like 2026-11-23, or empty"))
    }

    fn rate(&self) -> Result<Option<i128>> {
        if self.value.is_empty() {
            return Ok(None);
        }
        let rule = "it must be a decimal number of US dollars per million tokens, or empty";
        let (money, rounded) = Money::parse(self.value).map_err(|_| self.refused(rule))?;
        if rounded {
            return Err(self.refused("it must have at most 12 digits after the point"));
        }
        if !(0..=Money::EVENT_PICOS_MAX).contains(&money.picos()) {
            return Err(self.refused("it must be at least 0 and below 1000000"));
        }
        Ok(Some(money.picos()))
    }

    fn refused(&self, rule: &str) -> Error {
        let Self { line, column, value } = self;
        Error::invalid(format!("line {line} of the price list: {column} is \"{value}\"; {rule}"))
    }
}

fn unreadable(error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    let message = format!("line {line} of the price list is not a row of {} values", COLUMNS.len());
    Error::invalid(message).caused_by(error)
}
