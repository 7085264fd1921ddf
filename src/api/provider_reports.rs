//! `POST /api/integrations/provider-reports/{format}`: what a provider says of
//! itself, kept for reconciliation.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{NoContext, Timestamp, Uuid};

use super::admission::{AdmittedBody, Sender};
use super::caller::Caller;
use super::filters::organization_id;
use super::ingest::{IngestDoor, not_ready, too_large_as_413};
use super::params::Params;
use super::problem::Problem;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flush::{ProviderReport, ReplacedReport};
use crate::ingest::{ParsedReport, ReportFormat, parse_report};
use crate::model::ReportImport;

/// The account of reports that name none.
const ACCOUNT_DEFAULT: &str = "default";
/// Longest account or file name, characters.
const NAME_CHARS_MAX: usize = 256;

/// What a report does not say of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Which account with the provider it is of.
    pub account: Option<String>,
    /// Which of our organizations that account belongs to; `None` when it
    /// serves all of them.
    pub organization_id: Option<String>,
    /// Where it was read from.
    pub source_file: Option<String>,
}

/// What an import put into `provider_costs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedReport {
    /// Names the import in the column import_id.
    pub import_id: String,
    /// The account that the report is of.
    pub account: String,
    /// First UTC day that it covers.
    #[schema(value_type = String, format = Date)]
    pub date_from: NaiveDate,
    /// Last UTC day that it covers.
    #[schema(value_type = String, format = Date)]
    pub date_to: NaiveDate,
    /// Days that it covers.
    pub days: usize,
    /// Rows stored.
    pub rows: usize,
    /// Rows of earlier imports of the same account, days and kind of report
    /// that these took the place of.
    pub replaced_rows: usize,
    /// What to look at: missing pages, days covered in part, projects gone.
    pub notes: Vec<String>,
}

impl ReportOptions {
    /// Fills in the account and checks every name.
    fn import(
        self,
        format: ReportFormat,
        import_id: String,
        imported_at: DateTime<Utc>,
    ) -> Result<ReportImport> {
        let organization = self.organization_id.map(|text| {
            organization_id(&text).ok_or_else(|| {
                Error::invalid(format!(
                    "organization_id is {text:?}; it must be a UUID; leave it out for an account \
                     that serves every organization"
                ))
            })
        });
        let organization_id = organization.transpose()?;
        // Accounts of two organizations must not replace one another.
        let account = self.account.or_else(|| organization_id.clone());
        let account = account.unwrap_or_else(|| ACCOUNT_DEFAULT.to_owned());
        for (name, value) in [("account", Some(&account)), ("file", self.source_file.as_ref())] {
            let wrong = value.filter(|value| {
                value.is_empty()
                    || value.chars().count() > NAME_CHARS_MAX
                    || value.chars().any(char::is_control)
            });
            if let Some(value) = wrong {
                let shown: String = value.chars().take(40).collect();
                return Err(Error::invalid(format!(
                    "{name} is {shown:?}; it must have 1 to {NAME_CHARS_MAX} characters, none of \
                     them a control character"
                )));
            }
        }
        Ok(ReportImport {
            kind: format.kind(),
            provider: format.provider().to_owned(),
            account,
            organization_id,
            imported_at,
            import_id,
            source_file: self.source_file,
        })
    }
}

impl IngestDoor {
    /// Puts a report in the place of what the same account's reports said of
    /// its days. All of it is durable and visible when this returns, or
    /// nothing of it is stored.
    pub async fn import_report(
        &self,
        format: ReportFormat,
        body: Bytes,
        options: ReportOptions,
    ) -> Result<ImportedReport> {
        let store = Arc::clone(self.store.get().ok_or_else(not_ready)?);
        let now = self.clock.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let time = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        let import = options.import(format, Uuid::new_v7(time).to_string(), now)?;
        let parsed = tokio::task::spawn_blocking(move || parse_report(format, &body))
            .await
            .internal("reading a report")??;
        let mut imported = ImportedReport {
            import_id: import.import_id.clone(),
            account: import.account.clone(),
            date_from: parsed.dates.first().copied().unwrap_or_default(),
            date_to: parsed.dates.last().copied().unwrap_or_default(),
            days: parsed.dates.len(),
            rows: parsed.lines.len(),
            replaced_rows: 0,
            notes: notes(&parsed),
        };
        let ParsedReport { dates, lines, .. } = parsed;
        let replaced =
            store.replace_provider_costs(ProviderReport { import, dates, lines }).await?;
        imported.replaced_rows = replaced.replaced_rows;
        imported.notes.extend(vanished(&replaced, &imported.account));
        Ok(imported)
    }
}

