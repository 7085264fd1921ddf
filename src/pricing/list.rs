//! Reads the rows of a price list.

use chrono::NaiveDate;
use csv::StringRecord;
use uuid::Uuid;

use super::percent::Percent;
use super::rates::Rates;
use super::row::{ANY, CHARGED_COLUMNS, Charge, PriceRow, RATE_COLUMNS, Scope};
use crate::error::{Error, Result};
use crate::model::Money;

/// The columns beside those of prices.
const OTHER_COLUMNS: [&str; 8] = [
    "organization_id",
    "api_key_id",
    "provider",
    "model",
    "valid_from",
    "valid_to",
    "discount_percent",
    "markup_percent",
];

/// Most rows of one list.
const ROWS_MAX: usize = 100_000;

/// Bounds of a markup, percent: −100 charges nothing, and more than a hundred
/// times the cost is a slip of the comma.
const MARKUP_PERCENT_MIN: i64 = -100;
const MARKUP_PERCENT_MAX: i64 = 10_000;

/// A row and the line it stood on, for messages.
struct Numbered {
    line: u64,
    row: PriceRow,
}

/// The rows of `csv_text`, sorted by scope, provider, model and start of
/// validity, and free of overlaps.
pub(super) fn read_rows(csv_text: &str) -> Result<Vec<PriceRow>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(csv_text.as_bytes());
    let header = reader.headers().map_err(|error| unreadable(&error, 0))?.clone();
    check_header(&header)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error, header.len()))?;
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() == ROWS_MAX {
            return Err(Error::invalid(format!(
                "line {line} of the price list is one too many; a list has at most {ROWS_MAX} rows"
            )));
        }
        let cells = Cells { line, header: &header, record: &record };
        rows.push(Numbered { line, row: read_row(&cells)? });
    }
    rows.sort_by(|one, other| sort_key(&one.row).cmp(&sort_key(&other.row)));
    check_overlaps(&rows)?;
    Ok(rows.into_iter().map(|numbered| numbered.row).collect())
}

/// Columns stand in any order, each at most once; those left out are empty.
fn check_header(header: &StringRecord) -> Result<()> {
    let known = || OTHER_COLUMNS.iter().chain(&RATE_COLUMNS).chain(&CHARGED_COLUMNS).copied();
    let refused = |why: String| {
        let columns = known().collect::<Vec<_>>().join(", ");
        Error::invalid(format!(
            "line 1 of the price list {why}; the columns are {columns}; provider and model are \
             required"
        ))
    };
    for (place, name) in header.iter().enumerate() {
        if !known().any(|column| column == name) {
            return Err(refused(format!("names a column \"{name}\"")));
        }
        if header.iter().skip(place + 1).any(|other| other == name) {
            return Err(refused(format!("names the column {name} twice")));
        }
    }
    for required in ["provider", "model"] {
        if !header.iter().any(|name| name == required) {
            return Err(refused(format!("has no column {required}")));
        }
    }
    Ok(())
}

fn sort_key(row: &PriceRow) -> (super::row::RowKey<'_>, Option<NaiveDate>) {
    (row.key(), row.valid_from)
}

fn read_row(cells: &Cells<'_>) -> Result<PriceRow> {
    let row = PriceRow {
        scope: read_scope(cells)?,
        provider: cells.get("provider").name()?,
        model: cells.get("model").name()?,
        valid_from: cells.get("valid_from").date()?,
        valid_to: cells.get("valid_to").date()?,
        rates: read_rates(cells, RATE_COLUMNS)?,
        discount: cells.get("discount_percent").percent(0, 100)?,
        charge: read_charge(cells)?,
    };
    if let (Some(from), Some(to)) = (row.valid_from, row.valid_to)
        && to <= from
    {
        let rule = format!("it must be after valid_from, {from}");
        return Err(cells.get("valid_to").refused(&rule));
    }
    if row.provider == ANY && row.model != ANY {
        let rule = "a row of every provider (*) is for every model: write *, or name the provider";
        return Err(cells.get("model").refused(rule));
    }
    if row.provider == ANY && row.rates.any() {
        let rule = "a row of every provider (*) has no list prices, since they would price models \
                    that nobody knows; name the provider";
        return Err(cells.get("provider").refused(rule));
    }
    if !row.rates.any() && row.discount.is_none() && row.charge.is_none() {
        let rule = "the row says nothing: give it a price, discount_percent, markup_percent or \
                    charged prices";
        return Err(cells.get("model").refused(rule));
    }
    Ok(row)
}

