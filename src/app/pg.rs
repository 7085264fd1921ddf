//! Serves the PostgreSQL protocol beside HTTP, where a setting says so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::access::Principal;
use crate::directory::Audit;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::pg_wire::{Logins, PgParts, PgServer, PgTls};

/// A running server of the PostgreSQL protocol.
#[derive(Debug)]
pub(super) struct PgServing {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl PgServing {
    /// Ends it: what runs may finish within a bounded time.
    pub(super) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.task.await.internal("stopping the PostgreSQL server")
    }
}

impl App {
    /// A server of the PostgreSQL protocol over this data directory, for those
    /// whom `logins` knows; everybody is `anyone`, where there is one.
    pub fn pg_server(
        &self,
        logins: Arc<dyn Logins>,
        anyone: Option<Arc<Principal>>,
        tls: Option<PgTls>,
    ) -> PgServer {
        let store = Arc::clone(&self.store);
        let view = move || match store.get() {
            Some(store) => Ok(store.view()),
            None => Err(crate::api::not_ready()),
        };
        let directory = Arc::clone(&self.directory);
        let audit = move |audit: Audit| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move {
                let Some(directory) = directory.get() else { return };
                if let Err(error) = directory.append_audit(&audit).await {
                    tracing::error!(error = error.full_message(), "an audit line is lost");
                }
            });
        };
        let parts = PgParts {
            engine: Arc::clone(&self.engine),
            view: Box::new(view),
            logins,
            anyone,
            tls,
            audit: Box::new(audit),
            audit_sql: Box::new(|_, _| {}),
        };
        PgServer::new(&self.config, parts)
    }

    /// Begins to serve at `pg_listen`, where that is set.
    pub(super) async fn serve_pg(&self) -> Result<Option<PgServing>> {
        let Some(address) = self.config.pg_address()? else { return Ok(None) };
        let listener = listen(address).await?;
        let address = listener.local_addr().context(ErrorKind::Unavailable, "no listen address")?;
        let logins = Arc::<crate::access::Authenticator>::clone(self.authenticator());
        let server = self.pg_server(logins, None, None);
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(listener, stop.clone()));
        tracing::info!(%address, "serving the PostgreSQL protocol");
        Ok(Some(PgServing { stop, task }))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    if !address.ip().is_loopback() {
        let message = format!(
            "pg_listen is {address}, which others can reach, and it has no TLS: use 127.0.0.1"
        );
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    TcpListener::bind(address).await.map_err(|error| {
        let message =
            format!("cannot listen on {address} (pg_listen); another program may hold it");
        Error::new(ErrorKind::Unavailable, message).caused_by(error)
    })
}
