//! Where the server may listen, and what accepts its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::tls::ServerTls;
use crate::api::Peer;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// How long a client may take to agree on TLS.
const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Connections that agree on TLS at once; more wait.
const HANDSHAKES_MAX: usize = 256;

/// Refuses an address that others can reach while nothing tells them apart,
/// or while their credentials would go over the network for all to read.
pub(super) fn check_listening(config: &Config, address: SocketAddr, has_admin: bool) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let refused = |why: &str| {
        let message = format!("listen is {address}, which others can reach, and {why}");
        Err(Error::new(ErrorKind::Forbidden, message))
    };
    if config.insecure_anonymous {
        return refused("insecure_anonymous lets everybody do everything: use 127.0.0.1");
    }
    if !has_admin {
        return refused(
            "there is no administrator yet: start on 127.0.0.1 first and follow the address that \
             is printed, or set SPENDLAKE_INIT_ADMIN_TOKEN_FILE to a file with a token of at \
             least 32 characters",
        );
    }
    if !config.serves_https() {
        return refused(
            "it has no TLS: set tls_certificate and tls_key to PEM files, or behind_proxy where a \
             proxy in front of it does TLS and nobody reaches the server but through it",
        );
    }
    Ok(())
}

/// A connection, plain or with TLS.
type Connection = Either<TcpStream, TlsStream<TcpStream>>;

/// Accepts connections, and with TLS only those that agreed on it.
#[derive(Debug)]
pub(super) enum Door {
    Plain(TcpListener),
    Tls {
        address: SocketAddr,
        agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
        _accepting: Accepting,
    },
}

/// Ends the accepting with its door.
#[derive(Debug)]
pub(super) struct Accepting(tokio::task::AbortHandle);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// A door at `listener`.
    pub(super) fn new(listener: TcpListener, tls: Option<&ServerTls>) -> std::io::Result<Self> {
        let Some(tls) = tls else { return Ok(Self::Plain(listener)) };
        let address = listener.local_addr()?;
        let (done, agreed) = mpsc::channel(HANDSHAKES_MAX);
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        let accepting = tokio::spawn(accept_tls(listener, acceptor, done)).abort_handle();
        Ok(Self::Tls { address, agreed, _accepting: Accepting(accepting) })
    }
}

/// Agrees on TLS with each client in a task of its own: a slow one holds up
/// nobody.
async fn accept_tls(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let limit = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
            match tokio::time::timeout(limit, acceptor.accept(stream)).await {
                // Nobody receives any more while the server stops.
                Ok(Ok(stream)) => drop(done.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a client did not agree on TLS"),
                Err(_) => tracing::debug!(%peer, "a client was too slow to agree on TLS"),
            }
            drop(place);
        });
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self {
            Self::Plain(listener) => {
                let (stream, peer) = Listener::accept(listener).await;
                (Either::Left(stream), peer)
            }
            Self::Tls { agreed, .. } => match agreed.recv().await {
                Some((stream, peer)) => (Either::Right(stream), peer),
                // The accepting task never ends by itself.
                None => std::future::pending().await,
            },
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        match self {
            Self::Plain(listener) => Listener::local_addr(listener),
            Self::Tls { address, .. } => Ok(*address),
        }
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_loopback_it_takes_an_admin_and_tls_or_a_proxy() {
        let there = SocketAddr::from(([0, 0, 0, 0], 8787));
        let plain = Config::default();
        let tls = Config {
            tls_certificate: "c".to_owned(),
            tls_key: "k".to_owned(),
            ..Config::default()
        };
        let proxy = Config { behind_proxy: true, ..Config::default() };
        let said = |config: &Config, has_admin| {
            check_listening(config, there, has_admin).expect_err("refused").to_string()
        };
        for config in [&plain, &tls, &proxy] {
            assert!(said(config, false).contains("SPENDLAKE_INIT_ADMIN_TOKEN_FILE"));
        }
        assert!(said(&plain, true).contains("tls_certificate"));
        assert!(check_listening(&tls, there, true).is_ok());
        assert!(check_listening(&proxy, there, true).is_ok());
        let anonymous = Config { insecure_anonymous: true, ..tls };
        assert!(said(&anonymous, true).contains("insecure_anonymous"));
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        assert!(check_listening(&plain, here, false).is_ok());
        assert!(check_listening(&anonymous, here, false).is_ok());
    }
}