fn notes(report: &ParsedReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.more_pages {
        notes.push(
            "The last page says has_more: the pages after it are missing, and their days were not \
             imported."
                .to_owned(),
        );
    }
    if !report.partial_dates.is_empty() {
        notes.push(format!(
            "Only a part of the day is covered on {}; what was imported of it before was replaced.",
            list(&report.partial_dates)
        ));
    }
    notes
}

fn vanished(replaced: &ReplacedReport, account: &str) -> Option<String> {
    (!replaced.vanished_projects.is_empty()).then(|| {
        let projects: Vec<&str> = replaced.vanished_projects.iter().map(String::as_str).collect();
        format!(
            "These projects had rows on the same days of account {account} and have none now: {}. \
             If the report is of one project only, import the whole one again, and give reports \
             of parts an account of their own.",
            projects.join(", ")
        )
    })
}

fn list(dates: &BTreeSet<NaiveDate>) -> String {
    dates.iter().map(NaiveDate::to_string).collect::<Vec<_>>().join(", ")
}

/// Imports a provider's report of its usage or costs.
///
/// `format` is openai-usage, openai-costs, anthropic-usage or
/// anthropic-costs; the body is what the provider's endpoint answered: one
/// page, an array of pages, or pages one after the other, plain or compressed
/// with gzip or zstd. The report takes the place of what was imported of the
/// same account for the same kind of report and the same UTC days.
#[utoipa::path(
    post,
    path = "/api/integrations/provider-reports/{format}",
    tag = "ingest",
    params(
        ("format" = String, Path, description = "openai-usage, openai-costs, anthropic-usage or anthropic-costs"),
        ("account" = Option<String>, Query, description = "Which account with the provider the report is of [default: the organization, else `default`]"),
        ("organization_id" = Option<String>, Query, description = "Which of our organizations the account belongs to; left out, it serves all"),
        ("file" = Option<String>, Query, description = "Where the report was read from"),
    ),
    request_body(content = String, content_type = "application/json", description = "Pages of the report"),
    responses(
        (status = 200, description = "The report is stored", body = ImportedReport),
        (status = 400, description = "The report cannot be read; nothing was stored", body = Problem),
        (status = 404, description = "There is no such format", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 429, description = "This sender sends too much; nothing was stored", body = Problem),
        (status = 503, description = "Nothing was stored; send it again later", body = Problem),
    )
)]
pub(super) async fn post_provider_report(
    State(door): State<Arc<IngestDoor>>,
    sender: Sender,
    caller: Caller,
    Path(format): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportedReport>, Problem> {
    let found = ReportFormat::parse(&format).ok_or_else(|| unknown_format(&format))?;
    let params = Params::parse(query.as_deref(), &["account", "organization_id", "file"])?;
    let one = |name| Ok::<_, Problem>(params.one(name)?.map(str::to_owned));
    let options = ReportOptions {
        account: one("account")?,
        organization_id: one("organization_id")?,
        source_file: one("file")?,
    };
    check_account(&caller, &options)?;
    let body = door.body(sender, &headers, body).await.map_err(too_large_as_413)?;
    let AdmittedBody { bytes, memory: _memory, .. } = body;
    let imported = door.import_report(found, bytes, options).await.map_err(too_large_as_413)?;
    Ok(Json(imported))
}

/// A report takes the place of those of the same account: one whose name an
/// organization does not share with anybody is all that its admins may name.
fn check_account(caller: &Caller, options: &ReportOptions) -> Result<(), Problem> {
    let (Some(account), Some(id)) = (&options.account, &options.organization_id) else {
        return Ok(());
    };
    let is_own = account.strip_prefix(id.as_str());
    let is_own = is_own.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_own || caller.check_platform().is_ok() {
        return Ok(());
    }
    let detail = format!(
        "account is {account:?}; leave it out, or begin it with the organization and a slash \
         ({id}/…): other names are the platform's, and a super admin imports them"
    );
    Err(Problem::new(ErrorKind::Forbidden, detail))
}

fn unknown_format(format: &str) -> Error {
    let names: Vec<&str> = ReportFormat::ALL.iter().map(|format| format.name()).collect();
    Error::not_found(format!("there is no report format {format:?}; choose {}", names.join(", ")))
}
