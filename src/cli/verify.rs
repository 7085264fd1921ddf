//! `spendlake verify`.

use std::sync::Arc;

use clap::Args;

use super::progress::grouped;
use super::{Outcome, Session};
use crate::app::App;
use crate::error::{Context, Result};

/// Recompute the aggregates and compare: exits 1 at a difference
///
/// Adds up every event again and compares with the daily aggregates and the
/// counts in the tables' logs. Prints the first difference of each comparison.
/// Needs the data folder to itself: stop the server first.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let app = App::open(&session.config, Arc::clone(&session.clock)).await?;
        let verified = app.verify().await;
        app.close().await?;
        let report = verified?;
        if self.json {
            println!("{}", serde_json::to_string(&report).internal("writing the report")?);
        } else {
            for check in &report.checks {
                match &check.difference {
                    None => eprintln!("ok: {}", check.name),
                    Some(difference) => println!("differs: {}: {difference}", check.name),
                }
            }
            eprintln!("{} events", grouped(report.events));
        }
        Ok(if report.is_clean() { Outcome::Done } else { Outcome::Found })
    }
}
