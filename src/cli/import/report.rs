//! Provider reports: the files of one command are one report.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::rows::open_text;
use crate::app::{ImportedReport, ReportFormat, ReportOptions};
use crate::cli::progress::grouped;
use crate::cli::target::Target;
use crate::cli::{Outcome, Session};
use crate::error::{Context, Error, ErrorKind, Result};

/// Bytes of one report at most, unpacked.
const REPORT_BYTES_MAX: u64 = 256 << 20;

/// Imports `files` as the pages of one report.
pub(super) async fn import(
    session: &Session,
    format: ReportFormat,
    files: &[PathBuf],
    options: ReportOptions,
    json: bool,
) -> Result<Outcome> {
    let mut body = Vec::new();
    for path in files {
        read(path, &mut body)?;
        body.push(b'\n');
    }
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()).collect();
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    let names: String = names.join(", ").chars().filter(|one| !one.is_control()).collect();
    let source_file = Some(names.chars().take(256).collect());
    let options = ReportOptions { source_file, ..options };
    let target = Target::open(session).await?;
    let imported = target.import_report(format, Bytes::from(body), options).await;
    let closed = target.close().await;
    print(&imported?, format, json)?;
    closed.map(|()| Outcome::Done)
}

fn read(path: &Path, body: &mut Vec<u8>) -> Result<()> {
    let doing = format!("cannot read {}", path.display());
    let room = REPORT_BYTES_MAX.saturating_sub(body.len() as u64);
    let read = open_text(path)?.take(room + 1).read_to_end(body);
    if read.context(ErrorKind::Invalid, doing)? as u64 > room {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "the report has more than {REPORT_BYTES_MAX} bytes at {}; import fewer days at once",
                path.display()
            ),
        ));
    }
    Ok(())
}

fn print(imported: &ImportedReport, format: ReportFormat, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(imported).internal("writing the report")?);
        return Ok(());
    }
    println!(
        "{} of account {}, {} days from {} to {}: {} rows, in place of {}",
        format.name(),
        imported.account,
        grouped(imported.days as u64),
        imported.date_from,
        imported.date_to,
        grouped(imported.rows as u64),
        grouped(imported.replaced_rows as u64)
    );
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}
