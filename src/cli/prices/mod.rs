//! `spendlake prices`.

mod holder;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::sql::print_answer;
use super::{Outcome, Session};
use crate::api::PriceVersion;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::prices::{BOOK_BYTES_MAX, check_version};
use crate::pricing::{BookDifference, PriceBook};
use holder::PriceHolder;

const UNPRICED_SQL: &str = include_str!("../../../queries/unpriced_events.sql");

/// Look at the price lists, bring in a new one, choose the active one
///
/// A list never changes once it is imported, since events name the one that
/// priced them. Events are priced by the active list when they arrive; stored
/// ones change only by `spendlake reprice`. Uses the server that holds the data
/// folder, or opens the folder itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake prices export > ours.csv          then add discounts and markups
  spendlake prices import ours.csv --version 2026-12-ours --activate
  spendlake prices diff 2026-11-23 2026-12-ours
  spendlake prices unpriced")]
pub(super) struct PricesArgs {
    #[command(subcommand)]
    verb: PricesVerb,
}

#[derive(Debug, Subcommand)]
enum PricesVerb {
    /// Every list, and which one is active since when
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write a list to standard output, as it was imported
    Export {
        /// The list [default: the active one]
        #[arg(long = "version", value_name = "VERSION")]
        version: Option<String>,
    },
    /// Store a list under a new name
    Import {
        /// CSV with the columns that data/prices/README.md describes
        file: PathBuf,
        /// Its name, such as 2026-12-ours
        #[arg(long = "version", value_name = "VERSION")]
        version: String,
        /// Price events by it from now on
        #[arg(long)]
        activate: bool,
    },
    /// Price events by this list from now on
    Activate {
        /// The list
        version: String,
    },
    /// What one list says that another does not; exits 1 when they differ
    Diff {
        /// The older list
        old: String,
        /// The newer list
        new: String,
    },
    /// Models with events of unknown cost
    Unpriced,
}

impl PricesArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        if matches!(self.verb, PricesVerb::Unpriced) {
            print_answer(session, UNPRICED_SQL).await?;
            return Ok(Outcome::Done);
        }
        let holder = PriceHolder::open(session).await?;
        let done = self.verb.run(&holder).await;
        holder.close().await?;
        done
    }
}

impl PricesVerb {
    async fn run(self, holder: &PriceHolder) -> Result<Outcome> {
        match self {
            Self::List { json } => list(holder, json).await?,
            Self::Export { version } => export(holder, version).await?,
            Self::Import { file, version, activate } => {
                import(holder, &file, &version, activate).await?;
            }
            Self::Activate { version } => activate(holder, &version).await?,
            Self::Diff { old, new } => return diff(holder, &old, &new).await,
            Self::Unpriced => {}
        }
        Ok(Outcome::Done)
    }
}

async fn list(holder: &PriceHolder, json: bool) -> Result<()> {
    let versions = holder.versions().await?;
    if json {
        println!("{}", serde_json::to_string(&versions).internal("writing the list")?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["version", "rows", "", "active since"]);
    for PriceVersion { price_version, rows, active, built_in, activated_at } in versions.versions {
        let marks = [(active, "active"), (built_in, "built in")];
        let marks: Vec<&str> = marks.iter().filter(|mark| mark.0).map(|mark| mark.1).collect();
        let since = if active { activated_at.last().cloned() } else { None };
        let rows = rows.to_string();
        table.add_row([price_version, rows, marks.join(", "), since.unwrap_or_default()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

async fn export(holder: &PriceHolder, version: Option<String>) -> Result<()> {
    let version = match version {
        Some(version) => version,
        None => {
            let versions = holder.versions().await?.versions;
            let active = versions.into_iter().find(|version| version.active);
            active.ok_or_else(|| Error::internal("no price list is active"))?.price_version
        }
    };
    let text = holder.csv(&version).await?;
    match std::io::stdout().write_all(text.as_bytes()) {
        // How `… | head` ends.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context(ErrorKind::Unavailable, "writing the price list"),
    }
}

async fn import(
    holder: &PriceHolder,
    file: &std::path::Path,
    version: &str,
    and_activate: bool,
) -> Result<()> {
    check_version(version)?;
    let shown = file.display();
    let size = std::fs::metadata(file).map(|metadata| metadata.len());
    let size = size.context(ErrorKind::NotFound, format!("cannot open {shown}; check the path"))?;
    if size > BOOK_BYTES_MAX as u64 {
        let message =
            format!("{shown} has {size} bytes; a price list has at most {BOOK_BYTES_MAX}");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    let text = std::fs::read_to_string(file);
    let text = text.context(ErrorKind::Invalid, format!("cannot read {shown} as UTF-8 text"))?;
    let stored = holder.import(version, &text).await?;
    let what = if stored { "stored" } else { "was there already, with the same content" };
    eprintln!("{version} {what}");
    if and_activate {
        activate(holder, version).await?;
    } else if stored {
        eprintln!("it prices nothing yet: `spendlake prices activate {version}`");
    }
    Ok(())
}

async fn activate(holder: &PriceHolder, version: &str) -> Result<()> {
    check_version(version)?;
    let changed = holder.activate(version).await?;
    let what = if changed { "is active from now on" } else { "was active already" };
    eprintln!("{version} {what}; stored events stay as they are until `spendlake reprice`");
    Ok(())
}

async fn diff(holder: &PriceHolder, old: &str, new: &str) -> Result<Outcome> {
    let old = PriceBook::parse(old, &holder.csv(old).await?)?;
    let new = PriceBook::parse(new, &holder.csv(new).await?)?;
    let difference = BookDifference::between(&old, &new);
    print!("{difference}");
    let BookDifference { added, removed, changed } = &difference;
    let counts = [added.len(), removed.len(), changed.len()];
    eprintln!("{} rows added, {} removed, {} changed", counts[0], counts[1], counts[2]);
    Ok(if difference.is_empty() { Outcome::Done } else { Outcome::Found })
}
