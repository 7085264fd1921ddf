//! What a call costs and what its user pays: (organization, API key, provider,
//! model, time, tokens) → money, from versioned price lists. Reads no files
//! and uses no floats.

mod active;
mod batch;
mod difference;
mod index;
mod list;
mod percent;
mod rates;
mod reprice;
mod reprice_report;
mod row;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, NaiveDate, Utc};

use crate::error::Result;
use crate::model::{CostSource, Money, TokenCounts};
use index::Index;
use percent::{Percent, WHOLE, divide_half_even};
use rates::{Rates, TOKENS_PER_PRICE};
use row::{Charge, PriceRow};

pub use active::ActivePrices;
pub use batch::{ListedBook, model_prices, model_prices_schema};
pub use difference::BookDifference;
pub use reprice::{CallCosts, Judgement, Reported, Repricing};
pub use reprice_report::{RepriceReport, RepriceRow, RepriceSums};

/// The list that is built into the program, and the version it is known by.
const SHIPPED_VERSION: &str = "2026-11-23";
const SHIPPED_CSV: &str = include_str!("../../data/prices/2026-11-23.csv");

/// One version of the prices. It never changes: other prices are another
/// version.
#[derive(Debug)]
pub struct PriceBook {
    version: String,
    /// As it was handed in, so that what is exported is what was imported.
    csv_text: String,
    /// Sorted by scope, provider, model and start of validity.
    rows: Vec<PriceRow>,
    index: Index,
}

/// A call whose price is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PriceQuestion<'a> {
    /// Whose prices.
    pub organization_id: &'a str,
    /// The key that was used, where known.
    pub api_key_id: Option<&'a str>,
    /// As the event names it.
    pub provider: &'a str,
    /// As the event names it.
    pub model: &'a str,
    /// When the call happened.
    pub time: DateTime<Utc>,
    /// What was used.
    pub tokens: &'a TokenCounts,
    /// What the sender says the provider charges; taken as it is.
    pub reported_actual: Option<Money>,
    /// What the sender says the user pays; taken as it is.
    pub reported_charged: Option<Money>,
}

impl<'a> PriceQuestion<'a> {
    /// What everybody's prices make of a call of which nothing was reported.
    pub fn new(
        provider: &'a str,
        model: &'a str,
        time: DateTime<Utc>,
        tokens: &'a TokenCounts,
    ) -> Self {
        Self {
            organization_id: "",
            api_key_id: None,
            provider,
            model,
            time,
            tokens,
            reported_actual: None,
            reported_charged: None,
        }
    }
}

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced<'book> {
    /// What the provider charges; `None` is unpriced.
    pub actual: Option<Money>,
    /// What the user pays; never `None` where `actual` is known.
    pub charged: Option<Money>,
    /// Where `actual` came from.
    pub cost_source: CostSource,
    /// The list, where one of the two amounts was computed from it.
    pub price_version: Option<&'book str>,
}

/// What the rows of a list say of one call.
#[derive(Debug, Default)]
struct Terms<'book> {
    rates: Option<&'book Rates>,
    discount: Option<Percent>,
    charge: Option<&'book Charge>,
}

