//! Provider reports: each day that a report covers is replaced as a whole.
//!
//! Providers correct their figures for days. What was imported of a day is
//! therefore not added to but replaced, in one commit: a reader sees the old
//! report or the new one, never parts of both.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, not};
use chrono::NaiveDate;

use super::crash::crash_point;
use super::flusher::Flusher;
use crate::error::{Context, Error, Result};
use crate::lake::{Lake, LakeFile};
use crate::model::{ProviderCost, ReportImport, provider_costs_batch};

/// A report as it goes into `provider_costs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// What its lines share.
    pub import: ReportImport,
    /// The UTC days that it covers, also those without a line.
    pub dates: BTreeSet<NaiveDate>,
    /// Its lines, each on one of `dates`.
    pub lines: Vec<ProviderCost>,
}

/// What a report replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplacedReport {
    /// Rows that the table holds of it now.
    pub rows: usize,
    /// Rows of earlier imports that it took the place of.
    pub replaced_rows: usize,
    /// Projects that had rows on these days and have none now: a sign that
    /// the report was filtered, or is of another account.
    pub vanished_projects: BTreeSet<String>,
}

/// The rows of some days, split by whether a report takes their place.
#[derive(Debug, Default)]
struct Stored {
    kept: Vec<RecordBatch>,
    replaced_rows: usize,
    replaced_projects: BTreeSet<String>,
}

impl Flusher {
    /// Holds the turn, so that no compaction rewrites the same files; the
    /// table's own log says whether the commit landed.
    pub(super) async fn replace_provider_costs(
        &self,
        report: ProviderReport,
    ) -> Result<ReplacedReport> {
        let _turn = self.turn.lock().await;
        let snapshot = self.lake.provider_costs.snapshot();
        let files: Vec<LakeFile> =
            report.dates.iter().flat_map(|date| snapshot.files_of(*date)).cloned().collect();
        let (lake, import, inputs) = (Arc::clone(&self.lake), report.import.clone(), files.clone());
        let stored = tokio::task::spawn_blocking(move || stored_rows(&lake, &inputs, &import))
            .await
            .internal("reading provider costs")??;
        let rows = report.lines.len();
        let projects: BTreeSet<String> =
            report.lines.iter().filter_map(|line| line.project_id.clone()).collect();
        let replaced = ReplacedReport {
            rows,
            replaced_rows: stored.replaced_rows,
            vanished_projects: stored.replaced_projects.difference(&projects).cloned().collect(),
        };
        let mut batches = stored.kept;
        batches.push(provider_costs_batch(&report.import, &report.lines)?);
        if rows == 0 && files.is_empty() {
            return Ok(replaced);
        }
        crash_point("before_provider_costs");
        let table = self.lake.provider_costs.replace(files, batches, None).await?;
        crash_point("after_provider_costs");
        self.state.provider_costs_changed(table);
        Ok(replaced)
    }
}

/// Reads `files` and sets aside what stays: the rows of other accounts,
/// providers and kinds of report.
fn stored_rows(lake: &Lake, files: &[LakeFile], import: &ReportImport) -> Result<Stored> {
    let mut stored = Stored::default();
    for file in files {
        for batch in lake.provider_costs.read_file(file, None)? {
            let batch = batch?;
            let same = same_report(&batch, import)?;
            let kept = not(&same).internal("choosing rows of provider costs")?;
            let doing = "choosing rows of provider costs";
            stored.kept.push(filter_record_batch(&batch, &kept).internal(doing)?);
            stored.replaced_rows += same.true_count();
            let projects = texts(&batch, "project_id")?;
            let gone = projects.iter().zip(&same).filter(|(_, same)| *same == Some(true));
            stored.replaced_projects.extend(gone.filter_map(|(id, _)| id).map(str::to_owned));
        }
    }
    Ok(stored)
}

/// Which rows are of the same provider, kind and account.
fn same_report(batch: &RecordBatch, import: &ReportImport) -> Result<BooleanArray> {
    let kinds = texts(batch, "report_kind")?;
    let providers = texts(batch, "provider")?;
    let accounts = texts(batch, "account")?;
    Ok((0..batch.num_rows())
        .map(|row| {
            let same = kinds.value(row) == import.kind.as_str()
                && providers.value(row) == import.provider
                && accounts.value(row) == import.account;
            Some(same)
        })
        .collect())
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_string_opt())
        .ok_or_else(|| Error::internal(format!("provider_costs has no column {name}")))
}
