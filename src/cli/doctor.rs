//! `spendlake doctor`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use futures::TryStreamExt;

use super::progress::grouped;
use super::remote::Remote;
use super::sql::remote_rows;
use super::{Outcome, Session};
use crate::app::{
    App, Check, CheckStatus, DoctorReport, RunningServer, UNPRICED_MODELS, running_server,
    unpriced_check,
};
use crate::error::{Context, Result};
use crate::pricing::PriceBook;

/// A price list older than this is likely to miss models, days.
const PRICE_LIST_AGE_DAYS_MAX: i64 = 90;

/// Free disk below which flushes and compaction soon fail, bytes.
const DISK_BYTES_WARNING: u64 = 5 << 30;
const DISK_BYTES_FAILED: u64 = 500 << 20;

/// Before this the machine's clock was certainly never set.
const CLOCK_YEAR_MIN: i32 = 2026;

/// Look at everything that can be wrong: exits 1 at a fault
///
/// Checks disk space, clock, lock, price list and unpriced models, and where no
/// server holds the data folder also its tables and its log.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let mut report = examine(session).await;
        report.checks.sort_by_key(|check| std::cmp::Reverse(severity(check.status)));
        if self.json {
            println!("{}", serde_json::to_string(&report).internal("writing the report")?);
        } else {
            for Check { name, status, detail } in &report.checks {
                println!("{:<8} {name}: {detail}", word(*status));
            }
        }
        Ok(if report.is_healthy() { Outcome::Done } else { Outcome::Found })
    }
}

/// Every check; a check that cannot be made is a fault itself.
async fn examine(session: &Session) -> DoctorReport {
    let data_dir = &session.config.data_dir;
    let now = session.clock.now();
    let mut checks = vec![disk_check(data_dir), clock_check(now)];
    if let Some(server) = running_server(data_dir) {
        checks.extend(server_checks(&server, data_dir).await);
        checks.push(price_list_check(PriceBook::shipped(), now));
        return DoctorReport { checks };
    }
    if !data_dir.exists() {
        let detail = format!("{} does not exist; the first start creates it", data_dir.display());
        checks.push(check("data folder", CheckStatus::Warning, detail));
        checks.push(price_list_check(PriceBook::shipped(), now));
        return DoctorReport { checks };
    }
    match App::open(&session.config, Arc::clone(&session.clock)).await {
        Ok(app) => {
            checks.push(check("lock", CheckStatus::Ok, "free; taken for this look".to_owned()));
            checks.push(price_list_check(&app.prices().active().book(), now));
            match app.doctor().await {
                Ok(report) => checks.extend(report.checks),
                Err(error) => {
                    checks.push(check("tables", CheckStatus::Failed, error.full_message()));
                }
            }
            if let Err(error) = app.close().await {
                checks.push(check("closing", CheckStatus::Failed, error.full_message()));
            }
        }
        Err(error) => checks.push(check("opening", CheckStatus::Failed, error.full_message())),
    }
    DoctorReport { checks }
}

fn check(name: &'static str, status: CheckStatus, detail: String) -> Check {
    Check { name, status, detail }
}

/// Whether the server answers, and which models it has no price for.
async fn server_checks(server: &RunningServer, data_dir: &Path) -> Vec<Check> {
    let address = server.address;
    let remote = match Remote::of_holder(server, data_dir) {
        Ok(remote) if remote.answers().await => remote,
        _ => {
            let detail =
                format!("held by a server on {address} that does not answer; look at its log");
            return vec![check("lock", CheckStatus::Failed, detail)];
        }
    };
    let detail = format!("a server answers on {address}; stop it to check the tables as well");
    let unpriced = match ask_unpriced(&remote).await {
        Ok(answer) => unpriced_check(&answer),
        Err(error) => check("unpriced models", CheckStatus::Failed, error.full_message()),
    };
    vec![check("lock", CheckStatus::Ok, detail), unpriced]
}

async fn ask_unpriced(remote: &Remote) -> Result<Vec<RecordBatch>> {
    remote_rows(remote, UNPRICED_MODELS, &[]).await?.try_collect().await
}

fn disk_check(data_dir: &Path) -> Check {
    // A folder that is not there yet will be on the disk of the nearest one above.
    let existing = data_dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(existing) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            check("disk", disk_state(free), format!("{} MiB free", grouped(free >> 20)))
        }
        Err(error) => {
            let detail = format!("cannot ask how much of {} is free: {error}", existing.display());
            check("disk", CheckStatus::Warning, detail)
        }
    }
}

fn disk_state(bytes_free: u64) -> CheckStatus {
    match bytes_free {
        0..DISK_BYTES_FAILED => CheckStatus::Failed,
        DISK_BYTES_FAILED..DISK_BYTES_WARNING => CheckStatus::Warning,
        DISK_BYTES_WARNING.. => CheckStatus::Ok,
    }
}

fn clock_check(now: DateTime<Utc>) -> Check {
    use chrono::Datelike;
    let set = now.year() >= CLOCK_YEAR_MIN;
    let state = if set { CheckStatus::Ok } else { CheckStatus::Failed };
    let way_out = if set { "" } else { "; set the machine's clock before taking events" };
    check("clock", state, format!("{}{way_out}", now.format("%Y-%m-%d %H:%M:%S UTC")))
}

fn price_list_check(book: &PriceBook, now: DateTime<Utc>) -> Check {
    let version = book.version();
    let Ok(date) = NaiveDate::parse_from_str(version, "%Y-%m-%d") else {
        return check("price list", CheckStatus::Ok, format!("version {version}"));
    };
    let days = (now.date_naive() - date).num_days();
    let detail = format!("version {version}, {days} days old");
    if days > PRICE_LIST_AGE_DAYS_MAX {
        let detail = format!("{detail}: newer models are unpriced; take a newer release");
        return check("price list", CheckStatus::Warning, detail);
    }
    check("price list", CheckStatus::Ok, detail)
}

fn severity(state: CheckStatus) -> u8 {
    match state {
        CheckStatus::Ok => 0,
        CheckStatus::Warning => 1,
        CheckStatus::Failed => 2,
    }
}

fn word(state: CheckStatus) -> &'static str {
    match state {
        CheckStatus::Ok => "ok",
        CheckStatus::Warning => "warning",
        CheckStatus::Failed => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_price_list_is_a_warning() {
        let header = "provider,model,valid_from,valid_to,input_usd_per_mtok,\
            cache_read_usd_per_mtok,cache_write_usd_per_mtok,cache_write_1h_usd_per_mtok,\
            output_usd_per_mtok,reasoning_usd_per_mtok\n";
        let book = PriceBook::parse("2026-01-01", header).expect("book");
        let state = |now: &str| price_list_check(&book, now.parse().expect("time")).status;
        assert_eq!(state("2026-03-01T00:00:00Z"), CheckStatus::Ok);
        assert_eq!(state("2026-05-01T00:00:00Z"), CheckStatus::Warning);
    }

    #[test]
    fn a_nearly_full_disk_is_a_fault_and_a_clock_of_1970_too() {
        assert_eq!(disk_state(10 << 20), CheckStatus::Failed);
        assert_eq!(disk_state(1 << 30), CheckStatus::Warning);
        assert_eq!(disk_state(1 << 40), CheckStatus::Ok);
        assert_eq!(clock_check(DateTime::default()).status, CheckStatus::Failed);
    }
}
