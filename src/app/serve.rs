//! Serves HTTP: listens at once, answers health while replaying, everything
//! else after.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::App;
use super::observe;
use crate::api::{ApiState, Doors, HealthState, service};
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
        let stop = CancellationToken::new();
        let flight = self.begin_flight(&stop).await?;
        self.lock.announce(Some(address))?;
        let router = self.service()?;
        let replaying = Arc::clone(&self);
        let replay = tokio::spawn(async move {
            if replaying.store.get().is_some() { Ok(()) } else { replaying.replay().await }
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
        // The address tells senders apart who do not say who they are.
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .await
            .context(ErrorKind::Unavailable, "the HTTP server failed");
        signal.abort();
        stop.cancel();
        let flight = match flight {
            Some(flight) => flight.ended().await,
            None => Ok(()),
        };
        let (replayed, _) = watch.await.internal("waiting for the replay")?;
        let closed = self.close().await;
        self.lock.announce(None)?;
        served.and(flight).and(replayed).and(closed)
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
            prices: Arc::clone(&self.prices),
            health: Arc::new(health),
        };
        service(api, doors, Arc::clone(&self.clock))
    }
}
