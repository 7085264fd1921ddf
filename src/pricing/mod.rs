//! What a call costs: (provider, model, time, tokens) → money, from dated
//! price lists. Reads no files and uses no floats.

mod batch;
mod list;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, NaiveDate, Utc};

use crate::error::Result;
use crate::model::{Money, TokenCounts};

pub use batch::model_prices_schema;

/// The list that is built into the program, and the version it is known by.
const SHIPPED_VERSION: &str = "2026-11-23";
const SHIPPED_CSV: &str = include_str!("../../data/prices/2026-11-23.csv");

/// Prices are per this many tokens.
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// A price list: for each provider and model its prices by period.
#[derive(Debug)]
pub struct PriceBook {
    version: String,
    /// Sorted by provider, model and start of validity.
    rows: Vec<PriceRow>,
    /// Provider → model → its rows. Nested, so that a lookup by two `&str`
    /// allocates nothing.
    index: HashMap<String, HashMap<String, Range<usize>>>,
}

/// The prices of one model in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PriceRow {
    provider: String,
    model: String,
    /// First day of validity (UTC); `None` is without bound.
    valid_from: Option<NaiveDate>,
    /// First day after validity (UTC); `None` is without bound.
    valid_to: Option<NaiveDate>,
    rates: Rates,
}

/// Picos (10⁻¹² USD) per million tokens of each class; `None` is "not priced
/// separately".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Rates {
    input: Option<i128>,
    cache_read: Option<i128>,
    cache_write: Option<i128>,
    cache_write_1h: Option<i128>,
    output: Option<i128>,
    reasoning: Option<i128>,
}

impl PriceBook {
    /// Reads a price list in the format that `data/prices/README.md`
    /// describes. `version` becomes the `price_version` of what it prices.
    ///
    /// Fails with the line, column, value and rule of the first mistake.
    pub fn parse(version: &str, csv_text: &str) -> Result<Self> {
        let rows = list::read_rows(csv_text)?;
        let mut index: HashMap<String, HashMap<String, Range<usize>>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            let models = index.entry(row.provider.clone()).or_default();
            models.entry(row.model.clone()).or_insert(at..at).end = at + 1;
        }
        Ok(Self { version: version.to_owned(), rows, index })
    }

    /// The price list that is built into the program.
    pub fn shipped() -> &'static Arc<Self> {
        static SHIPPED: LazyLock<Arc<PriceBook>> = LazyLock::new(|| {
            let book = PriceBook::parse(SHIPPED_VERSION, SHIPPED_CSV);
            Arc::new(book.expect("the committed price list is well formed: a test reads it"))
        });
        &SHIPPED
    }

    /// The name of this list: the `price_version` of events it priced.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What `tokens` cost at `time`, rounded once, half-even, to 10⁻¹² USD.
    ///
    /// `None` means unpriced: the list does not know the model at that time,
    /// a class that was used has no price, or the sum is beyond what
    /// [`Money`] holds. Unknown is never 0.
    pub fn price(
        &self,
        provider: &str,
        model: &str,
        time: DateTime<Utc>,
        tokens: &TokenCounts,
    ) -> Option<Money> {
        let range = self.index.get(provider)?.get(model)?;
        let date = time.date_naive();
        let row = self.rows.get(range.clone())?.iter().find(|row| row.is_valid_on(date))?;
        row.rates.cost(tokens)
    }

    /// Whether the list has a price, at any time, for this model.
    pub fn knows(&self, provider: &str, model: &str) -> bool {
        self.index.get(provider).is_some_and(|models| models.contains_key(model))
    }
}

impl PriceRow {
    fn is_valid_on(&self, date: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= date) && self.valid_to.is_none_or(|to| date < to)
    }
}

impl Rates {
    /// The exact sum over the classes, rounded once. A class without tokens
    /// needs no price.
    fn cost(&self, tokens: &TokenCounts) -> Option<Money> {
        // Reasoning tokens are a part of the output tokens, never more.
        let reasoning =
            if self.reasoning.is_some() { tokens.reasoning.min(tokens.output) } else { 0 };
        let cache_write = self.cache_write.or(self.input);
        let charges = [
            (tokens.input, self.input),
            (tokens.cache_read, self.cache_read.or(self.input)),
            (tokens.cache_write, cache_write),
            (tokens.cache_write_1h, self.cache_write_1h.or(cache_write)),
            (tokens.output - reasoning, self.output),
            (reasoning, self.reasoning),
        ];
        // No overflow: a rate is below 10¹⁸ and a count below 10¹⁹, so that
        // six products stay below 10³⁸.
        let mut sum = 0_i128;
        for (count, rate) in charges {
            if count != 0 {
                sum += i128::from(count) * rate?;
            }
        }
        Money::from_picos(divide_half_even(sum, TOKENS_PER_PRICE))
    }
}

/// `value / divisor` rounded to the nearest integer, ties to the even one.
fn divide_half_even(value: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (value.div_euclid(divisor), value.rem_euclid(divisor));
    let up = match (2 * remainder).cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

#[cfg(test)]
mod tests;
