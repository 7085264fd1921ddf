//! Serves Arrow Flight SQL beside HTTP, where a setting says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use super::tls::ServerTls;
use crate::access::{Authenticator, Credential, Principal, SystemRandomness};
use crate::api::OperatorToken;
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

/// Those whom HTTP knows by a header, and nobody else.
#[derive(Debug)]
struct Known {
    authenticator: Arc<Authenticator>,
    operator: OperatorToken,
}

#[async_trait]
impl Logins for Known {
    async fn authenticate(&self, credential: &Credential) -> Result<Arc<Principal>> {
        match credential {
            Credential::Token(token) if self.operator.is(token) => {
                Ok(Arc::new(Principal::operator()))
            }
            credential => self.authenticator.authenticate(credential).await,
        }
    }
}

impl App {
    /// Whom Arrow Flight SQL lets in.
    pub fn flight_logins(&self) -> Arc<dyn Logins> {
        Arc::new(Known {
            authenticator: Arc::clone(&self.authenticator),
            operator: self.operator.clone(),
        })
    }

    /// Begins to serve at `flight_listen`, where that is set, until `stop`;
    /// cancels `stop` itself should it break off.
    pub(super) async fn begin_flight(
        self: &Arc<Self>,
        tls: Option<&ServerTls>,
        stop: &CancellationToken,
    ) -> Result<Option<FlightServing>> {
        let Some(address) = self.config.flight_address()? else { return Ok(None) };
        self.check_listening(address).await?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let message = format!(
                "cannot listen on {address} (flight_listen); another program may hold it: choose \
                 another port"
            );
            Error::new(ErrorKind::Unavailable, message).caused_by(error)
        })?;
        let (app, stop) = (Arc::clone(self), stop.clone());
        let (logins, tls) = (self.flight_logins(), tls.map(|tls| Arc::clone(&tls.config)));
        let task = tokio::spawn(async move {
            let stopped = stop.clone().cancelled_owned();
            let served = app.serve_flight(listener, logins, tls, stopped).await;
            // A door that broke must not go unnoticed.
            stop.cancel();
            served
        });
        tracing::info!(%address, "serving Arrow Flight SQL");
        Ok(Some(FlightServing(task)))
    }

    /// Serves Arrow Flight SQL on `listener` to those whom `logins` knows, behind
    /// TLS where it is given, until `shutdown` is over. Before the replay is
    /// over, calls are answered `Unavailable`.
    pub async fn serve_flight(
        &self,
        listener: TcpListener,
        logins: Arc<dyn Logins>,
        tls: Option<Arc<ServerConfig>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        let gate = self.gate()?;
        let store = Arc::clone(&self.store);
        let parts = FlightParts {
            engine: Arc::clone(&self.engine),
            view: Box::new(move || match store.get() {
                Some(store) => Ok(store.view()),
                None => Err(crate::api::not_ready()),
            }),
            logins,
            anyone: gate.anonymous().cloned(),
            failures: Arc::clone(gate.failures()),
            behind_proxy: self.config.behind_proxy,
            randomness: Arc::new(SystemRandomness),
            connections_max: self.config.flight_connections_max,
            stall: Duration::from_secs(self.config.query_seconds_max.into()),
        };
        serve(parts, listener, tls, shutdown).await
    }
}
