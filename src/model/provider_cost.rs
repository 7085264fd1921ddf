//! What a provider reports of itself: usage and costs by day, as rows of
//! `provider_costs`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDate, Utc};

use super::batch::epoch_days;
use super::schema::provider_costs_schema;
use crate::error::{Context, Result};

/// What a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportKind {
    /// Tokens and requests.
    Usage,
    /// Amounts.
    Cost,
}

impl ReportKind {
    /// As the column `report_kind` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Cost => "cost",
        }
    }
}

/// One of the disjoint classes that tokens are counted and priced in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named like the columns")]
pub enum TokenClass {
    Input,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Output,
}

impl TokenClass {
    /// Every class, in column order.
    pub const ALL: [Self; 5] =
        [Self::Input, Self::CacheRead, Self::CacheWrite, Self::CacheWrite1h, Self::Output];

    /// As the column `token_class` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
        }
    }

    /// The column of `provider_costs` and `usage_events` that counts it.
    pub fn column(self) -> &'static str {
        match self {
            Self::Input => "input_tokens",
            Self::CacheRead => "cache_read_tokens",
            Self::CacheWrite => "cache_write_tokens",
            Self::CacheWrite1h => "cache_write_1h_tokens",
            Self::Output => "output_tokens",
        }
    }
}

/// One line of a provider's report. `None` is what the report does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCost {
    /// First instant of the reported time.
    pub bucket_start: DateTime<Utc>,
    /// First instant behind it; on the same UTC day, or the midnight after.
    pub bucket_end: DateTime<Utc>,
    /// The provider's project or workspace.
    pub project_id: Option<String>,
    /// The provider's name of the model.
    pub model_name: Option<String>,
    /// The provider's identifier of the key, never the key.
    pub api_key_id: Option<String>,
    /// What is charged for, in the provider's words.
    pub line_item: Option<String>,
    /// `tokens` for calls of models, else another word for what is charged.
    pub cost_type: Option<String>,
    /// Which tokens an amount is for.
    pub token_class: Option<TokenClass>,
    /// The service tier, for instance `standard`, `batch`, `priority`.
    pub service_tier: Option<String>,
    /// The context window that the price depends on.
    pub context_window: Option<String>,
    /// Calls.
    pub requests: Option<i64>,
    /// Tokens by class, in the order of [`TokenClass::ALL`].
    pub tokens: [Option<i64>; 5],
    /// Web searches that models made.
    pub web_search_requests: Option<i64>,
    /// The amount as an integer of 10⁻¹² of `currency`. An amount of a whole
    /// day has no bound of one event.
    pub amount_picos: Option<i128>,
    /// Three capital letters.
    pub currency: Option<String>,
}

impl ProviderCost {
    /// A line that says nothing yet.
    pub fn of_bucket(bucket_start: DateTime<Utc>, bucket_end: DateTime<Utc>) -> Self {
        Self {
            bucket_start,
            bucket_end,
            project_id: None,
            model_name: None,
            api_key_id: None,
            line_item: None,
            cost_type: None,
            token_class: None,
            service_tier: None,
            context_window: None,
            requests: None,
            tokens: [None; 5],
            web_search_requests: None,
            amount_picos: None,
            currency: None,
        }
    }

    /// The UTC day it belongs to.
    pub fn usage_date(&self) -> NaiveDate {
        self.bucket_start.date_naive()
    }
}

/// What all lines of one import share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportImport {
    /// What the report counts.
    pub kind: ReportKind,
    /// Who reports, as events name the provider.
    pub provider: String,
    /// Which account with the provider the report is of. Reports of one
    /// account replace one another day by day.
    pub account: String,
    /// Which of our organizations the account belongs to; `None` when it
    /// serves all of them.
    pub organization_id: Option<String>,
    /// When it was imported.
    pub imported_at: DateTime<Utc>,
    /// Names the import.
    pub import_id: String,
    /// Where it was read from.
    pub source_file: Option<String>,
}

/// One row of `provider_costs` per line, in the order given.
pub fn provider_costs_batch(import: &ReportImport, lines: &[ProviderCost]) -> Result<RecordBatch> {
    let same = |text: &'_ str| -> ArrayRef {
        let mut builder = StringBuilder::new();
        lines.iter().for_each(|_| builder.append_value(text));
        Arc::new(builder.finish())
    };
    let same_or_null = |text: Option<&str>| text.map_or_else(|| texts(lines, |_| None), same);
    let mut columns = vec![
        dates(lines),
        same(import.kind.as_str()),
        same(&import.provider),
        same(&import.account),
        same_or_null(import.organization_id.as_deref()),
        times(lines, |line| line.bucket_start),
        times(lines, |line| line.bucket_end),
        texts(lines, |line| line.project_id.as_deref()),
        texts(lines, |line| line.model_name.as_deref()),
        texts(lines, |line| line.api_key_id.as_deref()),
        texts(lines, |line| line.line_item.as_deref()),
        texts(lines, |line| line.cost_type.as_deref()),
        texts(lines, |line| line.token_class.map(TokenClass::as_str)),
        texts(lines, |line| line.service_tier.as_deref()),
        texts(lines, |line| line.context_window.as_deref()),
        longs(lines, |line| line.requests),
    ];
    columns.extend((0..5).map(|class| longs(lines, |line| line.tokens[class])));
    columns.extend([
        longs(lines, |line| line.web_search_requests),
        amounts(lines),
        texts(lines, |line| line.currency.as_deref()),
        times(lines, |_| import.imported_at),
        same(&import.import_id),
        same_or_null(import.source_file.as_deref()),
    ]);
    RecordBatch::try_new(provider_costs_schema(), columns).internal("cannot build provider costs")
}

fn texts<'a>(
    lines: &'a [ProviderCost],
    get: impl Fn(&'a ProviderCost) -> Option<&'a str>,
) -> ArrayRef {
    let mut builder = StringBuilder::new();
    lines.iter().for_each(|line| builder.append_option(get(line)));
    Arc::new(builder.finish())
}

fn longs(lines: &[ProviderCost], get: impl Fn(&ProviderCost) -> Option<i64>) -> ArrayRef {
    let mut builder = Int64Builder::with_capacity(lines.len());
    lines.iter().for_each(|line| builder.append_option(get(line)));
    Arc::new(builder.finish())
}

fn times(lines: &[ProviderCost], get: impl Fn(&ProviderCost) -> DateTime<Utc>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::with_capacity(lines.len()).with_timezone("UTC");
    lines.iter().for_each(|line| builder.append_value(get(line).timestamp_micros()));
    Arc::new(builder.finish())
}

fn dates(lines: &[ProviderCost]) -> ArrayRef {
    let mut builder = Date32Builder::with_capacity(lines.len());
    lines.iter().for_each(|line| builder.append_value(epoch_days(line.usage_date())));
    Arc::new(builder.finish())
}

fn amounts(lines: &[ProviderCost]) -> ArrayRef {
    let mut builder =
        Decimal128Builder::with_capacity(lines.len()).with_data_type(DataType::Decimal128(38, 12));
    lines.iter().for_each(|line| builder.append_option(line.amount_picos));
    Arc::new(builder.finish())
}