impl PriceBook {
    /// Reads a price list in the format that `data/prices/README.md`
    /// describes. `version` becomes the `price_version` of what it prices.
    ///
    /// Fails with the line, column, value and rule of the first mistake.
    pub fn parse(version: &str, csv_text: &str) -> Result<Self> {
        let rows = list::read_rows(csv_text)?;
        let index = Index::of(&rows);
        Ok(Self { version: version.to_owned(), csv_text: csv_text.to_owned(), rows, index })
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

    /// The list as it was handed in, byte for byte.
    pub fn csv_text(&self) -> &str {
        &self.csv_text
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// What a call costs, and what its user pays.
    ///
    /// The actual cost is the reported one, else list price × (1 − discount).
    /// The charged cost is the reported one, else by our own prices or actual
    /// × (1 + markup), else the actual one. Actual is rounded first, once,
    /// half-even, to 10⁻¹² USD; a markup applies to the rounded actual, and
    /// its result is rounded once more: so charged follows from what is
    /// stored, whether actual was computed or reported.
    ///
    /// Unpriced is what the list does not know at that time, what uses a class
    /// without a price, and what is beyond [`Money::EVENT_PICOS_MAX`]. Unknown
    /// is never 0. A charge beyond that bound is not applied.
    pub fn price(&self, question: &PriceQuestion<'_>) -> Priced<'_> {
        let terms = self.terms(question);
        let computed = match question.reported_actual {
            Some(_) => None,
            None => terms.actual(question.tokens),
        };
        let actual = question.reported_actual.or(computed);
        let charge = match question.reported_charged {
            Some(_) => None,
            None => terms.charge(question.tokens, actual),
        };
        let from_list = computed.is_some() || charge.is_some();
        Priced {
            actual,
            charged: question.reported_charged.or(charge).or(actual),
            cost_source: match (question.reported_actual, computed) {
                (Some(_), _) => CostSource::Reported,
                (None, Some(_)) => CostSource::Computed,
                (None, None) => CostSource::Unpriced,
            },
            price_version: from_list.then_some(self.version.as_str()),
        }
    }

    /// Whether the list has a price for everybody, at any time, of exactly
    /// this model.
    pub fn knows(&self, provider: &str, model: &str) -> bool {
        let rows = self.rows.get(self.index.exact(provider, model)).unwrap_or_default();
        rows.iter().any(|row| row.rates.any())
    }

    /// Each term comes from the most specific row that states it. A discount
    /// is one on the prices of its own row or of wider ones: it never reaches
    /// prices that are more specific than itself.
    fn terms(&self, question: &PriceQuestion<'_>) -> Terms<'_> {
        let date = question.time.date_naive();
        let PriceQuestion { organization_id, api_key_id, provider, model, .. } = *question;
        let mut terms = Terms::default();
        for place in self.index.places(organization_id, api_key_id, provider, model) {
            let Some(row) = self.row_on(place, date) else { continue };
            if terms.rates.is_none() {
                terms.discount = terms.discount.or(row.discount);
                terms.rates = row.rates.any().then_some(&row.rates);
            }
            terms.charge = terms.charge.or(row.charge.as_ref());
            if terms.rates.is_some() && terms.charge.is_some() {
                break;
            }
        }
        terms
    }

    fn row_on(&self, place: std::ops::Range<usize>, date: NaiveDate) -> Option<&PriceRow> {
        self.rows.get(place)?.iter().find(|row| row.is_valid_on(date))
    }
}

impl Terms<'_> {
    /// List price × (1 − discount), exact, then rounded once.
    fn actual(&self, tokens: &TokenCounts) -> Option<Money> {
        let list = self.rates?.sum(tokens)?;
        let factor = self.discount.map_or(WHOLE, Percent::off_whole);
        // What overflows here is beyond a trillion dollars.
        let scaled = list.checked_mul(factor)?;
        event_money(divide_half_even(scaled, TOKENS_PER_PRICE * WHOLE))
    }

    /// What the list makes the user pay; `None` where it says nothing of it.
    fn charge(&self, tokens: &TokenCounts, actual: Option<Money>) -> Option<Money> {
        match self.charge? {
            Charge::Own(rates) => {
                event_money(divide_half_even(rates.sum(tokens)?, TOKENS_PER_PRICE))
            }
            Charge::Markup(markup) => {
                let scaled = actual?.picos().checked_mul(markup.onto_whole())?;
                event_money(divide_half_even(scaled, WHOLE))
            }
        }
    }
}

/// An amount that the column of one event can hold.
fn event_money(picos: i128) -> Option<Money> {
    let fits = (0..=Money::EVENT_PICOS_MAX).contains(&picos);
    if fits { Money::from_picos(picos) } else { None }
}

#[cfg(test)]
mod tests;
