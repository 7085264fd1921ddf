//! `spendlake sql`.

mod format;
mod prompt;
mod source;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Read, Write, stdin};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use futures::StreamExt;

use super::progress::grouped;
use super::{Outcome, Session};
use crate::error::{Context, Error, ErrorKind, Result};
use format::{Format, RowWriter};
use source::SqlSource;

pub(super) use source::remote_rows;

/// Longest statement that is read from a file or a pipe, bytes.
const STATEMENT_BYTES_MAX: u64 = 1 << 20;

/// Ask a question in SQL, or open a prompt
///
/// Reads only. Uses the server that holds the data folder, or opens the folder
/// itself. Answers go to standard output; the row count and the time go to
/// standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake sql                               a prompt; .help lists its commands
  spendlake sql 'SELECT count(*) FROM usage_events'
  spendlake sql -f report.sql --format csv > report.csv
  echo 'SHOW TABLES' | spendlake sql")]
pub(super) struct SqlArgs {
    /// The statement
    #[arg(conflicts_with = "file")]
    statement: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write the answer [default: table on a terminal, else csv]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Most rows that a table shows; the other formats write all
    #[arg(long, value_name = "ROWS", default_value_t = 1_000)]
    table_rows_max: usize,
}

impl SqlArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let format = shown_format(self.format);
        let statement = match (&self.statement, &self.file) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(path)) => Some(read_file(path)?),
            (None, None) if stdin().is_terminal() => None,
            (None, None) => Some(read_statement(stdin(), "standard input")?),
        };
        let source = SqlSource::open(session).await?;
        let done = match statement {
            Some(text) => answer(&source, &text, format, self.table_rows_max).await,
            None => prompt::run(&source, session, format, self.table_rows_max).await,
        };
        source.close().await?;
        done.map(|()| Outcome::Done)
    }
}

/// What was asked for, else what suits the reader.
fn shown_format(asked: Option<Format>) -> Format {
    let terminal = std::io::stdout().is_terminal();
    asked.unwrap_or(if terminal { Format::Table } else { Format::Csv })
}

/// Answers one statement of ours.
pub(super) async fn print_answer(session: &Session, text: &str) -> Result<()> {
    const TABLE_ROWS_MAX: usize = 1_000;
    let source = SqlSource::open(session).await?;
    let done = answer(&source, text, shown_format(None), TABLE_ROWS_MAX).await;
    source.close().await?;
    done
}

fn read_file(path: &std::path::Path) -> Result<String> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path)
        .context(ErrorKind::NotFound, format!("cannot open {shown}; check --file"))?;
    read_statement(file, &shown)
}

fn read_statement(reader: impl Read, name: &str) -> Result<String> {
    let mut text = String::new();
    reader
        .take(STATEMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .context(ErrorKind::Invalid, format!("reading a statement from {name}"))?;
    if text.len() as u64 > STATEMENT_BYTES_MAX {
        let message =
            format!("{name} is longer than {STATEMENT_BYTES_MAX} bytes: not one statement");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(text)
}

/// Runs `text` and writes its answer as it comes.
async fn answer(
    source: &SqlSource,
    text: &str,
    format: Format,
    table_rows_max: usize,
) -> Result<()> {
    let started = Instant::now();
    let mut rows = source.run(text.trim().trim_end_matches(';')).await?;
    // One lock and one buffer for the whole answer.
    let output = std::io::BufWriter::new(std::io::stdout());
    let mut writer = RowWriter::new(format, output, table_rows_max);
    while let Some(batch) = rows.next().await {
        if !writer.write(&batch?)? {
            return Ok(());
        }
    }
    let written = writer.finish()?;
    let seconds = started.elapsed().as_millis();
    let plural = if written.rows == 1 { "row" } else { "rows" };
    if written.hidden > 0 {
        eprintln!(
            "{} more rows are not shown; --table-rows-max shows more",
            grouped(written.hidden)
        );
    }
    eprintln!("{} {plural} in {}.{:03} s", grouped(written.rows), seconds / 1000, seconds % 1000);
    std::io::stderr().flush().internal("writing to standard error")
}
