//! Connections of HTTP: few enough, behind TLS where it is set, and gone soon
//! where nobody asks anything.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Layer as _;

use crate::access::{Share, Shares};
use crate::api::{ClientAddress, Peer};

/// What connections are held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpLimits {
    /// Connections at once; more are closed. A network has a quarter of them.
    pub(super) connections_max: usize,
    /// Of these, those that agree on TLS; a network has a quarter of them.
    pub(super) handshakes_max: usize,
    /// How long a client may take to agree on TLS.
    pub(super) handshake_time: Duration,
    /// How long it may take for the head of a request, from the connection or
    /// the answer before.
    pub(super) head_time: Duration,
    /// How long requests that are under way may take once the server stops.
    pub(super) drain_time: Duration,
    /// Whether all connections come from a proxy, so that networks say nothing.
    pub(super) behind_proxy: bool,
}

impl HttpLimits {
    pub(super) fn new(behind_proxy: bool) -> Self {
        Self {
            connections_max: 2_000,
            handshakes_max: 256,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(30),
            behind_proxy,
        }
    }
}

/// Serves `router` to whoever connects, until `stop`; requests that are under
/// way then are answered, where their clients take the answers.
pub(super) async fn serve_http(
    mut listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let shares = Shares::of(limits.connections_max);
    let turns = Arc::new(Semaphore::new(limits.handshakes_max));
    let handshakes = Shares::of(limits.handshakes_max);
    let mut connections = JoinSet::new();
    loop {
        let (tcp, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = Listener::accept(&mut listener) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let most = limits.connections_max;
            tracing::warn!(most, "a connection was closed: as many are open as may be");
            continue;
        };
        let network = ClientAddress(Some(peer.ip())).network();
        let share = shares.take(&network);
        if share.is_none() && !limits.behind_proxy {
            tracing::debug!(%peer, "a connection was closed: its network has its share");
            continue;
        }
        // In a task of its own: a slow handshake holds up nobody.
        let tls = match &tls {
            None => None,
            Some(tls) => {
                let turn = Arc::clone(&turns).try_acquire_owned().ok();
                let share = handshakes.take(&network);
                if turn.is_none() || (share.is_none() && !limits.behind_proxy) {
                    tracing::debug!(%peer, "a connection was closed: others agree on TLS still");
                    continue;
                }
                Some((tls.clone(), (turn, share)))
            }
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _places = (place, share);
            if let Err(error) = serve_one(tcp, peer, tls, router, limits, stop).await {
                tracing::debug!(%peer, %error, "a connection broke off");
            }
        });
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain_time, drain).await.is_err() {
        tracing::warn!(open = connections.len(), "connections that did not end were broken off");
        connections.shutdown().await;
    }
}

/// A place among those that agree on TLS, and among those of one network.
type Turn = (Option<OwnedSemaphorePermit>, Option<Share>);

async fn serve_one(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<(TlsAcceptor, Turn)>,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) -> Result<(), Broken> {
    // An answer is sent in parts: none waits until the one before has arrived.
    tcp.set_nodelay(true)?;
    match tls {
        None => serve_requests(tcp, peer, router, limits, stop).await,
        Some((tls, turn)) => {
            let agreed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                agreed = timeout(limits.handshake_time, tls.accept(tcp)) => agreed,
            };
            drop(turn);
            let stream = agreed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            serve_requests(stream, peer, router, limits, stop).await
        }
    }
}

