//! The interactive prompt.

use std::borrow::Cow;

use clap::ValueEnum;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper};

use super::format::Format;
use super::source::SqlSource;
use super::{Question, Shape, answer};
use crate::cli::Session;
use crate::error::{Context, Error, ErrorKind, Result};

const HISTORY_FILE: &str = "sql_history";

const HELP: &str = "\
A statement ends with ; and may go over several lines.
  .tables                        the tables and views
  .schema TABLE                  the columns of one
  .mode table|csv|json|ndjson    how answers are written
  .help                          this
  .quit                          leave (as does Ctrl-D)";

/// What a line at the prompt asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Nothing,
    Statement(Cow<'a, str>),
    Mode(Format),
    Help,
    Quit,
}

/// Reads and answers until the user leaves.
pub(super) async fn run(source: &SqlSource, session: &Session, mut shape: Shape) -> Result<()> {
    let mut editor: Editor<StatementHelper, DefaultHistory> =
        Editor::new().context(ErrorKind::Unavailable, "opening the terminal")?;
    editor.set_helper(Some(StatementHelper));
    let history = session.config.data_dir.join(HISTORY_FILE);
    // A first run has no history yet.
    editor.load_history(&history).ok();
    eprintln!("Ask in SQL, end with ;  .help lists the commands");
    loop {
        let (returned, line) = read_line(editor).await?;
        editor = returned;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context(ErrorKind::Unavailable, "reading the prompt"),
        };
        if !line.trim().is_empty() {
            editor.add_history_entry(line.as_str()).ok();
        }
        let done = match parse(&line) {
            Ok(Command::Nothing) => Ok(()),
            Ok(Command::Quit) => break,
            Ok(Command::Help) => {
                eprintln!("{HELP}");
                Ok(())
            }
            Ok(Command::Mode(chosen)) => {
                shape.format = chosen;
                Ok(())
            }
            Ok(Command::Statement(text)) => {
                answer(source, Question { text: &text, parameters: &[] }, shape).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            eprintln!("error: {}", error.full_message());
        }
    }
    // Losing the history loses no data.
    editor.save_history(&history).ok();
    Ok(())
}

type LineEditor = Editor<StatementHelper, DefaultHistory>;

/// Waits for a line on a thread of its own: flushes go on meanwhile.
async fn read_line(mut editor: LineEditor) -> Result<(LineEditor, rustyline::Result<String>)> {
    let read = tokio::task::spawn_blocking(move || {
        let line = editor.readline("spendlake> ");
        (editor, line)
    });
    read.await.internal("reading the prompt")
}

/// What `line` asks for. `Invalid` names the command that is wrong.
pub(super) fn parse(line: &str) -> Result<Command<'_>> {
    let line = line.trim();
    let Some(command) = line.strip_prefix('.') else {
        let empty = line.trim_end_matches(';').trim().is_empty();
        return Ok(if empty { Command::Nothing } else { Command::Statement(Cow::Borrowed(line)) });
    };
    let mut words = command.split_whitespace();
    match (words.next().unwrap_or_default(), words.next(), words.next()) {
        ("quit" | "exit" | "q", None, None) => Ok(Command::Quit),
        ("help" | "h", None, None) => Ok(Command::Help),
        ("tables", None, None) => Ok(Command::Statement(Cow::Borrowed(TABLES_SQL))),
        ("schema", Some(table), None) => schema_statement(table),
        ("mode", Some(mode), None) => {
            let format = Format::from_str(mode, true).ok().filter(|one| one.binary().is_none());
            let format = format.ok_or_else(|| {
                Error::invalid(format!("mode {mode} is unknown; use table, csv, json or ndjson"))
            })?;
            Ok(Command::Mode(format))
        }
        _ => Err(Error::invalid(format!("{line} is no command here; .help lists them"))),
    }
}

const TABLES_SQL: &str = include_str!("../../../queries/tables.sql");

/// `DESCRIBE` takes no parameters, so the name has to be a plain one.
fn schema_statement(table: &str) -> Result<Command<'static>> {
    let plain = table.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !plain {
        let message =
            format!("{table} is no table name: letters, digits and _; .tables lists them");
        return Err(Error::invalid(message));
    }
    Ok(Command::Statement(Cow::Owned(format!("DESCRIBE {table}"))))
}

/// Lets a statement go on until its `;`.
#[derive(Debug)]
struct StatementHelper;

impl Validator for StatementHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input().trim();
        let whole = input.is_empty() || input.starts_with('.') || input.ends_with(';');
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for StatementHelper {
    type Candidate = String;
}

impl Hinter for StatementHelper {
    type Hint = String;
}

impl Highlighter for StatementHelper {}

impl Helper for StatementHelper {}
