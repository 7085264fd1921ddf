//! The costs of an event: what the sender says, else what the price list says.

use super::validate::ValidEvent;
use crate::model::{CostSource, Money};
use crate::pricing::{PriceBook, PriceQuestion};

/// The costs of an event, as they are stored.
#[derive(Debug)]
pub(super) struct Costs {
    pub(super) actual: Option<Money>,
    pub(super) charged: Option<Money>,
    pub(super) cost_source: CostSource,
    pub(super) price_version: Option<String>,
}

/// A reported cost is taken as it is. A missing actual cost is computed, or
/// stays unknown; a missing charged cost is computed, or is the actual one.
///
/// To be asked once the event's organization and API key are settled: prices
/// can be theirs alone.
pub(super) fn costs(event: &ValidEvent, prices: &PriceBook) -> Costs {
    // Its token counts are 0 because a count is required: no price may make a
    // cost of 0 of them.
    if event.usage_unknown && event.actual_api_cost.is_none() {
        return Costs {
            actual: None,
            charged: event.charged_cost,
            cost_source: CostSource::Unpriced,
            price_version: None,
        };
    }
    let priced = prices.price(&PriceQuestion {
        organization_id: &event.organization_id,
        api_key_id: event.api_key_id.as_deref(),
        provider: &event.provider,
        model: &event.model_name,
        time: event.event_time,
        tokens: &event.tokens,
        reported_actual: event.actual_api_cost,
        reported_charged: event.charged_cost,
    });
    Costs {
        actual: priced.actual,
        charged: priced.charged,
        cost_source: priced.cost_source,
        price_version: priced.price_version.map(str::to_owned),
    }
}
