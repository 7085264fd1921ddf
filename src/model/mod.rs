//! What a usage event is: identifiers, token classes, money, and the Arrow
//! schemas that every other module shares. No input or output happens here.

mod batch;
mod correction;
mod current;
mod decimal;
mod event;
mod money;
mod month;
mod provider_cost;
mod schema;

pub(crate) use batch::epoch_days;
pub use batch::events_to_batch;
pub use correction::{CorrectionStamp, NewCosts, reversals, stamped, with_costs};
pub use current::{current_rows, standing_rows};
pub use decimal::{DecimalError, ParsedDecimal, parse_decimal};
pub use event::{CostSource, Entry, Status, TokenCounts, UsageEvent};
pub use money::{MONEY_SCALE, Money};
pub use month::{Booking, ClosedMonths, Month};
pub use provider_cost::{ProviderCost, ReportImport, ReportKind, TokenClass, provider_costs_batch};
pub use schema::{
    ColumnKind, DAILY_GRAIN, TABLES, TableSpec, provider_costs_schema, rejected_events_schema,
    usage_daily_schema, usage_events_schema,
};
