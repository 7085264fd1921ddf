//! `spendlake import`.

mod csv_rows;
mod line;
mod mapping;
mod ndjson_rows;
mod parquet_rows;
mod report;
mod rows;
mod state;
mod transcripts;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::feed::{Acknowledged, feed};
use super::progress::{Progress, grouped};
use super::target::Target;
use super::{Outcome, Session};
use crate::app::{ReportFormat, ReportOptions};
use crate::error::{Context, Error, ErrorKind, Result};
use mapping::{Assignment, Mapping};
use rows::Chunks;
use state::{ImportState, StateFile};
use transcripts::Transcripts;

/// Reasons for rejection that are printed for each file.
const REASONS_SHOWN_MAX: usize = 5;

/// Store the events of files: NDJSON, CSV, Parquet or Claude Code transcripts;
/// or a provider's report
///
/// Events that are stored already count as duplicates, so an import can be
/// repeated. One that was interrupted goes on where it was; a file that is done
/// is left alone unless --again is given. A row without event_id gets one from
/// the file's name and the row's number, and a row without source gets
/// import:FILE. Exits 3 if rows were not stored, and says why.
///
/// A provider's report (--format openai-usage, openai-costs, anthropic-usage,
/// anthropic-costs) holds no events: it is kept for `spendlake reconcile`, and
/// takes the place of what was imported of the same account and days before.
/// The files of one command are the pages of one report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake import events.ndjson.zst more/*.jsonl.gz
  spendlake import trace.csv --map TIMESTAMP=event_time --map ContextTokens=input_tokens \\
    --set organization_id=6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01 --set provider=openai --set model=gpt-4o
  spendlake import export.parquet --map project=tags.project
  spendlake import --format anthropic-costs page1.json page2.json
  spendlake import --format claude-code ~/.claude/projects \\
    --organization 6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01 --set user_id=ada")]
pub(super) struct ImportArgs {
    /// The files; .gz and .zst are unpacked. For claude-code also folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files [default: by their names]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Read a column of CSV or Parquet as an event field (tags.NAME for a tag)
    #[arg(long, value_name = "COLUMN=FIELD")]
    map: Vec<Assignment>,
    /// Give an event field a constant value where a row has none
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<Assignment>,
    /// The organization (a UUID) of rows that name none, or that the account of
    /// a provider's report belongs to
    #[arg(long, value_name = "ID")]
    organization: Option<uuid::Uuid>,
    /// Which account with the provider a report is of [default: the organization, else `default`]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Import files again that are done
    #[arg(long)]
    again: bool,
    /// Print one JSON object per file
    #[arg(long)]
    json: bool,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileFormat {
    /// One JSON object a line
    Ndjson,
    /// A header, then rows
    Csv,
    /// Apache Parquet
    Parquet,
    /// Transcripts of Claude Code: *.jsonl, or folders of them
    #[value(name = "claude-code")]
    #[serde(rename = "claude-code")]
    ClaudeCode,
    /// Pages of OpenAI's /v1/organization/usage/completions
    OpenaiUsage,
    /// Pages of OpenAI's /v1/organization/costs
    OpenaiCosts,
    /// Pages of Anthropic's usage_report/messages
    AnthropicUsage,
    /// Pages of Anthropic's cost_report
    AnthropicCosts,
}

/// What became of the rows of one file.
#[derive(Debug, Serialize)]
struct FileReport {
    file: String,
    #[serde(flatten)]
    state: ImportState,
    already_imported: bool,
    /// Row and reason, the first few.
    reasons: Vec<(u64, String)>,
}

impl ImportArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        if let Some(format) = self.format.and_then(FileFormat::report) {
            let mapping = Mapping::new(&self.map, &self.set)?;
            return self.import_report(session, format, &mapping).await;
        }
        if self.account.is_some() {
            return Err(Error::invalid("--account is for a provider's report; leave it out"));
        }
        let mapping = self.mapping(&session.config.organization_default)?;
        let transcripts = match self.format {
            Some(FileFormat::ClaudeCode) => {
                let now = session.clock.now();
                Some(Arc::new(Transcripts::scan(&self.files, &mapping, now)?))
            }
            _ => None,
        };
        let target = Target::open(session).await?;
        let done = self.import_all(&target, session, &mapping, transcripts.as_ref()).await;
        let closed = target.close().await;
        let outcome = done?;
        closed.map(|()| outcome)
    }

    async fn import_report(
        self,
        session: &Session,
        format: ReportFormat,
        mapping: &Mapping,
    ) -> Result<Outcome> {
        if !mapping.is_empty() {
            return Err(Error::invalid(format!(
                "--map and --set are for CSV and Parquet; {} has fields of its own",
                format.name()
            )));
        }
        let options = ReportOptions {
            account: self.account,
            organization_id: self.organization.map(|id| id.hyphenated().to_string()),
            source_file: None,
        };
        report::import(session, format, &self.files, options, self.json).await
    }

    /// The mapping, with the organization among its constants.
    fn mapping(&self, organization_default: &str) -> Result<Mapping> {
        let named = self.organization.map(|id| id.hyphenated().to_string());
        let is_transcript = self.format == Some(FileFormat::ClaudeCode);
        if is_transcript && !self.map.is_empty() {
            return Err(Error::invalid(
                "--map is for CSV and Parquet; a transcript has no columns",
            ));
        }
        let default = (is_transcript && !organization_default.is_empty())
            .then(|| organization_default.to_owned());
        let organization = named.or(default).map(|id| Assignment::new("organization_id", &id));
        let set: Vec<_> = self.set.iter().cloned().chain(organization).collect();
        Mapping::new(&self.map, &set)
    }

    async fn import_all(
        &self,
        target: &Target,
        session: &Session,
        mapping: &Mapping,
        transcripts: Option<&Arc<Transcripts>>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::Done;
        for path in transcripts.map_or(self.files.as_slice(), |found| found.files()) {
            let report = self.import_one(path, target, session, mapping, transcripts).await?;
            // A file that was done before is nothing that this run failed at.
            if !report.already_imported && report.state.rejected + report.state.conflict > 0 {
                outcome = Outcome::Partly;
            }
            report.print(self.json)?;
        }
        Ok(outcome)
    }

    async fn import_one(
        &self,
        path: &Path,
        target: &Target,
        session: &Session,
        mapping: &Mapping,
        transcripts: Option<&Arc<Transcripts>>,
    ) -> Result<FileReport> {
        let format = self.format.map_or_else(|| FileFormat::of(path), Ok)?;
        let shown = path.display().to_string();
        let file = StateFile::of(path, format, mapping, &session.config.data_dir)?;
        let mut state = if self.again { ImportState::default() } else { file.load() };
        if state.finished {
            return Ok(FileReport { file: shown, state, already_imported: true, reasons: vec![] });
        }
        let chunks = match transcripts {
            Some(found) => Chunks::of(found.rows(path, mapping)?, state.rows_done)?,
            None => Chunks::open(path, format, mapping, state.rows_done)?,
        };
        let mut progress = Progress::start(&shown, state.rows_done, chunks.total_rows());
        let mut reasons = Vec::new();
        let name = file.request_name();
        let fed = feed(chunks, target, &name, |done: Acknowledged| {
            progress.advance(done.position - state.rows_done);
            state.add(&done);
            let room = REASONS_SHOWN_MAX - reasons.len().min(REASONS_SHOWN_MAX);
            reasons.extend(done.stored.refused.into_iter().take(room));
            file.save(&state)
        });
        let fed = fed.await;
        progress.finish();
        fed?;
        state.finished = !transcripts.is_some_and(|found| found.is_unsettled(path));
        file.save(&state)?;
        if !state.finished {
            eprintln!("{shown}: its last message may still grow; the next import takes it");
        }
        Ok(FileReport { file: shown, state, already_imported: false, reasons })
    }
}

