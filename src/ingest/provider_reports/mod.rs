//! Reports of providers about themselves → lines of `provider_costs`, by pure
//! functions.
//!
//! A report is taken as a whole or not at all: it replaces the days that it
//! covers, and half of a day would look like a smaller bill.

mod anthropic;
mod buckets;
mod fields;
mod openai;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{ProviderCost, ReportKind};
use buckets::{Bucket, buckets};
use fields::Fields;

/// Lines of one report at most.
const REPORT_LINES_MAX: usize = 1_000_000;

/// The format of a report: which endpoint of which provider answered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// `GET /v1/organization/usage/completions`
    OpenaiUsage,
    /// `GET /v1/organization/costs`
    OpenaiCosts,
    /// `GET /v1/organizations/usage_report/messages`
    AnthropicUsage,
    /// `GET /v1/organizations/cost_report`
    AnthropicCosts,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedReport {
    /// The UTC days that it covers, also those without anything on them.
    pub dates: BTreeSet<NaiveDate>,
    /// Days of which it covers a part only.
    pub partial_dates: BTreeSet<NaiveDate>,
    /// Its lines, in order. A time without any use has one that says 0.
    pub lines: Vec<ProviderCost>,
    /// Whether its last page says that there are more.
    pub more_pages: bool,
}

impl ReportFormat {
    /// Every format.
    pub const ALL: [Self; 4] =
        [Self::OpenaiUsage, Self::OpenaiCosts, Self::AnthropicUsage, Self::AnthropicCosts];

    /// As the command line and the route spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiUsage => "openai-usage",
            Self::OpenaiCosts => "openai-costs",
            Self::AnthropicUsage => "anthropic-usage",
            Self::AnthropicCosts => "anthropic-costs",
        }
    }

    /// The format called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What it counts.
    pub fn kind(self) -> ReportKind {
        match self {
            Self::OpenaiUsage | Self::AnthropicUsage => ReportKind::Usage,
            Self::OpenaiCosts | Self::AnthropicCosts => ReportKind::Cost,
        }
    }

    /// The provider, as events name it.
    pub fn provider(self) -> &'static str {
        match self {
            Self::OpenaiUsage | Self::OpenaiCosts => "openai",
            Self::AnthropicUsage | Self::AnthropicCosts => "anthropic",
        }
    }

    fn line(self, result: &Fields<'_>, line: ProviderCost) -> Result<ProviderCost> {
        match self {
            Self::OpenaiUsage => openai::usage(result, line),
            Self::OpenaiCosts => openai::cost(result, line),
            Self::AnthropicUsage => anthropic::usage(result, line),
            Self::AnthropicCosts => anthropic::cost(result, line),
        }
    }
}

/// Reads a report: one page, an array of pages, or pages one after the other
/// (JSON lines). Anything that it cannot read refuses the whole report, with
/// the place, the value and the rule.
pub fn parse_report(format: ReportFormat, body: &[u8]) -> Result<ParsedReport> {
    let found = buckets(body)?;
    let mut report = ParsedReport {
        dates: BTreeSet::new(),
        partial_dates: BTreeSet::new(),
        lines: Vec::new(),
        more_pages: found.more_pages,
    };
    check_overlaps(&found.buckets)?;
    let mut covered: BTreeMap<NaiveDate, TimeDelta> = BTreeMap::new();
    for bucket in &found.buckets {
        *covered.entry(bucket.start.date_naive()).or_default() += bucket.end - bucket.start;
        let empty = ProviderCost::of_bucket(bucket.start, bucket.end);
        if bucket.results.is_empty() {
            report.lines.push(nothing(format.kind(), empty));
            continue;
        }
        for result in &bucket.results {
            report.lines.push(format.line(result, empty.clone())?);
        }
        if report.lines.len() > REPORT_LINES_MAX {
            let message = format!(
                "the report has more than {REPORT_LINES_MAX} lines; import fewer days at once"
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
    }
    let whole = TimeDelta::days(1);
    let partial = covered.iter().filter(|(_, time)| **time < whole).map(|(date, _)| *date);
    report.partial_dates = partial.collect();
    report.dates = covered.into_keys().collect();
    Ok(report)
}

/// The line of a time in which nothing was used: a known 0, so that the day
/// counts as covered.
fn nothing(kind: ReportKind, line: ProviderCost) -> ProviderCost {
    match kind {
        ReportKind::Usage => ProviderCost { tokens: [Some(0); 5], ..line },
        ReportKind::Cost => {
            ProviderCost { amount_picos: Some(0), currency: Some("USD".to_owned()), ..line }
        }
    }
}

/// A bucket that is there twice would count twice.
fn check_overlaps(buckets: &[Bucket<'_>]) -> Result<()> {
    let mut ordered: Vec<&Bucket<'_>> = buckets.iter().collect();
    ordered.sort_by_key(|bucket| (bucket.start, bucket.end));
    let Some(pair) = ordered.windows(2).find(|pair| pair[1].start < pair[0].end) else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "{} ({} to {}) and {} ({} to {}) overlap; a report has each time once: leave out the page \
         that is there twice, and import reports that are grouped differently one by one; nothing \
         was imported",
        pair[0].place,
        shown(pair[0].start),
        shown(pair[0].end),
        pair[1].place,
        shown(pair[1].start),
        shown(pair[1].end),
    )))
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
