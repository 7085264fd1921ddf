//! Serves the PostgreSQL protocol beside HTTP, where a setting says so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use super::tls::ServerTls;
use crate::access::{Authenticator, Domain, Grant, Origin, Permissions, Principal, Role};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::pg_wire::{Logins, PgParts, PgServer, PgTls};

/// A running server of the PostgreSQL protocol.
#[derive(Debug)]
pub(super) struct PgServing {
    task: JoinHandle<()>,
}

impl PgServing {
    /// Waits for it to end, once it was told to stop: what runs then may
    /// finish within a bounded time.
    pub(super) async fn ended(self) -> Result<()> {
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
    ) -> Result<PgServer> {
        let store = Arc::clone(&self.store);
        let view = move || match store.get() {
            Some(store) => Ok(store.view()),
            None => Err(crate::api::not_ready()),
        };
        let failures = Arc::clone(self.gate()?.failures());
        let (view, engine) = (Box::new(view), Arc::clone(&self.engine));
        let parts = PgParts { engine, view, logins, anyone, tls, failures };
        Ok(PgServer::new(&self.config, parts))
    }

    /// Begins to serve at `pg_listen`, where that is set, until `stop`.
    pub(super) async fn serve_pg(&self, stop: &CancellationToken) -> Result<Option<PgServing>> {
        let Some(address) = self.config.pg_address()? else { return Ok(None) };
        self.check_listening(address).await?;
        let tls = self.pg_tls()?;
        let anyone = self.config.insecure_anonymous.then(anyone).transpose()?;
        let listener = listen(address).await?;
        let address = listener.local_addr().context(ErrorKind::Unavailable, "no listen address")?;
        let logins = Arc::<Authenticator>::clone(&self.authenticator);
        let server = self.pg_server(logins, anyone, tls)?;
        let task = tokio::spawn(server.serve(listener, stop.clone()));
        tracing::info!(%address, "serving the PostgreSQL protocol");
        Ok(Some(PgServing { task }))
    }

    /// The certificate that HTTP shows too.
    fn pg_tls(&self) -> Result<Option<PgTls>> {
        let Some(tls) = ServerTls::load(&self.config)? else { return Ok(None) };
        let path = &self.config.tls_certificate;
        let pem = std::fs::read(path)
            .context(ErrorKind::Invalid, format!("tls_certificate is {path}, which is not read"))?;
        Ok(Some(PgTls::new(&tls.config, pem)))
    }
}

/// Whom everybody is taken for with `insecure_anonymous`.
fn anyone() -> Result<Arc<Principal>> {
    let grants = vec![Grant::new(Role::SuperAdmin, Domain::Platform)?];
    let (id, origin) = ("anonymous", Origin::Anonymous);
    Ok(Arc::new(Principal::new(id, id, origin, grants, Permissions::ALL)))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message =
            format!("cannot listen on {address} (pg_listen); another program may hold it");
        Error::new(ErrorKind::Unavailable, message).caused_by(error)
    })
}
