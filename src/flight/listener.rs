//! Connections as they come in: few enough, behind TLS where it is set, and
//! gone soon unless somebody shows a credential.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use crate::access::{Origin, Principal, Share, Shares};
use crate::api::ClientAddress;
use crate::error::{Error, ErrorKind, Result};

/// How long the listener rests after an error that says nothing of one
/// connection (no more file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// One client's connection; it holds its place until it is dropped.
pub(super) struct Connection {
    io: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    arrival: Arrival,
    deadline: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

/// Where a connection comes from, and whether a call on it showed a credential
/// that holds.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) peer: IpAddr,
    proof: Arc<Proof>,
}

#[derive(Debug)]
struct Proof {
    /// Its place among the connections of its network that showed none yet.
    newcomer: Mutex<Option<Share>>,
    /// Its place among those of the principal that it is of.
    share: OnceLock<Option<Share>>,
    shares: Arc<Shares>,
}

impl Arrival {
    fn new(peer: IpAddr, newcomer: Share, shares: Arc<Shares>) -> Self {
        let newcomer = Mutex::new(Some(newcomer));
        Self { peer, proof: Arc::new(Proof { newcomer, share: OnceLock::new(), shares }) }
    }

    /// A call did: the connection is of this principal, whoever calls on it
    /// later. `Busy` where it has as many as one may; where nobody is asked
    /// who they are, all have the same name, and no share.
    pub(super) fn prove(&self, principal: &Principal) -> Result<()> {
        let Proof { newcomer, share, shares } = &*self.proof;
        if self.is_proven() {
            return Ok(());
        }
        let is_anyone = principal.origin() == Origin::Anonymous;
        let taken = (!is_anyone).then(|| shares.take(principal.id().as_bytes()));
        if matches!(taken, Some(None)) {
            let (name, most) = (principal.name(), shares.most());
            let message = format!(
                "{name} has {most} connections, the most for one (a quarter of \
                 flight_connections_max); close some"
            );
            return Err(Error::new(ErrorKind::Busy, message));
        }
        // Another call may have come first; its place counts then.
        let _ = share.set(taken.flatten());
        *newcomer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn is_proven(&self) -> bool {
        self.proof.share.get().is_some()
    }
}

/// The connections that `listener` accepts, at most `connections_max` at once:
/// more are closed at once, so that their clients need not wait to be told. One
/// on which no call shows a credential that holds ends after `proof_time`. The
/// address is free when the stream is dropped.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections_max: usize,
    proof_time: Duration,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let (sender, receiver) = channel(1);
    let opening = Opening { tls, proof_time, sender };
    tokio::spawn(accept(listener, connections_max, opening));
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|connection| (Ok(connection), receiver))
    })
}

/// What opens each connection.
#[derive(Clone)]
struct Opening {
    tls: Option<TlsAcceptor>,
    proof_time: Duration,
    sender: Sender<Connection>,
}

async fn accept(listener: TcpListener, connections_max: usize, opening: Opening) {
    let places = Arc::new(Semaphore::new(connections_max));
    let (newcomers, shares) = (Shares::of(connections_max), Shares::of(connections_max));
    loop {
        let accepted = tokio::select! {
            () = opening.sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a Flight SQL connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let newcomer = newcomers.take(&ClientAddress(Some(peer)).network());
        let (Some(place), Some(newcomer)) = (place, newcomer) else {
            tracing::warn!(
                connections_max,
                "a Flight SQL connection was closed: there are as many as flight_connections_max, \
                 or a quarter of them from one network without a credential"
            );
            continue;
        };
        // A slow handshake must not keep others waiting.
        let arrival = Arrival::new(peer, newcomer, Arc::clone(&shares));
        tokio::spawn(opening.clone().open(stream, arrival, place));
    }
}

impl Opening {
    async fn open(self, stream: TcpStream, arrival: Arrival, place: OwnedSemaphorePermit) {
        let Self { tls, proof_time, sender } = self;
        let deadline = Instant::now() + proof_time;
        // Answers are written whole: waiting for more only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a Flight SQL connection ended at once");
            return;
        }
        let io = match tls {
            None => Either::Left(stream),
            Some(tls) => match timeout_at(deadline, tls.accept(stream)).await {
                Ok(Ok(stream)) => Either::Right(Box::new(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake of Flight SQL failed");
                    return;
                }
                Err(_) => {
                    tracing::debug!("a TLS handshake of Flight SQL took too long");
                    return;
                }
            },
        };
        let deadline = Box::pin(sleep_until(deadline));
        // Nobody takes it once the server stops.
        let _ = sender.send(Connection { io, arrival, deadline, _place: place }).await;
    }
}

impl Connected for Connection {
    type ConnectInfo = Arrival;

    fn connect_info(&self) -> Arrival {
        self.arrival.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.arrival.is_proven()
            && self.deadline.as_mut().poll(context).is_ready()
            && !self.arrival.is_proven()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn opened(
        connections_max: usize,
        proof_time: Duration,
    ) -> (std::net::SocketAddr, impl Stream<Item = io::Result<Connection>> + Unpin) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (address, Box::pin(connections(listener, None, connections_max, proof_time)))
    }

    #[tokio::test]
    async fn a_connection_without_a_credential_ends() {
        let (address, mut incoming) = opened(1, Duration::from_millis(50)).await;
        let _client = TcpStream::connect(address).await.expect("a connection");
        let mut silent = incoming.next().await.expect("one").expect("accepted");
        let error = silent.read_u8().await.expect_err("too long silent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_with_one_stays_and_holds_its_place() {
        let (address, mut incoming) = opened(1, Duration::from_millis(50)).await;
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let mut proven = incoming.next().await.expect("one").expect("accepted");
        let arrival = proven.connect_info();
        arrival.prove(&Principal::operator()).expect("a place");
        let mut second = TcpStream::connect(address).await.expect("a connection");
        assert_eq!(second.read(&mut [0]).await.expect("an end"), 0, "there is no place for it");
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::io::AsyncWriteExt::write_u8(&mut client, 7).await.expect("written");
        assert_eq!(proven.read_u8().await.expect("a byte"), 7);
        drop(proven);
        let _third = TcpStream::connect(address).await.expect("a connection");
        incoming.next().await.expect("one").expect("the place is free again");
    }

    #[tokio::test]
    async fn a_principal_has_a_quarter_of_the_connections_and_so_has_a_silent_network() {
        let (address, mut incoming) = opened(20, Duration::from_secs(60)).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            let client = TcpStream::connect(address).await.expect("a connection");
            open.push((client, incoming.next().await.expect("one").expect("accepted")));
        }
        let mut more = TcpStream::connect(address).await.expect("a connection");
        assert_eq!(more.read(&mut [0]).await.expect("an end"), 0, "five are silent already");
        for (_, connection) in &open {
            connection.connect_info().prove(&Principal::operator()).expect("a place");
        }
        let _client = TcpStream::connect(address).await.expect("a connection");
        let last = incoming.next().await.expect("one").expect("accepted").connect_info();
        let refused = last.prove(&Principal::operator()).expect_err("five are its own already");
        assert_eq!(refused.kind(), ErrorKind::Busy);
        open.pop();
        last.prove(&Principal::operator()).expect("a place that was given up");
    }
}
