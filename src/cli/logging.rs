//! Log lines on standard error.

use std::io::{IsTerminal, stderr};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::error::{Context, ErrorKind, Result};

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What to log: error, warn, info, debug, or per module such as warn,spendlake::flush=debug
    /// [default: warn,spendlake=info for serve, else warn]
    #[arg(
        long,
        value_name = "FILTER",
        env = "SPENDLAKE_LOG",
        hide_env_values = true,
        global = true
    )]
    log: Option<String>,
    /// Shape of a log line
    #[arg(
        long,
        env = "SPENDLAKE_LOG_FORMAT",
        default_value = "text",
        hide_env_values = true,
        global = true
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging; `filter_default` holds where the user named no filter.
pub(super) fn start(args: &LogArgs, filter_default: &str) -> Result<()> {
    let text = args.log.as_deref().unwrap_or(filter_default);
    let filter = EnvFilter::try_new(text).context(
        ErrorKind::Invalid,
        format!("--log is \"{text}\"; it must be a filter like warn"),
    )?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !is_color_refused());
    match args.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    }
    .context(ErrorKind::Internal, "starting the log")
}

/// Whether the user asked for no colour, by the convention of no-color.org.
fn is_color_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
