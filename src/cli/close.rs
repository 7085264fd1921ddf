//! `spendlake close`.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::target::Target;
use super::{Outcome, Session};
use crate::api::{CloseBody, ClosedMonth, ClosedMonthList};
use crate::error::{Context, Error, Result};

/// Close a month, or list and check closed ones
///
/// After a close, events and corrections that come late for the month are
/// booked into the current month, with their own time and
/// `correction_of_period`; exports of the month give the same bytes for ever.
/// Closing a month again changes nothing. A month cannot be opened again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake close 2026-10 --reason 'October is invoiced'
  spendlake close 2026-10 --organization 6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01
  spendlake close --check")]
pub(super) struct CloseArgs {
    /// The month, such as 2026-10; without it, closed months are listed
    #[arg(value_name = "MONTH")]
    month: Option<String>,
    /// Close it for one organization only (a UUID)
    #[arg(long, value_name = "ID")]
    organization: Option<uuid::Uuid>,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT", default_value = "closed on the command line")]
    reason: String,
    /// Add every closed month up again: exits 1 where one differs
    #[arg(long, conflicts_with_all = ["month", "organization"])]
    check: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CloseArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let as_json = self.json;
        if self.month.is_none() && self.organization.is_some() {
            return Err(Error::invalid("--organization needs a month to close, such as 2026-10"));
        }
        let target = Target::open(session).await?;
        let answer = self.ask(&target).await;
        target.close().await?;
        let months = answer?;
        let differs = months.items.iter().any(|month| month.unchanged == Some(false));
        if as_json {
            println!("{}", serde_json::to_string(&months).internal("writing the months")?);
        } else {
            print(&months);
        }
        Ok(if differs { Outcome::Found } else { Outcome::Done })
    }

    async fn ask(self, target: &Target) -> Result<ClosedMonthList> {
        let Some(month) = self.month else {
            return target.closed_months(self.check).await;
        };
        let (organization_id, reason) = (self.organization, self.reason);
        let closed = target.close_month(CloseBody { month, organization_id, reason }).await?;
        Ok(ClosedMonthList { items: vec![closed] })
    }
}

fn print(months: &ClosedMonthList) {
    if months.items.is_empty() {
        eprintln!("no month is closed");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "month",
        "organization",
        "closed at",
        "events",
        "cost",
        "export SHA-256",
        "",
    ]);
    for month in &months.items {
        table.add_row(row(month));
    }
    println!("{table}");
}

fn row(month: &ClosedMonth) -> [String; 7] {
    let said = |name: &str| {
        let value = month.statement.as_ref().and_then(|statement| statement.get(name));
        match value {
            None | Some(serde_json::Value::Null) => "unknown".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    };
    let state = match month.unchanged {
        None => "",
        Some(true) => "unchanged",
        Some(false) => "DIFFERS",
    };
    [
        month.month.clone(),
        month.organization_id.clone().unwrap_or_else(|| "all".to_owned()),
        month.closed_at.format("%Y-%m-%d %H:%M:%S").to_string(),
        said("total_events"),
        said("total_cost"),
        said("export_sha256"),
        state.to_owned(),
    ]
}
