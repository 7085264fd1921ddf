//! One row of a price list: for whom and for what it holds, when, and what it
//! says.

use chrono::NaiveDate;

use super::percent::Percent;
use super::rates::Rates;

/// What a row may match anything with.
pub(super) const ANY: &str = "*";

/// Who a row is for. The order is the order of rows in a list, not of their
/// precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Everybody.
    Global,
    /// One organization.
    Organization(String),
    /// One API key of one organization.
    ApiKey { organization_id: String, api_key_id: String },
}

/// What a row says of the user's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// The actual cost and so many percent.
    Markup(Percent),
    /// Prices of our own, whatever the provider charges.
    Own(Rates),
}

/// One row. At least one of rates, discount and charge says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PriceRow {
    pub(super) scope: Scope,
    /// The exact name, or [`ANY`].
    pub(super) provider: String,
    /// The exact name, or [`ANY`].
    pub(super) model: String,
    /// First day of validity (UTC); `None` is without bound.
    pub(super) valid_from: Option<NaiveDate>,
    /// First day after validity (UTC); `None` is without bound.
    pub(super) valid_to: Option<NaiveDate>,
    /// List prices; all empty where the row leaves them to wider rows.
    pub(super) rates: Rates,
    /// Taken off the list price; `None` says nothing.
    pub(super) discount: Option<Percent>,
    /// What the user pays; `None` says nothing.
    pub(super) charge: Option<Charge>,
}

/// What two rows must not share in overlapping periods.
pub(super) type RowKey<'a> = (&'a Scope, &'a str, &'a str);

impl PriceRow {
    pub(super) fn key(&self) -> RowKey<'_> {
        (&self.scope, &self.provider, &self.model)
    }

    pub(super) fn is_valid_on(&self, date: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= date) && self.valid_to.is_none_or(|to| date < to)
    }

    /// What stands in each column that says something, in the order of the
    /// file; the shortest decimals.
    pub(super) fn cells(&self) -> Vec<(&'static str, String)> {
        let mut cells = self.identity_cells();
        let rates = |prefix: bool, rates: &Rates| -> Vec<(&'static str, String)> {
            let names = if prefix { &CHARGED_COLUMNS } else { &RATE_COLUMNS };
            let stated = names.iter().zip(rates.classes());
            stated.filter_map(|(name, rate)| Some((*name, Rates::shown(rate?)))).collect()
        };
        cells.extend(rates(false, &self.rates));
        cells.extend(self.discount.map(|discount| ("discount_percent", discount.to_string())));
        match &self.charge {
            Some(Charge::Markup(markup)) => cells.push(("markup_percent", markup.to_string())),
            Some(Charge::Own(own)) => cells.extend(rates(true, own)),
            None => {}
        }
        cells
    }

    /// For whom, for what, and since when: what names a row.
    pub(super) fn identity_cells(&self) -> Vec<(&'static str, String)> {
        let mut cells = Vec::new();
        match &self.scope {
            Scope::Global => {}
            Scope::Organization(id) => cells.push(("organization_id", id.clone())),
            Scope::ApiKey { organization_id, api_key_id } => {
                cells.push(("organization_id", organization_id.clone()));
                cells.push(("api_key_id", api_key_id.clone()));
            }
        }
        cells.push(("provider", self.provider.clone()));
        cells.push(("model", self.model.clone()));
        let dates = [("valid_from", self.valid_from), ("valid_to", self.valid_to)];
        cells.extend(dates.into_iter().filter_map(|(name, date)| Some((name, date?.to_string()))));
        cells
    }
}

/// Where the list prices stand, in the order of [`Rates::classes`].
pub(super) const RATE_COLUMNS: [&str; 6] = [
    "input_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "output_usd_per_mtok",
    "reasoning_usd_per_mtok",
];

/// Where our own prices stand, in the order of [`Rates::classes`].
pub(super) const CHARGED_COLUMNS: [&str; 6] = [
    "charged_input_usd_per_mtok",
    "charged_cache_read_usd_per_mtok",
    "charged_cache_write_usd_per_mtok",
    "charged_cache_write_1h_usd_per_mtok",
    "charged_output_usd_per_mtok",
    "charged_reasoning_usd_per_mtok",
];
