//! `spendlake sql`.

mod format;
mod prompt;
mod source;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write, stdin};
use std::path::{Path, PathBuf};
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
  spendlake sql 'SELECT * FROM usage_events WHERE usage_date >= $1' -p 2026-11-01 \
    --format parquet -o november.parquet
  echo 'SHOW TABLES' | spendlake sql")]
pub(super) struct SqlArgs {
    /// The statement
    #[arg(conflicts_with = "file")]
    statement: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The value of $1, $2, … in turn: a text, which is read as what its place needs
    #[arg(short, long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    parameters: Vec<String>,
    /// Write the answer to a file, which is there once it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to write the answer [default: table on a terminal, else csv]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Most rows that a table shows; the other formats write all
    #[arg(long, value_name = "ROWS", default_value_t = 1_000)]
    table_rows_max: usize,
}

impl SqlArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let shape = Shape { format: self.shown_format()?, table_rows_max: self.table_rows_max };
        let statement = match (&self.statement, &self.file) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(path)) => Some(read_file(path)?),
            (None, None) if stdin().is_terminal() => None,
            (None, None) => Some(read_statement(stdin(), "standard input")?),
        };
        if statement.is_none() && (self.output.is_some() || !self.parameters.is_empty()) {
            let message = "--output and --param go with a statement, not with the prompt";
            return Err(Error::invalid(message));
        }
        let source = SqlSource::open(session).await?;
        let done = match statement {
            Some(text) => {
                let question = Question { text: &text, parameters: &self.parameters };
                match &self.output {
                    Some(path) => answer_to_file(&source, question, shape, path).await,
                    None => answer(&source, question, shape).await,
                }
            }
            None => prompt::run(&source, session, shape).await,
        };
        source.close().await?;
        done.map(|()| Outcome::Done)
    }

    /// What was asked for, else what suits the reader.
    fn shown_format(&self) -> Result<Format> {
        let terminal = self.output.is_none() && std::io::stdout().is_terminal();
        match self.format {
            Some(format) if terminal && format.binary().is_some() => Err(Error::invalid(
                "--format parquet and arrow are no text for a terminal; name a file with --output",
            )),
            asked => Ok(asked.unwrap_or(if terminal { Format::Table } else { Format::Csv })),
        }
    }
}

/// One statement and the texts of its parameters.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    text: &'a str,
    parameters: &'a [String],
}

/// How answers are written.
#[derive(Debug, Clone, Copy)]
struct Shape {
    format: Format,
    table_rows_max: usize,
}

/// Answers one statement of ours.
pub(super) async fn print_answer(session: &Session, text: &str) -> Result<()> {
    const TABLE_ROWS_MAX: usize = 1_000;
    let format = if std::io::stdout().is_terminal() { Format::Table } else { Format::Csv };
    let source = SqlSource::open(session).await?;
    let shape = Shape { format, table_rows_max: TABLE_ROWS_MAX };
    let done = answer(&source, Question { text, parameters: &[] }, shape).await;
    source.close().await?;
    done
}

fn read_file(path: &Path) -> Result<String> {
    let shown = path.display().to_string();
    let file = File::open(path)
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

/// Runs a statement and writes its answer to standard output as it comes.
async fn answer(source: &SqlSource, question: Question<'_>, shape: Shape) -> Result<()> {
    // One lock and one buffer for the whole answer.
    write_answer(source, question, shape, BufWriter::new(std::io::stdout())).await
}

/// Runs a statement and writes its answer to a file beside `path`, which takes
/// that name when the answer is complete: half of one is never found there.
async fn answer_to_file(
    source: &SqlSource,
    question: Question<'_>,
    shape: Shape,
    path: &Path,
) -> Result<()> {
    let shown = path.display();
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let file = File::create(&partial)
        .context(ErrorKind::Unavailable, format!("creating {shown}; check --output"))?;
    let written = write_answer(source, question, shape, BufWriter::new(file)).await;
    let moved = written.and_then(|()| {
        std::fs::rename(&partial, path).context(ErrorKind::Unavailable, format!("writing {shown}"))
    });
    if moved.is_err() {
        // What is left over is of no use; the error that is told is the first.
        std::fs::remove_file(&partial).ok();
    }
    moved
}

async fn write_answer(
    source: &SqlSource,
    question: Question<'_>,
    shape: Shape,
    output: impl Write,
) -> Result<()> {
    let started = Instant::now();
    let text = question.text.trim().trim_end_matches(';');
    let mut rows = source.run(text, question.parameters).await?;
    let mut writer = RowWriter::new(shape.format, output, shape.table_rows_max);
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