/// Why a connection ended, for the log.
type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) -> Result<(), Broken> {
    let service = Extension(ConnectInfo(Peer(peer))).layer(router);
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_time);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    async fn served(change: impl FnOnce(&mut HttpLimits)) -> (SocketAddr, CancellationToken) {
        served_by(None, change).await
    }

    async fn served_by(
        tls: Option<TlsAcceptor>,
        change: impl FnOnce(&mut HttpLimits),
    ) -> (SocketAddr, CancellationToken) {
        let mut limits = HttpLimits::new(false);
        change(&mut limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let peer = |ConnectInfo(Peer(peer)): ConnectInfo<Peer>| async move { peer.to_string() };
        let router = Router::new().route("/", get(peer));
        let stop = CancellationToken::new();
        tokio::spawn(serve_http(listener, tls, router, limits, stop.clone()));
        (address, stop)
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        let mut answer = vec![0; 1_000];
        let length = stream.read(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    async fn from_elsewhere(address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("another network");
        socket.connect(address).await.expect("connected")
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        read.is_ok_and(|read| !matches!(read, Ok(1..)) || rest.starts_with(b"HTTP/1.1 408"))
    }

    #[tokio::test]
    async fn a_handler_is_told_where_a_request_comes_from() {
        let (address, stop) = served(|_| {}).await;
        let mut client = TcpStream::connect(address).await.expect("connected");
        let own = client.local_addr().expect("an address").to_string();
        for _ in 0..2 {
            assert!(ask(&mut client).await.ends_with(&own), "both requests of a connection");
        }
        stop.cancel();
        assert!(is_closed(&mut client).await, "an idle connection ends with the server");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_keep_the_server_from_stopping() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let endless = || async {
            Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(
                &[b'x'; 8_192],
            ))))
        };
        let router = Router::new().route("/", get(endless));
        let limits = HttpLimits { drain_time: SHORT, ..HttpLimits::new(false) };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve_http(listener, None, router, limits, stop.clone()));
        let mut client = TcpStream::connect(address).await.expect("connected");
        assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
        stop.cancel();
        let ended = timeout(Duration::from_secs(10), serving).await;
        ended.expect("it ends").expect("no panic");
    }

    #[tokio::test]
    async fn whoever_does_not_finish_asking_is_gone() {
        let (address, _stop) = served(|limits| limits.head_time = SHORT).await;
        for words in ["", "GET / HTTP/1.1\r\nhost: x\r\nx: "] {
            let mut client = TcpStream::connect(address).await.expect("connected");
            client.write_all(words.as_bytes()).await.expect("sent");
            assert!(is_closed(&mut client).await, "{words:?}");
        }
    }

    #[tokio::test]
    async fn a_network_has_a_quarter_of_the_connections_unless_it_is_a_proxy() {
        for behind_proxy in [false, true] {
            let (address, _stop) = served(|limits| {
                (limits.connections_max, limits.behind_proxy) = (16, behind_proxy);
            })
            .await;
            let mut open = Vec::new();
            for _ in 0..4 {
                let mut client = TcpStream::connect(address).await.expect("connected");
                ask(&mut client).await;
                open.push(client);
            }
            let mut fifth = TcpStream::connect(address).await.expect("connected");
            if behind_proxy {
                assert!(ask(&mut fifth).await.starts_with("HTTP/1.1 200"));
                continue;
            }
            assert!(is_closed(&mut fifth).await);
            let mut other = from_elsewhere(address).await;
            assert!(ask(&mut other).await.starts_with("HTTP/1.1 200"), "others go on");
        }
    }

    #[tokio::test]
    async fn silent_tls_clients_hold_up_nobody_elsewhere_and_are_gone_soon() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
            .expect("a certificate");
        let (address, _stop) = served_by(Some(TlsAcceptor::from(Arc::new(config))), |limits| {
            (limits.handshakes_max, limits.handshake_time) = (16, SHORT * 3);
        })
        .await;
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(TcpStream::connect(address).await.expect("connected"));
        }
        let begun = std::time::Instant::now();
        let mut fifth = TcpStream::connect(address).await.expect("connected");
        assert!(is_closed(&mut fifth).await && begun.elapsed() < SHORT, "its network has four");
        let mut other = from_elsewhere(address).await;
        timeout(SHORT, other.read_u8()).await.expect_err("it is waited for");
        for mut one in silent {
            assert!(is_closed(&mut one).await);
        }
        let mut next = TcpStream::connect(address).await.expect("connected");
        timeout(SHORT, next.read_u8()).await.expect_err("there is room again");
    }
}
