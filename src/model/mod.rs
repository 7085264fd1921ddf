//! What a usage event is: identifiers, token classes, money, and the Arrow
//! schemas that every other module shares. No input or output happens here.

mod batch;
mod correction;
mod current;
mod decimal;
mod event;
mod mentions;
mod money;
mod month;
mod precedence;
mod provider_cost;
mod schema;
mod sighting;

pub(crate) use batch::epoch_days;
pub use batch::events_to_batch;
pub use correction::{
    CorrectionStamp, NewCosts, PRECEDENCE_CORRECTION, reversals, stamped, with_costs,
};
pub use current::{current_rows, standing_rows};
pub use decimal::{DecimalError, ParsedDecimal, parse_decimal};
pub use event::{CostSource, Entry, Status, TokenCounts, UsageEvent};
pub use mentions::{mentions, mentions_in_sql};
pub use money::{MONEY_SCALE, Money};
pub use month::{Booking, ClosedMonths, Month};
pub use precedence::SourcePrecedence;
pub use provider_cost::{ProviderCost, ReportImport, ReportKind, TokenClass, provider_costs_batch};
pub use schema::{
    ColumnKind, DAILY_GRAIN, TABLES, TableSpec, provider_costs_schema, rejected_events_schema,
    sightings_schema, usage_daily_schema, usage_events_schema,
};
pub use sighting::{Winner, sightings_batch};
