//! Where events go: into the data folder opened here, or to the server that
//! holds it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::feed::Stored;
use super::remote::Remote;
use crate::access::Principal;
use crate::api::{
    CloseBody, ClosedMonth, ClosedMonthList, ForgetAnswer, ForgetBody, RetentionAnswer,
    RetentionBody,
};
use crate::app::{
    App, ImportedReport, IngestReport, LineStatus, Reconciliation, ReconciliationRequest,
    ReportFormat, ReportOptions, running_server,
};
use crate::error::{Error, ErrorKind, Result};

/// How often a full server is asked again, and how long apart: five minutes,
/// within which a flush makes room.
const BUSY_TRIES_MAX: u32 = 300;
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// The holder of a data folder.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// This process.
    Local(Arc<App>),
    /// A server, here or elsewhere.
    Server(Remote),
}

impl Target {
    /// The server that was named, else the one that holds the data folder,
    /// else the folder opened here.
    pub(super) async fn open(session: &Session) -> Result<Self> {
        if let Some(url) = &session.elsewhere.server {
            let ca_certificate = session.elsewhere.ca_certificate.as_deref();
            return Remote::elsewhere(url, ca_certificate).map(Self::Server);
        }
        if let Some(server) = running_server(&session.config.data_dir) {
            let remote = Remote::of_holder(&server, &session.config.data_dir)?;
            if remote.answers().await {
                eprintln!("using the server on {}", server.address);
                return Ok(Self::Server(remote));
            }
        }
        App::open(&session.config, Arc::clone(&session.clock)).await.map(Self::Local)
    }

    /// Stores NDJSON events, waiting while the holder has no room.
    pub(super) async fn ingest(&self, body: Bytes, request_id: &str) -> Result<Stored> {
        let mut last_refusal = Error::internal("ingest was never tried");
        for _ in 0..BUSY_TRIES_MAX {
            let tried = match self {
                Self::Local(app) => {
                    let report = app.ingest_bytes(body.clone(), request_id.to_owned()).await;
                    report.map(Stored::from)
                }
                Self::Server(remote) => remote.ingest(body.clone(), request_id).await,
            };
            match tried {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    tracing::info!(request_id, reason = %error, "waiting for room");
                    last_refusal = error;
                }
                done => return done,
            }
            tokio::time::sleep(BUSY_WAIT).await;
        }
        Err(last_refusal)
    }

    /// Stores a provider's report.
    pub(super) async fn import_report(
        &self,
        format: ReportFormat,
        body: Bytes,
        options: ReportOptions,
    ) -> Result<ImportedReport> {
        match self {
            Self::Local(app) => {
                let subject = format!("integrations/provider-reports/{}", format.name());
                let imported = app.import_report(format, body, options).await?;
                write_down(app, "provider_report.import", &subject).await?;
                Ok(imported)
            }
            Self::Server(remote) => remote.import_report(format, body, options).await,
        }
    }

    /// Compares a provider's charges with our costs.
    pub(super) async fn reconciliation(
        &self,
        request: &ReconciliationRequest,
    ) -> Result<Reconciliation> {
        match self {
            Self::Local(app) => app.reconciliation(request).await,
            Self::Server(remote) => remote.reconciliation(request).await,
        }
    }

    /// Closes a month.
    pub(super) async fn close_month(&self, body: CloseBody) -> Result<ClosedMonth> {
        match self {
            Self::Local(app) => body.carry_out(app.corrector()).await,
            Self::Server(remote) => remote.post("/api/closed-months", &body).await?.json().await,
        }
    }

    /// Every closed month; with `check`, added up again.
    pub(super) async fn closed_months(&self, check: bool) -> Result<ClosedMonthList> {
        match self {
            Self::Local(app) if check => {
                let checks = app.corrector().check_closings().await?.into_iter();
                Ok(ClosedMonthList { items: checks.map(ClosedMonth::from).collect() })
            }
            Self::Local(app) => {
                let closings = app.corrector().closings().await?.into_iter();
                Ok(ClosedMonthList { items: closings.map(ClosedMonth::from).collect() })
            }
            Self::Server(remote) => {
                let path = if check { "/api/closed-months/check" } else { "/api/closed-months" };
                remote.get(path).await?.json().await
            }
        }
    }

    /// Forgets a user.
    pub(super) async fn forget(&self, body: ForgetBody, user_id: &str) -> Result<ForgetAnswer> {
        match self {
            Self::Local(app) => body.carry_out(app.corrector(), user_id).await,
            Self::Server(remote) => {
                let user: String =
                    url::form_urlencoded::byte_serialize(user_id.as_bytes()).collect();
                // In a path a plus sign is no space.
                let path = format!("/api/users/{}/forget", user.replace('+', "%20"));
                remote.post(&path, &body).await?.json().await
            }
        }
    }

    /// Drops what is past its age.
    pub(super) async fn retention(&self, body: RetentionBody) -> Result<RetentionAnswer> {
        match self {
            Self::Local(app) => {
                let expired = app.corrector().expire(body.dry_run).await?;
                Ok(RetentionAnswer::new(body.dry_run, expired))
            }
            Self::Server(remote) => remote.post("/api/retention", &body).await?.json().await,
        }
    }

    /// Closes what this process opened.
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Local(app) => app.close().await,
            Self::Server(_) => Ok(()),
        }
    }
}

impl From<IngestReport> for Stored {
    fn from(report: IngestReport) -> Self {
        let refused = report.results.into_iter().filter_map(|result| match result.status {
            LineStatus::Accepted | LineStatus::Duplicate | LineStatus::Sighting(_) => None,
            LineStatus::Conflict(why) | LineStatus::Rejected(why) => {
                Some((result.line, why.message()))
            }
        });
        Self {
            accepted: report.accepted,
            duplicate: report.duplicate,
            sighting: report.sighting,
            conflict: report.conflict,
            rejected: report.rejected,
            refused: refused.collect(),
        }
    }
}

/// The line of the audit log that the route of the same act writes.
pub(super) async fn write_down(app: &App, action: &str, subject: &str) -> Result<()> {
    let audit = Principal::operator().audit(action, subject, serde_json::json!({}));
    app.directory()?.append_audit(&audit).await
}
