//! The door for Arrow Flight SQL over this data directory.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::App;
use crate::access::SystemRandomness;
use crate::error::{Error, ErrorKind, Result};
use crate::flight::{FlightParts, serve};

impl App {
    /// Binds `flight_listen`; `None` where it is not set.
    pub(super) async fn listen_flight(&self) -> Result<Option<TcpListener>> {
        let Some(address) = self.config.flight_address()? else { return Ok(None) };
        Self::check_listen_address(address)?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let message = format!(
                "cannot listen on {address} (flight_listen); another program may hold it: choose \
                 another port"
            );
            Error::new(ErrorKind::Unavailable, message).caused_by(error)
        })?;
        Ok(Some(listener))
    }

    /// Serves Arrow Flight SQL on `listener` until `shutdown` is over, behind
    /// TLS where it is given. Until the replay is over, calls are answered
    /// `Unavailable`.
    pub async fn serve_flight(
        &self,
        listener: TcpListener,
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
            authenticator: Arc::clone(&self.authenticator),
            randomness: Arc::new(SystemRandomness),
            connections_max: self.config.flight_connections_max,
            stall: Duration::from_secs(self.config.query_seconds_max.into()),
        };
        serve(parts, listener, tls, shutdown).await
    }
}
