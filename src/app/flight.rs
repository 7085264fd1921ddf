//! Serves Arrow Flight SQL beside HTTP, where a setting says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::access::{Principal, SystemRandomness};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::flight::{FlightParts, Logins, serve};

/// A running server of Arrow Flight SQL. It stops by the token it was begun
/// with.
#[derive(Debug)]
pub(super) struct FlightServing(JoinHandle<Result<()>>);

impl FlightServing {
    /// Waits for its end.
    pub(super) async fn ended(self) -> Result<()> {
        self.0.await.internal("serving Flight SQL").and_then(|served| served)
    }
}

impl App {
    /// Begins to serve at `flight_listen`, where that is set, until `stop`;
    /// cancels `stop` itself should it break off.
    pub(super) async fn begin_flight(
        self: &Arc<Self>,
        stop: &CancellationToken,
    ) -> Result<Option<FlightServing>> {
        let Some(address) = self.config.flight_address()? else { return Ok(None) };
        Self::check_listen_address(address)?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let message = format!(
                "cannot listen on {address} (flight_listen); another program may hold it: choose \
                 another port"
            );
            Error::new(ErrorKind::Unavailable, message).caused_by(error)
        })?;
        let (app, stop) = (Arc::clone(self), stop.clone());
        let logins = Arc::<crate::access::Authenticator>::clone(self.authenticator());
        let task = tokio::spawn(async move {
            let stopped = stop.clone().cancelled_owned();
            let served = app.serve_flight(listener, logins, None, None, stopped).await;
            // A door that broke must not go unnoticed.
            stop.cancel();
            served
        });
        tracing::info!(%address, "serving Arrow Flight SQL");
        Ok(Some(FlightServing(task)))
    }

    /// Serves Arrow Flight SQL on `listener` to those whom `logins` knows, and
    /// everybody as `anyone`, where there is one; behind TLS where it is given;
    /// until `shutdown` is over. Before the replay is over, calls are answered
    /// `Unavailable`.
    pub async fn serve_flight(
        &self,
        listener: TcpListener,
        logins: Arc<dyn Logins>,
        anyone: Option<Arc<Principal>>,
        tls: Option<Arc<ServerConfig>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        let store = Arc::clone(&self.store);
        let parts = FlightParts {
            engine: Arc::clone(&self.engine),
            view: Box::new(move || match store.get() {
                Some(store) => Ok(store.view()),
                None => Err(crate::api::not_ready()),
            }),
            logins,
            anyone,
            randomness: Arc::new(SystemRandomness),
            connections_max: self.config.flight_connections_max,
            stall: Duration::from_secs(self.config.query_seconds_max.into()),
        };
        serve(parts, listener, tls, shutdown).await
    }
}
