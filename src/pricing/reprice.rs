//! What another price list makes of a stored event. Decides only; writing is
//! for whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{PriceBook, PriceQuestion};
use crate::model::{CostSource, Money, NewCosts, TokenCounts, UsageEvent};

/// What happens to events whose actual cost the sender reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reported {
    /// They stay as they are.
    #[default]
    Keep,
    /// What the user pays is computed anew from the reported cost.
    Charge,
    /// The list's cost takes the place of the reported one, where it has one.
    Replace,
}

/// The costs of one current event, and all that decides them.
#[derive(Debug, Clone, Copy)]
pub struct CallCosts<'a> {
    /// Whose prices.
    pub organization_id: &'a str,
    /// For the report.
    pub team_id: Option<&'a str>,
    /// The key that was used, where known.
    pub api_key_id: Option<&'a str>,
    /// As the event names it.
    pub provider: &'a str,
    /// As the event names it.
    pub model: &'a str,
    /// When the call happened.
    pub time: DateTime<Utc>,
    /// What was used.
    pub tokens: TokenCounts,
    /// What is stored.
    pub actual: Option<Money>,
    /// What is stored.
    pub charged: Option<Money>,
    /// What is stored.
    pub cost_source: CostSource,
    /// What is stored.
    pub price_version: Option<&'a str>,
}

impl<'a> From<&'a UsageEvent> for CallCosts<'a> {
    fn from(event: &'a UsageEvent) -> Self {
        Self {
            organization_id: &event.organization_id,
            team_id: event.team_id.as_deref(),
            api_key_id: event.api_key_id.as_deref(),
            provider: &event.provider,
            model: &event.model_name,
            time: event.event_time,
            tokens: event.tokens,
            actual: event.actual_api_cost,
            charged: event.charged_cost,
            cost_source: event.cost_source,
            price_version: event.price_version.as_deref(),
        }
    }
}

/// What a repricing says of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The repricing is not about this event.
    Apart,
    /// The list says what is stored.
    Same,
    /// The list has no price; the known cost stays, since unknown is no
    /// better than known.
    Kept,
    /// The list has no price, and none was known.
    StillUnpriced,
    /// Other costs.
    Changed(NewCosts),
}

impl Judgement {
    /// The costs to write, where there are any.
    pub fn new_costs(&self) -> Option<&NewCosts> {
        match self {
            Self::Changed(costs) => Some(costs),
            _ => None,
        }
    }

    /// See [`Judgement::new_costs`].
    pub fn into_new_costs(self) -> Option<NewCosts> {
        match self {
            Self::Changed(costs) => Some(costs),
            _ => None,
        }
    }
}

/// A repricing: by which list, and of which events.
#[derive(Debug, Clone)]
pub struct Repricing {
    /// The list to price by.
    pub book: Arc<PriceBook>,
    /// Every known list by version: tells whether a stored charge was
    /// computed or sent.
    pub books: BTreeMap<String, Arc<PriceBook>>,
    /// Leave every event alone whose actual cost is known.
    pub only_unpriced: bool,
    /// What happens to reported costs.
    pub reported: Reported,
}

impl Repricing {
    /// What becomes of one event.
    ///
    /// Computed and unpriced costs are computed anew. A reported actual cost
    /// is replaced only when that was asked for, a charge that the sender
    /// reported never. A known cost never becomes unknown. Costs that stay the
    /// same are no change, even where another list says so now.
    pub fn judge(&self, call: &CallCosts<'_>) -> Judgement {
        let unpriced = call.cost_source == CostSource::Unpriced;
        let is_reported = call.cost_source == CostSource::Reported;
        let kept_apart = is_reported && self.reported == Reported::Keep;
        if kept_apart || (self.only_unpriced && !unpriced) {
            return Judgement::Apart;
        }
        // Without any tokens nobody said what was used, as of a call whose usage
        // the source could not tell: no list may make a cost of 0 of that.
        if unpriced && call.tokens == TokenCounts::default() {
            return Judgement::StillUnpriced;
        }
        let keep_actual = is_reported && self.reported == Reported::Charge;
        let reported_actual = if keep_actual { call.actual } else { None };
        let reported_charged = if self.charge_was_sent(call) { call.charged } else { None };
        let priced = self.book.price(&question(call, reported_actual, reported_charged));
        if priced.actual.is_none() && !unpriced {
            return Judgement::Kept;
        }
        if (priced.actual, priced.charged) == (call.actual, call.charged) {
            return if unpriced { Judgement::StillUnpriced } else { Judgement::Same };
        }
        Judgement::Changed(NewCosts {
            actual_api_cost: priced.actual,
            charged_cost: priced.charged,
            cost_source: priced.cost_source,
            price_version: priced.price_version.map(str::to_owned),
        })
    }

    /// Whether the stored charge is the sender's word. Rows do not say so, but
    /// the list that they name does: what it would have charged was computed.
    /// A charge equal to the actual cost follows from it.
    fn charge_was_sent(&self, call: &CallCosts<'_>) -> bool {
        if call.charged.is_none() || call.charged == call.actual {
            return false;
        }
        let Some(book) = call.price_version.and_then(|version| self.books.get(version)) else {
            return true;
        };
        let is_reported = call.cost_source == CostSource::Reported;
        let reported_actual = if is_reported { call.actual } else { None };
        book.price(&question(call, reported_actual, None)).charged != call.charged
    }
}

fn question<'a>(
    call: &'a CallCosts<'_>,
    reported_actual: Option<Money>,
    reported_charged: Option<Money>,
) -> PriceQuestion<'a> {
    PriceQuestion {
        organization_id: call.organization_id,
        api_key_id: call.api_key_id,
        provider: call.provider,
        model: call.model,
        time: call.time,
        tokens: &call.tokens,
        reported_actual,
        reported_charged,
    }
}

#[cfg(test)]
mod tests;