impl FileFormat {
    /// The report that such a file is of; `None` when it holds events.
    fn report(self) -> Option<ReportFormat> {
        match self {
            Self::Ndjson | Self::Csv | Self::Parquet | Self::ClaudeCode => None,
            Self::OpenaiUsage => Some(ReportFormat::OpenaiUsage),
            Self::OpenaiCosts => Some(ReportFormat::OpenaiCosts),
            Self::AnthropicUsage => Some(ReportFormat::AnthropicUsage),
            Self::AnthropicCosts => Some(ReportFormat::AnthropicCosts),
        }
    }

    /// The format that the name of `path` says, compression aside.
    fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        match plain.rsplit_once('.').map(|(_, extension)| extension) {
            Some("ndjson" | "jsonl" | "json") => Ok(Self::Ndjson),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{} has no name that ends in .ndjson, .jsonl, .json, .csv or .parquet (and .gz \
                     or .zst); say what it is with --format",
                    path.display()
                ),
            )),
        }
    }
}

impl FileReport {
    fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self).internal("writing the report")?);
            return Ok(());
        }
        let Self { file, state, .. } = self;
        if self.already_imported {
            println!("{file}: already imported; --again imports it again");
            return Ok(());
        }
        println!(
            "{file}: {} accepted, {} duplicate, {} sighting, {} conflict, {} rejected",
            grouped(state.accepted),
            grouped(state.duplicate),
            grouped(state.sighting),
            grouped(state.conflict),
            grouped(state.rejected)
        );
        for (row, reason) in &self.reasons {
            eprintln!("{file} row {row}: {reason}");
        }
        let left = (state.rejected + state.conflict).saturating_sub(self.reasons.len() as u64);
        if left > 0 && !self.reasons.is_empty() {
            eprintln!("{file}: {} more; see the SQL table rejected_events", grouped(left));
        }
        Ok(())
    }
}
