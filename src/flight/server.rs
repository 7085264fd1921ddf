//! The server around the service: limits, credentials, start and stop.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::response::Response;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tower_http::catch_panic::CatchPanicLayer;

use super::FlightParts;
use super::credentials::{Visitors, authenticate};
use super::listener::connections;
use super::service::FlightSql;
use crate::error::{Context, Error, ErrorKind, Result};

/// Largest message of a client, bytes: a megabyte of SQL, or a row of parameters.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Largest headers of a call, bytes; a JWT has a few thousand.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Calls under way on one connection; the client keeps more back.
const STREAMS_MAX: u32 = 64;

/// How long a connection may stay without a call that shows a credential.
const PROOF_TIME: Duration = Duration::from_secs(10);

/// How long a connection may be silent before the client is asked whether it
/// is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIME: Duration = Duration::from_secs(20);

/// How long a connection lives before the client is asked to open a new one;
/// calls under way go on.
const CONNECTION_AGE: Duration = Duration::from_secs(3600);

/// Serves Flight SQL on `listener` until `shutdown`, and then until the calls
/// under way are done, for as long as a statement may run. `tls` is offered for
/// HTTP/2 only, which is all that gRPC speaks.
pub async fn serve(
    parts: FlightParts,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let grace = parts.stall;
    let connections_max = parts.connections_max;
    let visitors = Visitors {
        logins: Arc::clone(&parts.logins),
        anyone: parts.anyone.clone(),
        failures: Arc::clone(&parts.failures),
        behind_proxy: parts.behind_proxy,
    };
    let service = FlightServiceServer::new(FlightSql::new(parts)?)
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let routes = Routes::new(service)
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state(visitors, authenticate))
        .layer(CatchPanicLayer::custom(panicked));
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let stop = async move {
        shutdown.await;
        let _ = stopping.send(true);
    };
    let tls = tls.map(|tls| TlsAcceptor::from(h2_only(&tls)));
    let incoming = connections(listener, tls, connections_max, PROOF_TIME);
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIME))
        .max_connection_age(CONNECTION_AGE)
        .serve_with_incoming_shutdown(Routes::from(routes), incoming, stop);
    let overdue = async {
        // Also resolves where the server ended by itself.
        let _ = stopped.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = serving => served.context(ErrorKind::Unavailable, "the Flight SQL server failed"),
        () = overdue => {
            tracing::warn!("a Flight SQL client did not finish in time; its connection is dropped");
            Ok(())
        }
    }
}

fn h2_only(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Status::from(Error::internal("a Flight SQL call panicked")).into_http()
}
