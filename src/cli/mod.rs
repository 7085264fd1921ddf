//! The command line: one verb a file. Standard output carries data, standard
//! error carries talk, and the exit code says how it went.

mod account;
mod client;
mod close;
mod compact;
mod completions;
pub mod demo;
mod directory;
mod doctor;
mod feed;
mod forget;
mod import;
mod logging;
mod prices;
mod progress;
mod reconcile;
mod remote;
mod reprice;
mod retention;
mod roles;
mod serve;
mod settings;
mod sql;
mod target;
mod token;
mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigArgs};
use crate::error::{Context, ErrorKind, Result};

const EXAMPLES: &str = "\
Examples:
  spendlake demo                              a sample of 90 days to look around in
  spendlake serve --data-dir ./spend          take events and answer on 127.0.0.1:8787
  spendlake import calls.csv --map when=event_time --set provider=openai
  spendlake sql 'SELECT provider, sum(actual_api_cost) FROM usage_events GROUP BY 1'

Settings come from flags, then SPENDLAKE_… variables, then spendlake.toml, then
defaults; `spendlake config` shows what holds and where it came from.

Exit codes:
  0  done
  1  failed, or a difference or fault was found
  2  the command line or the settings are wrong
  3  partly done: some lines were rejected";

/// Usage and cost analytics for AI spending, in one process and one folder.
#[derive(Debug, Parser)]
#[command(name = "spendlake", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    settings: ConfigArgs,
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings and logs")]
struct CommonArgs {
    /// Settings file [default: ./spendlake.toml where it exists]
    #[arg(
        long,
        value_name = "FILE",
        env = "SPENDLAKE_CONFIG",
        hide_env_values = true,
        global = true
    )]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: logging::LogArgs,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
}

/// A server that is not on this machine.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "A server elsewhere")]
struct ElsewhereArgs {
    /// Address of a server to use instead of the data folder; its token stands in SPENDLAKE_TOKEN
    #[arg(long, value_name = "URL", env = "SPENDLAKE_SERVER", global = true)]
    server: Option<url::Url>,
    /// PEM file of the only authority to trust for it [default: those of this system]
    #[arg(long, value_name = "FILE", env = "SPENDLAKE_CA_CERTIFICATE", global = true)]
    ca_certificate: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Import(import::ImportArgs),
    Directory(directory::DirectoryArgs),
    Token(token::TokenArgs),
    Account(account::AccountArgs),
    Reconcile(reconcile::ReconcileArgs),
    Close(close::CloseArgs),
    Forget(forget::ForgetArgs),
    Retention(retention::RetentionArgs),
    Sql(sql::SqlArgs),
    Verify(verify::VerifyArgs),
    Compact(compact::CompactArgs),
    Prices(prices::PricesArgs),
    Reprice(reprice::RepriceArgs),
    Doctor(doctor::DoctorArgs),
    Config(settings::SettingsArgs),
    Completions(completions::CompletionsArgs),
}

/// How a verb that did not fail came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// A difference or fault was found and printed.
    Found,
    /// Some lines were rejected; the others were stored.
    Partly,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Found => 1,
            Outcome::Partly => 3,
        })
    }
}

/// What every verb gets.
#[derive(Debug)]
struct Session {
    config: Config,
    flags: ConfigArgs,
    elsewhere: ElsewhereArgs,
    clock: Arc<dyn Clock>,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    crate::access::install_crypto();
    let cli = Cli::parse();
    let config = match Config::resolve(cli.common.config.as_deref(), &cli.settings) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {}", error.full_message());
            return ExitCode::from(2);
        }
    };
    let elsewhere = cli.common.elsewhere;
    if let (Some(url), false) = (&elsewhere.server, cli.verb.works_elsewhere()) {
        eprintln!("error: this works on the data folder, not on {url}; leave --server out");
        return ExitCode::from(2);
    }
    let (flags, clock) = (cli.settings, Arc::new(SystemClock));
    let session = Session { config, flags, elsewhere, clock };
    let done = logging::start(&cli.common.log, cli.verb.log_default())
        .and_then(|()| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.context(ErrorKind::Unavailable, "starting the worker threads")
        })
        .and_then(|runtime| runtime.block_on(cli.verb.run(session)));
    match done {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", error.full_message());
            ExitCode::from(1)
        }
    }
}

impl Verb {
    /// A server tells what it does, but not what its libraries do; the other
    /// verbs tell only what is wrong.
    fn log_default(&self) -> &'static str {
        if matches!(self, Self::Serve(_)) { "warn,spendlake=info" } else { "warn" }
    }

    /// Whether it can ask a server on another machine.
    fn works_elsewhere(&self) -> bool {
        match self {
            Self::Import(_)
            | Self::Directory(_)
            | Self::Token(_)
            | Self::Account(_)
            | Self::Reconcile(_)
            | Self::Close(_)
            | Self::Forget(_)
            | Self::Retention(_)
            | Self::Sql(_)
            | Self::Prices(_)
            | Self::Reprice(_)
            | Self::Config(_)
            | Self::Completions(_) => true,
            Self::Serve(_)
            | Self::Demo(_)
            | Self::Verify(_)
            | Self::Compact(_)
            | Self::Doctor(_) => false,
        }
    }

    async fn run(self, session: Session) -> Result<Outcome> {
        match self {
            Self::Serve(args) => args.run(&session).await,
            Self::Demo(args) => args.run(session).await,
            Self::Import(args) => args.run(&session).await,
            Self::Directory(args) => args.run(&session).await,
            Self::Token(args) => args.run(&session).await,
            Self::Account(args) => args.run(&session).await,
            Self::Reconcile(args) => args.run(&session).await,
            Self::Close(args) => args.run(&session).await,
            Self::Forget(args) => args.run(&session).await,
            Self::Retention(args) => args.run(&session).await,
            Self::Sql(args) => args.run(&session).await,
            Self::Verify(args) => args.run(&session).await,
            Self::Compact(args) => args.run(&session).await,
            Self::Prices(args) => args.run(&session).await,
            Self::Reprice(args) => args.run(&session).await,
            Self::Doctor(args) => args.run(&session).await,
            Self::Config(args) => args.run(&session),
            Self::Completions(args) => args.run(),
        }
    }
}
