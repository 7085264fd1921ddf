//! TLS of the PostgreSQL protocol.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use spendlake::pg_wire::PgTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::{ChannelBinding as Binding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fixture::{ANALYST, Served, code, column, token_of};

struct Certificate {
    tls: PgTls,
    client: Arc<ClientConfig>,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let pem = made.cert.pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")];
    let key = made.signing_key.serialize_pem();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)
        .expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(chain[0].clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Certificate { tls: PgTls::new(&server, pem.into_bytes()), client: Arc::new(client) }
}

#[derive(Clone)]
struct Connector(Arc<ClientConfig>);

struct Stream<S>(TlsStream<S>);

/// What the library connects by.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for S {}

impl<S: Socket> MakeTlsConnect<S> for Connector {
    type Stream = Stream<S>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _domain: &str) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl<S: Socket> TlsConnect<S> for Connector {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from("localhost").expect("a name");
            Ok(Stream(TlsConnector::from(self.0).connect(name, stream).await?))
        })
    }
}

impl<S: Socket> tokio_postgres::tls::TlsStream for Stream<S> {
    fn channel_binding(&self) -> Binding {
        use sha2::Digest;
        let (_, session) = self.0.get_ref();
        let certificates = session.peer_certificates().expect("a certificate");
        Binding::tls_server_end_point(sha2::Sha256::digest(&certificates[0]).to_vec())
    }
}

impl<S: Socket> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: Socket> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_nothing_is_taken_unencrypted() {
    let certificate = certificate();
    let served = Served::with(|_| {}, Some(certificate.tls)).await;
    let plain = served.log_in(ANALYST, &token_of(ANALYST)).await.expect_err("refused");
    assert_eq!(code(&plain), "28000");
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    for binding in [ChannelBinding::Disable, ChannelBinding::Prefer, ChannelBinding::Require] {
        config.ssl_mode(SslMode::Require).channel_binding(binding);
        let connector = Connector(Arc::clone(&certificate.client));
        let (client, connection) = config.connect(connector).await.expect("a login");
        tokio::spawn(connection);
        assert_eq!(column(&client, "SHOW ssl").await, ["on"], "{binding:?}");
    }
    let mut config = served.config(ANALYST, "wrong");
    config.ssl_mode(SslMode::Require);
    let connector = Connector(certificate.client);
    let error = config.connect(connector).await.err().expect("refused");
    assert_eq!(code(&error), "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_tls_is_declined() {
    let served = Served::new().await;
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    config.ssl_mode(SslMode::Require);
    assert!(config.connect(Connector(certificate().client)).await.is_err());
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    assert!(config.ssl_mode(SslMode::Prefer).connect(NoTls).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_before_tls_is_never_taken_for_encrypted() {
    let served = Served::with(|_| {}, Some(certificate().tls)).await;
    let mut tcp = TcpStream::connect(served.address).await.expect("connected");
    let mut bytes = Vec::new();
    for number in [8, 80_877_103] {
        bytes.extend(i32::to_be_bytes(number));
    }
    bytes.extend(b"\0\0\0\x1a\0\x03\0\0user\0tok_analyst\0\0");
    tcp.write_all(&bytes).await.expect("sent");
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    // The offer, and then at most an alert of TLS.
    assert_eq!(answer.first(), Some(&b'S'));
    assert!(!answer.contains(&b'R'), "{answer:?}");
}
