//! `spendlake reconcile`.

use std::io::Write;

use chrono::NaiveDate;
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::target::Target;
use super::{Outcome, Session};
use crate::access::Reach;
use crate::app::ReconciliationRequest;
use crate::app::{Cause, Reconciliation, ReconciliationFigures, ReconciliationItem};
use crate::error::{Context, Result};
use crate::export::defused;

/// Compare a provider's charges with our costs, and say why they differ
///
/// Lines up the imported reports (`spendlake import --format …-costs`) with
/// our events by UTC day, model and key. The causes of each line add up to its
/// difference exactly. The table and its last sentence, or CSV or JSON, go to
/// standard output; what the reports leave open goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake import --format anthropic-costs costs.json
  spendlake import --format anthropic-usage usage.json
  spendlake reconcile --provider anthropic --from 2026-10-01 --to 2026-10-31")]
pub(super) struct ReconcileArgs {
    /// The provider, as events name it
    #[arg(long)]
    provider: String,
    /// First UTC day, inclusive
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,
    /// Last UTC day, inclusive
    #[arg(long, value_name = "DATE")]
    to: NaiveDate,
    /// Only this organization (a UUID) and the reports of its accounts
    #[arg(long, value_name = "ID")]
    organization: Option<uuid::Uuid>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A box; the last line is the total
    Table,
    /// One object, as the route answers it
    Json,
    /// A header, the lines, and the total
    Csv,
}

impl ReconcileArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let request = ReconciliationRequest {
            reach: Reach::Everything,
            provider: self.provider,
            date_from: self.from,
            date_to: self.to,
            // As it is stored: in lower case, with hyphens.
            organization_id: self.organization.map(|id| id.hyphenated().to_string()),
        };
        let target = Target::open(session).await?;
        let answer = target.reconciliation(&request).await;
        let closed = target.close().await;
        let answer = answer?;
        let text = match self.format {
            Format::Table => format!("{}\n{}\n", table(&answer), answer.summary),
            Format::Csv => csv(&answer)?,
            Format::Json => {
                let json = serde_json::to_string_pretty(&answer);
                format!("{}\n", json.internal("writing the answer")?)
            }
        };
        std::io::stdout().write_all(text.as_bytes()).internal("writing the answer")?;
        for sentence in &answer.untold {
            eprintln!("note: {sentence}");
        }
        closed.map(|()| Outcome::Done)
    }
}

/// The lines and their total; causes that explain nothing have no column.
fn table(answer: &Reconciliation) -> Table {
    let explains = |cause: &Cause| {
        let mut figures = answer.items.iter().map(|item| &item.figures);
        figures.any(|figures| part(figures, *cause) != "0")
    };
    let causes: Vec<Cause> = Cause::ALL.into_iter().filter(explains).collect();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    let names = ["date", "model", "key", "provider", "ours", "difference"].into_iter();
    table.set_header(names.chain(causes.iter().map(|cause| cause.name())));
    for item in &answer.items {
        table.add_row(row(names_of(item), &item.figures, &causes));
    }
    table.add_row(row(["total".to_owned(), String::new(), String::new()], &answer.total, &causes));
    table
}

fn names_of(item: &ReconciliationItem) -> [String; 3] {
    let model = item.item.clone().or_else(|| item.model_name.clone());
    let key = item.api_key_id.clone().unwrap_or_default();
    [item.date.to_string(), model.unwrap_or_else(|| "all models".to_owned()), key]
}

fn row(names: [String; 3], figures: &ReconciliationFigures, causes: &[Cause]) -> Vec<Cell> {
    let amounts = [&figures.provider_cost, &figures.our_cost, &figures.difference];
    let amounts = amounts.into_iter().map(String::as_str);
    let amounts = amounts.chain(causes.iter().map(|cause| part(figures, *cause)));
    let amounts = amounts.map(|amount| Cell::new(amount).set_alignment(CellAlignment::Right));
    names.into_iter().map(Cell::new).chain(amounts).collect()
}

fn part(figures: &ReconciliationFigures, cause: Cause) -> &str {
    figures.causes.get(cause.name()).map_or("0", String::as_str)
}

fn csv(answer: &Reconciliation) -> Result<String> {
    let doing = "writing the answer";
    let mut lines = ::csv::Writer::from_writer(Vec::new());
    let mut header = vec!["date", "model_name", "api_key_id", "item"];
    header.extend(["provider_cost", "our_cost", "difference"]);
    header.extend(Cause::ALL.map(Cause::name));
    header.extend(["provider_requests", "our_requests", "provider_tokens", "our_tokens"]);
    header.push("unpriced_events");
    lines.write_record(header).internal(doing)?;
    let text = |text: &Option<String>| defused(text.as_deref().unwrap_or_default()).into_owned();
    for item in &answer.items {
        let names = [&item.model_name, &item.api_key_id, &item.item].map(text);
        let names = std::iter::once(item.date.to_string()).chain(names);
        lines.write_record(names.chain(cells(&item.figures))).internal(doing)?;
    }
    let names = ["total", "", "", ""].map(str::to_owned).into_iter();
    lines.write_record(names.chain(cells(&answer.total))).internal(doing)?;
    String::from_utf8(lines.into_inner().internal(doing)?).internal(doing)
}

fn cells(figures: &ReconciliationFigures) -> Vec<String> {
    let known = |count: Option<i64>| count.map_or(String::new(), |count| count.to_string());
    let amounts = [&figures.provider_cost, &figures.our_cost, &figures.difference];
    let mut cells: Vec<String> = amounts.into_iter().cloned().collect();
    cells.extend(Cause::ALL.map(|cause| part(figures, cause).to_owned()));
    cells.extend([
        known(figures.provider_requests),
        figures.our_requests.to_string(),
        known(figures.provider_tokens),
        figures.our_tokens.to_string(),
        figures.unpriced_events.to_string(),
    ]);
    cells
}
