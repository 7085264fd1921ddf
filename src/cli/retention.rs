//! `spendlake retention`.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::progress::grouped;
use super::target::Target;
use super::{Outcome, Session};
use crate::api::RetentionBody;
use crate::error::{Context, Result};

/// Drop days that are past their age
///
/// Each table keeps its days as long as its setting says
/// (usage_events_retention_days, …; 0 keeps for ever). The daily sums outlive
/// their events. Age is stronger than a close: closed months whose exports lose
/// rows are named. A server drops by itself once an hour; dropped files stay
/// readable for vacuum_retention_hours.
#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    /// Only show what would go
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RetentionArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let target = Target::open(session).await?;
        let answer = target.retention(RetentionBody { dry_run: self.dry_run }).await;
        target.close().await?;
        let answer = answer?;
        if self.json {
            println!("{}", serde_json::to_string(&answer).internal("writing the report")?);
            return Ok(Outcome::Done);
        }
        if answer.tables.is_empty() {
            eprintln!("every table keeps everything; the settings …_retention_days bound that");
            return Ok(Outcome::Done);
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["table", "before", "days", "rows", "bytes", "closed months"]);
        for one in &answer.tables {
            table.add_row([
                one.table.clone(),
                one.before.to_string(),
                one.days.to_string(),
                grouped(one.rows),
                grouped(one.bytes),
                one.closed_months.join(" "),
            ]);
        }
        println!("{table}");
        Ok(Outcome::Done)
    }
}
