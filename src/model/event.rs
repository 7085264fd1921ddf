//! One usage event: one call of one model.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::money::Money;

/// How the call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// Still running when the event was sent.
    Active,
    /// Ended well; what an event means when it says nothing.
    #[default]
    Completed,
    /// Ended in an error; its tokens and cost still count.
    Failed,
}

impl Status {
    /// The word used on the wire and in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The status of this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Completed, Self::Failed].into_iter().find(|one| one.as_str() == text)
    }
}

/// Where an event's actual cost came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CostSource {
    /// The sender said what the provider charges.
    Reported,
    /// Computed from the price list named by `price_version`.
    Computed,
    /// Not known: no price for this model. The cost is null, never 0.
    Unpriced,
}

impl CostSource {
    /// The word used in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Computed => "computed",
            Self::Unpriced => "unpriced",
        }
    }
}

/// Whether a row adds usage or takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Entry {
    /// A call that happened.
    #[default]
    Usage,
    /// The negation of an earlier usage row.
    Reversal,
}

impl Entry {
    /// The word used in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Reversal => "reversal",
        }
    }

    /// +1 for usage, −1 for a reversal: what the row adds to a count of events.
    pub fn quantity(self) -> i8 {
        match self {
            Self::Usage => 1,
            Self::Reversal => -1,
        }
    }
}

/// Tokens by class. The classes are disjoint: their sum is the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TokenCounts {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: i64,
    /// Prompt tokens read from a cache.
    pub cache_read: i64,
    /// Prompt tokens written to a short-lived (five-minute) cache.
    pub cache_write: i64,
    /// Prompt tokens written to a one-hour cache.
    pub cache_write_1h: i64,
    /// Generated tokens.
    pub output: i64,
    /// The part of `output` spent on reasoning; not added again.
    pub reasoning: i64,
}

impl TokenCounts {
    /// The total: the sum of the disjoint classes.
    pub fn total(&self) -> i64 {
        self.input + self.cache_read + self.cache_write + self.cache_write_1h + self.output
    }
}

/// One row of `usage_events`. `docs/DATA.md` describes each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// The sender's identifier of this event.
    pub event_id: String,
    /// Who sent it: with organization and event id, the idempotency key.
    pub source: String,
    /// When the call happened.
    pub event_time: DateTime<Utc>,
    /// When the server acknowledged it.
    pub recorded_at: DateTime<Utc>,
    /// The organization's local date of `event_time`.
    pub usage_date: NaiveDate,
    /// A UUID in lower-case hyphenated form.
    pub organization_id: String,
    /// Attribution as of `event_time`; `None` where nobody said.
    pub team_id: Option<String>,
    /// Attribution as of `event_time`; `None` where nobody said.
    pub department: Option<String>,
    /// The person or service that caused the call.
    pub user_id: Option<String>,
    /// The identifier of the key that was used; never the key.
    pub api_key_id: Option<String>,
    /// Groups the calls of one conversation.
    pub conversation_id: Option<String>,
    /// The id that every party to the call knows it by (the provider's, or the
    /// gateway's): events of one organization that share it are one request.
    pub request_id: Option<String>,
    /// `anthropic`, `openai`, …
    pub provider: String,
    /// The model's name as the provider knows it.
    pub model_name: String,
    /// How the call ended.
    pub status: Status,
    /// What the conversation is about, in a word or two; never prompt text.
    pub topic: Option<String>,
    /// Tokens by class.
    pub tokens: TokenCounts,
    /// What the provider charges us; `None` when unpriced.
    pub actual_api_cost: Option<Money>,
    /// What the user pays; `None` when unknown.
    pub charged_cost: Option<Money>,
    /// Where `actual_api_cost` came from.
    pub cost_source: CostSource,
    /// The price list used, when computed.
    pub price_version: Option<String>,
    /// How long the call took; `None` when nobody said.
    pub duration_ms: Option<i64>,
    /// Free dimensions: project, feature, environment, cost center, …
    pub tags: BTreeMap<String, String>,
    /// Usage, or the reversal of earlier usage.
    pub entry: Entry,
    /// The closed month (`2026-10`) that `event_time` belongs to, when the row
    /// is booked into a later, open one.
    pub correction_of_period: Option<String>,
    /// The correction that wrote the row; `None` for rows as they came in.
    pub correction_id: Option<String>,
}
