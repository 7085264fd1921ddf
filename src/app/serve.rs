//! Serves HTTP: listens at once, answers health while replaying, everything
//! else after.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::App;
use super::announcement::{Announcement, Serving};
use super::http::{HttpLimits, serve_http};
use super::listen::check_listening;
use super::observe;
use super::operator_file::OperatorFile;
use super::tls::ServerTls;
use crate::access::Authenticator;
use crate::api::{
    AccessDoor, ApiState, Doors, Gate, GateParts, HealthState, OidcDoor, OperatorToken, cookies_of,
    service,
};
use crate::directory::AuditTrail;
use crate::error::{Context, ErrorKind, Result};

impl App {
    /// Serves until `shutdown` is over, then finishes what was begun and
    /// closes. Replays first when nobody has, while `/readyz` says so.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let address = listener.local_addr().context(ErrorKind::Unavailable, "no listen address")?;
        self.check_listening(address).await?;
        let tls = ServerTls::load(&self.config)?;
        let stop = CancellationToken::new();
        let flight = self.begin_flight(tls.as_ref(), &stop).await?;
        let operator_file = OperatorFile::write(&self.config.data_dir, &self.operator)?;
        let router = self.service()?;
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        let certificate_sha256 = tls.map(|tls| tls.certificate_sha256);
        let serving = Serving { process: std::process::id(), address, certificate_sha256 };
        let announcement = Announcement::make(&self.config.data_dir, &serving)?;
        if let Some(oidc) = self.oidc.clone() {
            // Serving does not wait for it: it may be down while we start.
            tokio::spawn(async move { oidc.warm().await });
        }
        let pg = self.serve_pg(&stop).await?;
        let replaying = Arc::clone(&self);
        let replay = tokio::spawn(async move {
            if replaying.store.get().is_none() {
                replaying.replay().await?;
            }
            replaying.print_setup_url(address);
            Ok(())
        });
        let (failed, mut failure) = tokio::sync::watch::channel(false);
        let watch = tokio::spawn(async move {
            let outcome = replay.await.internal("replaying").and_then(|outcome| outcome);
            if outcome.is_err() {
                let _ = failed.send(true);
            }
            // Keeps the sender alive: a dropped one would look like a change.
            (outcome, failed)
        });
        let stopping = stop.clone();
        let signal = tokio::spawn(async move {
            tokio::select! {
                () = shutdown => {}
                _ = failure.wait_for(|failed| *failed) => {}
            }
            stopping.cancel();
        });
        let limits = HttpLimits::new(self.config.behind_proxy);
        serve_http(listener, acceptor, router, limits, stop.clone()).await;
        signal.abort();
        stop.cancel();
        let flight = match flight {
            Some(flight) => flight.ended().await,
            None => Ok(()),
        };
        let pg = match pg {
            Some(pg) => pg.ended().await,
            None => Ok(()),
        };
        let (replayed, _) = watch.await.internal("waiting for the replay")?;
        drop(operator_file);
        let closed = self.close().await;
        drop(announcement);
        flight.and(pg).and(replayed).and(closed)
    }

    /// Whether the server may listen there; looks for an administrator where
    /// that matters, which takes the directory.
    pub(super) async fn check_listening(&self, address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() {
            return check_listening(&self.config, address, false);
        }
        self.open_directory().await?;
        let has_admin = self.authenticator.has_super_admin()?;
        check_listening(&self.config, address, has_admin)
    }

    /// The token that opens every route of this process.
    pub fn operator_token(&self) -> &OperatorToken {
        &self.operator
    }

    pub(super) fn gate(&self) -> Result<Gate> {
        let parts = GateParts {
            authenticator: Arc::<Authenticator>::clone(&self.authenticator),
            operator: self.operator.clone(),
            trail: Some(AuditTrail::new(Arc::clone(&self.directory))),
            clock: Arc::clone(&self.clock),
        };
        Gate::new(&self.config, parts)
    }

    /// Tells the operator, and nobody else, where the first administrator is
    /// set up: on standard error, never in the log.
    fn print_setup_url(&self, address: SocketAddr) {
        let Some(code) = self.authenticator.take_setup_code() else { return };
        if self.config.insecure_anonymous {
            // Nobody has to sign in.
            return;
        }
        let scheme = if self.config.tls_certificate.is_empty() { "http" } else { "https" };
        let here = format!("{scheme}://{address}");
        let public_url = self.config.public_url.trim_end_matches('/');
        let site = if public_url.is_empty() { &here } else { public_url };
        eprintln!(
            "nobody can sign in yet; within 15 minutes, make the first administrator at\n  \
             {site}/setup?code={code}"
        );
    }

    /// Every route, over this data directory.
    pub fn service(&self) -> Result<axum::Router> {
        let store = Arc::clone(&self.store);
        let view = {
            let store = Arc::clone(&store);
            move || match store.get() {
                Some(store) => Ok(store.view()),
                None => Err(crate::api::not_ready()),
            }
        };
        let api = ApiState::new(
            Arc::clone(&self.queries),
            Arc::clone(&self.engine),
            Box::new(view),
            Arc::clone(&self.clock),
        );
        let health = HealthState::new(store, Arc::clone(&self.queries), observe::install()?);
        let doors = Doors {
            ingest: Arc::clone(&self.door),
            corrector: Arc::clone(&self.corrector),
            directory: Arc::clone(&self.directory),
            access: self.access_door(),
            prices: Arc::clone(&self.prices),
            oidc: OidcDoor {
                oidc: self.oidc.clone(),
                access: self.access_door(),
                directory: Arc::clone(&self.directory),
            },
            health: Arc::new(health),
        };
        service(api, doors, self.gate()?, Arc::clone(&self.clock))
    }

    fn access_door(&self) -> AccessDoor {
        AccessDoor {
            authenticator: Arc::clone(&self.authenticator),
            cookies: cookies_of(&self.config),
            offers_oidc: self.oidc.as_ref().is_some_and(|oidc| oidc.takes_people()),
        }
    }
}
