//! `spendlake compact`.

use std::sync::Arc;

use clap::Args;

use super::progress::grouped;
use super::{Outcome, Session};
use crate::app::App;
use crate::error::Result;

/// Merge small files now
///
/// The server does this by itself; by hand it is useful after a large import
/// or before copying the folder. Needs the data folder to itself.
#[derive(Debug, Args)]
pub(super) struct CompactArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CompactArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let app = App::open(&session.config, Arc::clone(&session.clock)).await?;
        let compacted = app.compact().await;
        app.close().await?;
        let report = compacted?;
        if self.json {
            let shown = serde_json::json!({
                "days": report.days,
                "files_removed": report.files_removed,
                "files_added": report.files_added,
                "bytes_removed": report.bytes_removed,
                "bytes_added": report.bytes_added,
            });
            println!("{shown}");
        } else {
            println!(
                "{} days: {} files ({} bytes) became {} ({} bytes)",
                grouped(report.days as u64),
                grouped(report.files_removed as u64),
                grouped(report.bytes_removed),
                grouped(report.files_added as u64),
                grouped(report.bytes_added)
            );
        }
        Ok(Outcome::Done)
    }
}
