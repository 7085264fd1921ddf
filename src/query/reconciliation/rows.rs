//! What the questions of a reconciliation answer, as figures.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use chrono::NaiveDate;

use super::super::measures::Row;
use crate::error::{Error, Result};
use crate::model::{ReportKind, TokenClass};

/// Tokens by class, in the order of [`TokenClass::ALL`].
pub(super) type Tokens = [i128; 5];

/// Some of our events of one UTC day, booked on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OurRow {
    pub(super) utc_date: NaiveDate,
    pub(super) usage_date: NaiveDate,
    /// Booked later, since the month was closed.
    pub(super) corrected: bool,
    pub(super) model: String,
    pub(super) key: Option<String>,
    pub(super) requests: i128,
    pub(super) tokens: Tokens,
    /// The known costs, 10⁻¹² USD.
    pub(super) picos: i128,
    pub(super) unpriced_requests: i128,
    pub(super) unpriced_tokens: Tokens,
}

/// Some lines of a provider's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportRow {
    pub(super) kind: ReportKind,
    pub(super) date: NaiveDate,
    pub(super) organization_id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) key: Option<String>,
    pub(super) line_item: Option<String>,
    pub(super) cost_type: Option<String>,
    pub(super) token_class: Option<TokenClass>,
    pub(super) service_tier: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) requests: Option<i128>,
    pub(super) tokens: Tokens,
    pub(super) picos: i128,
}

/// The models and keys that we ever saw an event of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tracked {
    /// As [`model_family`] names them.
    pub(super) models: BTreeSet<String>,
    /// `None` stands for events without a key.
    pub(super) keys: BTreeSet<Option<String>>,
}

/// The name that both sides' models are lined up by: events often carry an
/// alias (`claude-sonnet-4-5`) where the report has the dated model
/// (`claude-sonnet-4-5-20250929`).
pub(super) fn model_family(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let name = name.strip_suffix("-latest").unwrap_or(&name);
    let parts: Vec<&str> = name.split(['-', '@']).collect();
    let is_number = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let date = match parts.as_slice() {
        [_, .., year, month, day]
            if is_number(year, 4) && is_number(month, 2) && is_number(day, 2) =>
        {
            "-2025-01-01".len()
        }
        [_, .., date] if is_number(date, 8) => "-20250101".len(),
        _ => 0,
    };
    name[..name.len() - date].to_owned()
}

pub(super) fn our_rows(batch: &RecordBatch) -> Result<Vec<OurRow>> {
    let row = |row: Row<'_>| {
        Ok(OurRow {
            utc_date: date(row, "utc_date")?,
            usage_date: date(row, "usage_date")?,
            corrected: row.flag("corrected")?.unwrap_or(false),
            model: model_family(row.text("model_name")?.unwrap_or_default()),
            key: row.text("api_key_id")?.map(str::to_owned),
            requests: row.count("requests")?.into(),
            tokens: tokens(row, "")?,
            picos: row.picos("cost")?.unwrap_or(0),
            unpriced_requests: row.count("unpriced_requests")?.into(),
            unpriced_tokens: tokens(row, "unpriced_")?,
        })
    };
    Row::all(batch).map(row).collect()
}

pub(super) fn report_rows(batch: &RecordBatch) -> Result<Vec<ReportRow>> {
    let row = |row: Row<'_>| {
        let text = |name: &str| Ok::<_, Error>(row.text(name)?.map(str::to_owned));
        let usage = row.text("report_kind")? == Some(ReportKind::Usage.as_str());
        let class = row.text("token_class")?;
        Ok(ReportRow {
            kind: if usage { ReportKind::Usage } else { ReportKind::Cost },
            date: date(row, "usage_date")?,
            organization_id: text("organization_id")?,
            model: text("model_name")?.map(|name| model_family(&name)),
            key: text("api_key_id")?,
            line_item: text("line_item")?,
            cost_type: text("cost_type")?,
            token_class: TokenClass::ALL.into_iter().find(|one| Some(one.as_str()) == class),
            service_tier: text("service_tier")?,
            currency: text("currency")?,
            requests: row.long("requests")?.map(i128::from),
            tokens: tokens(row, "")?,
            picos: row.picos("amount")?.unwrap_or(0),
        })
    };
    Row::all(batch).map(row).collect()
}

pub(super) fn tracked(batch: &RecordBatch) -> Result<Tracked> {
    let mut tracked = Tracked::default();
    for row in Row::all(batch) {
        tracked.models.insert(model_family(row.text("model_name")?.unwrap_or_default()));
        tracked.keys.insert(row.text("api_key_id")?.map(str::to_owned));
    }
    Ok(tracked)
}

fn date(row: Row<'_>, name: &str) -> Result<NaiveDate> {
    row.date(name)?.ok_or_else(|| Error::internal(format!("a row without {name}")))
}

/// A sum is null where no line counts the class: nothing to compare.
fn tokens(row: Row<'_>, prefix: &str) -> Result<Tokens> {
    let mut tokens = [0; 5];
    for (count, class) in tokens.iter_mut().zip(TokenClass::ALL) {
        *count = row.long(&format!("{prefix}{}", class.column()))?.unwrap_or(0).into();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::model_family;

    #[test]
    fn a_dated_model_lines_up_with_its_alias() {
        for (name, family) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("openai/GPT-4o", "gpt-4o"),
            ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
            ("gpt-3.5-turbo-0125", "gpt-3.5-turbo-0125"),
            ("20250929", "20250929"),
            ("", ""),
            ("é-20250929", "é"),
        ] {
            assert_eq!(model_family(name), family, "{name}");
        }
    }
}