fn read_scope(cells: &Cells<'_>) -> Result<Scope> {
    let (organization, api_key) = (cells.get("organization_id"), cells.get("api_key_id"));
    if organization.value.is_empty() {
        if api_key.value.is_empty() {
            return Ok(Scope::Global);
        }
        return Err(api_key.refused("a key belongs to an organization: give organization_id too"));
    }
    let id = Uuid::try_parse(organization.value)
        .map_err(|_| organization.refused("it must be a UUID, or empty for everybody"))?;
    let organization_id = id.hyphenated().to_string();
    if api_key.value.is_empty() {
        return Ok(Scope::Organization(organization_id));
    }
    Ok(Scope::ApiKey { organization_id, api_key_id: api_key.value.to_owned() })
}

fn read_rates(cells: &Cells<'_>, columns: [&'static str; 6]) -> Result<Rates> {
    let rate = |class: usize| cells.get(columns[class]).rate();
    Ok(Rates {
        input: rate(0)?,
        cache_read: rate(1)?,
        cache_write: rate(2)?,
        cache_write_1h: rate(3)?,
        output: rate(4)?,
        reasoning: rate(5)?,
    })
}

/// Own prices name input and output, so that no class lacks one: an event
/// whose actual cost is known always has a charge.
fn read_charge(cells: &Cells<'_>) -> Result<Option<Charge>> {
    let markup = cells.get("markup_percent");
    let percent = markup.percent(MARKUP_PERCENT_MIN, MARKUP_PERCENT_MAX)?;
    let own = read_rates(cells, CHARGED_COLUMNS)?;
    if !own.any() {
        return Ok(percent.map(Charge::Markup));
    }
    if percent.is_some() {
        return Err(markup.refused("a row has either a markup or charged prices; empty one"));
    }
    for (column, rate) in [(CHARGED_COLUMNS[0], own.input), (CHARGED_COLUMNS[4], own.output)] {
        if rate.is_none() {
            return Err(cells.get(column).refused("charged prices need input and output"));
        }
    }
    Ok(Some(Charge::Own(own)))
}

/// Rows of one key stand together, ordered by their start: an overlap shows
/// between neighbours.
fn check_overlaps(rows: &[Numbered]) -> Result<()> {
    for pair in rows.windows(2) {
        let [first, second] = pair else { continue };
        let apart = match (first.row.valid_to, second.row.valid_from) {
            (Some(to), Some(from)) => to <= from,
            _ => false,
        };
        if first.row.key() == second.row.key() && !apart {
            let (earlier, later) = (first.line.min(second.line), first.line.max(second.line));
            return Err(Error::invalid(format!(
                "line {later} of the price list overlaps line {earlier}: the periods of {} {} must \
                 not overlap within one scope; end the earlier one with valid_to",
                second.row.provider, second.row.model
            )));
        }
    }
    Ok(())
}

/// The values of one row by column.
struct Cells<'a> {
    line: u64,
    header: &'a StringRecord,
    record: &'a StringRecord,
}

impl<'a> Cells<'a> {
    fn get(&self, column: &'static str) -> Cell<'a> {
        let place = self.header.iter().position(|name| name == column);
        let value = place.and_then(|place| self.record.get(place)).unwrap_or_default();
        Cell { line: self.line, column, value }
    }
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

    fn percent(&self, least: i64, most: i64) -> Result<Option<Percent>> {
        if self.value.is_empty() {
            return Ok(None);
        }
        Percent::parse(self.value, least..=most).map(Some).ok_or_else(|| {
            self.refused(&format!(
                "it must be a decimal number from {least} to {most} with at most 6 digits after \
                 the point, or empty"
            ))
        })
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

fn unreadable(error: &csv::Error, columns: usize) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    let message = format!("line {line} of the price list is not a row of {columns} values");
    Error::invalid(message).caused_by(error.to_string())
}
