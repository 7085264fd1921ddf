//! Serves HTTP: listens at once, answers health while replaying, everything
//! else after.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::App;
use super::observe;
use crate::api::{AccessDoor, ApiState, CookiePolicy, Doors, HealthState, OidcDoor, service};
use crate::error::{Context, Error, ErrorKind, Result};

impl App {
    /// Refuses an address that others could reach: nothing guards the data
    /// until access control exists.
    pub fn check_listen_address(address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "listen is {address}; without access control the server listens on loopback only: \
                 use 127.0.0.1:PORT, and a tunnel or proxy that checks who asks"
            ),
        ))
    }

    /// Serves until `shutdown` is over, then finishes what was begun and
    /// closes. Replays first when nobody has, while `/readyz` says so.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let address = listener.local_addr().context(ErrorKind::Unavailable, "no listen address")?;
        Self::check_listen_address(address)?;
        self.lock.announce(Some(address))?;
        let router = self.service()?;
        if let Some(oidc) = self.oidc.clone() {
            // Serving does not wait for it: it may be down while we start.
            tokio::spawn(async move { oidc.warm().await });
        }
        let replaying = Arc::clone(&self);
        let replay = tokio::spawn(async move {
            if replaying.store.get().is_none() {
                replaying.replay().await?;
            }
            replaying.print_setup_url("http", address);
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
        let stop = async move {
            tokio::select! {
                () = shutdown => {}
                _ = failure.wait_for(|failed| *failed) => {}
            }
        };
        // The address tells senders apart who do not say who they are.
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await
            .context(ErrorKind::Unavailable, "the HTTP server failed")?;
        let (replayed, _) = watch.await.internal("waiting for the replay")?;
        let closed = self.close().await;
        self.lock.announce(None)?;
        replayed.and(closed)
    }

    /// Tells the operator, and nobody else, where the first administrator is
    /// set up: on standard error, never in the log.
    fn print_setup_url(&self, scheme: &str, address: SocketAddr) {
        if let Some(code) = self.authenticator.take_setup_code() {
            eprintln!(
                "nobody can sign in yet; within 15 minutes, make the first administrator at\n  \
                 {scheme}://{address}/setup?code={code}"
            );
        }
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
        service(api, doors, Arc::clone(&self.clock))
    }

    fn access_door(&self) -> AccessDoor {
        // Browsers keep a secure cookie only where they came by https.
        let secure = self.config.public_url.starts_with("https:");
        let cookies = if secure { CookiePolicy::Secure } else { CookiePolicy::Loopback };
        AccessDoor { authenticator: Arc::clone(&self.authenticator), cookies }
    }
}
