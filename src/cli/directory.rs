//! `spendlake directory`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::target::{Target, write_down};
use super::{Outcome, Session};
use crate::access::Principal;
use crate::app::App;
use crate::directory::exchange::{self, FileFormat, ImportReport};
use crate::directory::{Audit, Directory, Edit, Record, RecordKind};
use crate::error::{Context, Error, ErrorKind, Result};

/// Organizations, teams, users, keys: list, import, export
///
/// Uses the server that holds the data folder, or opens the folder itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake directory import people.csv
  spendlake directory list --kind team
  spendlake directory export > directory.csv

A file is CSV with a header and a column kind (organization, department, team,
user, membership or api_key), or a JSON array of objects with the same names.")]
pub(super) struct DirectoryArgs {
    #[command(subcommand)]
    verb: DirectoryVerb,
}

#[derive(Debug, Subcommand)]
enum DirectoryVerb {
    /// Add or replace every record of a file: all of them, or, where one is
    /// wrong, none
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Format of the file [default: by its name]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what the directory knows, one line each
    List {
        /// Only this kind
        #[arg(long, value_enum)]
        kind: Option<Kind>,
    },
    /// Print all of it as a file that can be imported again
    Export {
        /// Format of the file
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A header, then a record a line
    Csv,
    /// An array of objects
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Organization,
    Department,
    Team,
    User,
    Membership,
    #[value(name = "api_key", alias = "api-key")]
    ApiKey,
}

impl DirectoryArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let target = Target::open(session).await?;
        let done = self.verb.run(&target).await;
        let closed = target.close().await;
        done?;
        closed.map(|()| Outcome::Done)
    }
}

impl DirectoryVerb {
    async fn run(self, target: &Target) -> Result<()> {
        match self {
            Self::Import { file, format, json } => {
                let report = import_file(target, &file, format).await?;
                print_report(&report, json)
            }
            Self::List { kind } => {
                print(list(&export(target, Format::Csv).await?, kind)?.as_bytes())
            }
            Self::Export { format } => print(&export(target, format).await?),
        }
    }
}

async fn import_file(target: &Target, path: &Path, format: Option<Format>) -> Result<ImportReport> {
    let shown = path.display();
    let format = match format {
        Some(format) => format,
        None => format_of(path)?,
    };
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.context(ErrorKind::NotFound, format!("cannot read {shown}"))?;
    let imported = match target {
        Target::Server(remote) => {
            remote.import_directory(Bytes::from(bytes), format.media_type()).await
        }
        Target::Local(app) => import_here(app, &bytes, format).await,
    };
    // The message begins with the line of the file.
    imported.map_err(|error| Error::new(error.kind(), format!("{shown}: {}", error.full_message())))
}

async fn import_here(app: &Arc<App>, bytes: &[u8], format: Format) -> Result<ImportReport> {
    let records = exchange::parse(bytes, format.into())?;
    let import = move |edit: &mut Edit| {
        let report = exchange::import(edit, records)?;
        if report.created + report.changed > 0 {
            edit.audit(Audit {
                actor: Principal::operator().actor(),
                action: "directory.import".to_owned(),
                subject: "directory".to_owned(),
                details: serde_json::to_value(report).internal("writing down an import")?,
            });
        }
        Ok(report)
    };
    app.directory()?.edit(import).await
}

async fn export(target: &Target, format: Format) -> Result<Vec<u8>> {
    match target {
        Target::Server(remote) => remote.export_directory(format.name()).await,
        Target::Local(app) => {
            write_down(app, "directory.export", "directory/export").await?;
            exchange::export(&app.directory()?.shared().load(), format.into())
        }
    }
}

/// The records of an exported file as a table for people.
fn list(file: &[u8], kind: Option<Kind>) -> Result<String> {
    let mut edit = Edit::new(Directory::empty(), chrono::DateTime::UNIX_EPOCH);
    exchange::import(&mut edit, exchange::parse(file, FileFormat::Csv)?)?;
    let wanted = kind.map(RecordKind::from);
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["kind", "organization", "id", "name", "state"]);
    for record in exchange::records(edit.directory()) {
        let kind = exchange::kind_of(&record);
        if wanted.is_none_or(|wanted| wanted == kind) {
            table.add_row(cells(&record, kind));
        }
    }
    Ok(format!("{}\n", table.trim_fmt()))
}

fn cells(record: &Record, kind: RecordKind) -> [String; 5] {
    let kind = kind.as_str().to_owned();
    match record {
        Record::Entry(entry) => {
            let state = match entry.ended_at {
                Some(end) => format!("ended {}", end.format("%Y-%m-%d")),
                None => entry.origin.as_str().to_owned(),
            };
            let (organization, id) = (entry.organization_id.clone(), entry.id.clone());
            [kind, organization, id, entry.name.clone(), state]
        }
        Record::Membership(one) => {
            let end =
                one.valid_to.map_or_else(String::new, |end| end.format("%Y-%m-%d").to_string());
            let state = format!("{} to {end}", one.valid_from.format("%Y-%m-%d"));
            let primary = if one.primary { " (primary)" } else { "" };
            let team = format!("in {}{primary}", one.team_id);
            [kind, one.organization_id.clone(), one.user_id.clone(), team, state]
        }
    }
}

fn print_report(report: &ImportReport, json: bool) -> Result<()> {
    let ImportReport { created, changed, unchanged } = report;
    if json {
        println!("{}", serde_json::to_string(report).internal("writing the report")?);
    } else {
        println!("{created} created, {changed} changed, {unchanged} unchanged");
    }
    Ok(())
}

fn print(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        // `… | head` has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context(ErrorKind::Unavailable, "cannot write to standard output"),
    }
}

/// The format that a file's name says.
fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("json") => Ok(Format::Json),
        _ => Err(Error::invalid(format!(
            "{} has no name that ends in .csv or .json; say what it is with --format",
            path.display()
        ))),
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Json => "application/json",
        }
    }
}

impl From<Format> for FileFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
        }
    }
}

impl From<Kind> for RecordKind {
    fn from(kind: Kind) -> Self {
        use crate::directory::DirectoryKind;
        match kind {
            Kind::Organization => Self::Entry(DirectoryKind::Organization),
            Kind::Department => Self::Entry(DirectoryKind::Department),
            Kind::Team => Self::Entry(DirectoryKind::Team),
            Kind::User => Self::Entry(DirectoryKind::User),
            Kind::Membership => Self::Membership,
            Kind::ApiKey => Self::Entry(DirectoryKind::ApiKey),
        }
    }
}
