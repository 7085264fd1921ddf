//! The first bytes of a connection: encryption, a request to cancel, or who
//! the client says it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::fault::{Fault, Outcome};
use super::frontend::Body;
use super::wire::Duplex;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;
const PROTOCOL_MAJOR: i32 = 3;

/// Longest first message, bytes, as in PostgreSQL.
const STARTUP_BYTES_MAX: usize = 10_000;
/// The first byte of TLS, for clients that begin with it.
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_TIME_MAX: Duration = Duration::from_secs(10);

/// The certificate that this server shows.
#[derive(Clone)]
pub struct PgTls {
    acceptor: TlsAcceptor,
    /// The chain as it stands in its file: clients may tie the login to it.
    pub(super) certificate_pem: Vec<u8>,
}

impl PgTls {
    /// By the certificate of `config`, whose chain is `certificate_pem`.
    pub fn new(config: &ServerConfig, certificate_pem: Vec<u8>) -> Self {
        let mut config = config.clone();
        // A client that begins with TLS has to name the protocol.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_pem }
    }
}

impl fmt::Debug for PgTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PgTls(…)")
    }
}

/// What a connection turns out to be.
pub(super) enum Opening {
    /// Somebody wants to log in.
    Start { stream: Box<dyn Duplex>, start: Start },
    /// Somebody wants a statement of another connection to end.
    Cancel { id: i32, secret: i32 },
    /// Nobody said anything.
    Nothing,
}

/// Who the client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) is_encrypted: bool,
    /// Of the protocol's version 3.
    pub(super) minor: i32,
    pub(super) parameters: BTreeMap<String, String>,
}

/// Reads the start of a connection. With `tls`, nothing is said or heard
/// without it.
pub(super) async fn open(tcp: TcpStream, tls: Option<&PgTls>) -> Outcome<Opening> {
    let mut first = [0];
    let begins_with_tls = matches!(tcp.peek(&mut first).await, Ok(1) if first[0] == TLS_HANDSHAKE);
    let mut stream: Box<dyn Duplex> = Box::new(tcp);
    let mut is_encrypted = false;
    if begins_with_tls {
        let Some(tls) = tls else { return Ok(Opening::Nothing) };
        stream = encrypt(stream, tls).await?;
        is_encrypted = true;
    }
    // Each kind of request for encryption may come once.
    for _ in 0..3 {
        let Some(mut body) = first_message(&mut stream).await? else {
            return Ok(Opening::Nothing);
        };
        match body.int()? {
            SSL_REQUEST if is_encrypted => {
                return Err(Fault::protocol("the connection is encrypted already"));
            }
            SSL_REQUEST => match tls {
                Some(tls) => {
                    answer(&mut stream, b'S').await?;
                    stream = encrypt(stream, tls).await?;
                    is_encrypted = true;
                }
                None => answer(&mut stream, b'N').await?,
            },
            GSS_REQUEST => answer(&mut stream, b'N').await?,
            CANCEL_REQUEST => {
                return Ok(Opening::Cancel { id: body.int()?, secret: body.int()? });
            }
            version if version >> 16 == PROTOCOL_MAJOR => {
                let parameters = parameters(&mut body)?;
                let start = Start { is_encrypted, minor: version & 0xffff, parameters };
                return Ok(Opening::Start { stream, start });
            }
            version => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let message = format!("protocol {major}.{minor} is not spoken here; 3.0 is");
                return Err(Fault::protocol(message));
            }
        }
    }
    Err(Fault::protocol("encryption was asked for too often"))
}

/// A message without a type, exactly: nothing behind it is read, so that what
/// was sent in the clear is never taken for what was sent encrypted.
async fn first_message(stream: &mut Box<dyn Duplex>) -> Outcome<Option<Body>> {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let length = usize::try_from((&length[..]).get_i32()).unwrap_or(0);
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(Fault::protocol("invalid length of startup packet"));
    }
    let mut body = vec![0; length - 4];
    let read = stream.read_exact(&mut body).await;
    Ok(read.is_ok().then(|| Body(Bytes::from(body))))
}

async fn answer(stream: &mut Box<dyn Duplex>, byte: u8) -> Outcome<()> {
    let sent = async {
        stream.write_all(&[byte]).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| Fault::fatal("08006", error.to_string()))
}

async fn encrypt(stream: Box<dyn Duplex>, tls: &PgTls) -> Outcome<Box<dyn Duplex>> {
    let failed = |why: String| Fault::fatal("08006", format!("TLS failed: {why}"));
    match timeout(TLS_TIME_MAX, tls.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it took too long".to_owned())),
    }
}

fn parameters(body: &mut Body) -> Outcome<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    loop {
        let name = body.text()?;
        if name.is_empty() {
            return Ok(parameters);
        }
        parameters.insert(name, body.text()?);
    }
}

/// The settings that `options` names: `-c name=value` or `--name=value`; a
/// backslash keeps a space within a value.
pub(super) fn options(text: &str) -> Outcome<Vec<(String, String)>> {
    let mut words = vec![String::new()];
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        let last = words.len() - 1;
        match sign {
            '\\' => words[last].extend(signs.next()),
            sign if sign.is_whitespace() => words.push(String::new()),
            sign => words[last].push(sign),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().unwrap_or_default(),
            Some(setting) => setting.to_owned(),
            None => String::new(),
        };
        let Some((name, value)) = setting.split_once('=') else {
            let shown: String = word.chars().take(64).collect();
            let message = format!("the option {shown:?} is not known; use -c name=value");
            return Err(Fault::fatal("42601", message));
        };
        found.push((name.trim().replace('-', "_"), value.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_settings() {
        let found = options(r"-c statement_timeout=5s --search-path=a\ b -cjit=off");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected =
            [pair("statement_timeout", "5s"), pair("search_path", "a b"), pair("jit", "off")];
        assert_eq!(found, Ok(expected.to_vec()));
        assert_eq!(options(""), Ok(Vec::new()));
        for wrong in ["-P", "-c", "-c name", "name=value"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_end_where_they_say() {
        let mut body = Body(Bytes::from_static(b"user\0t1\0database\0spendlake\0\0"));
        let parameters = parameters(&mut body).expect("parameters");
        assert_eq!(parameters.get("user").map(String::as_str), Some("t1"));
        for open in [&b"user\0t1\0"[..], b"user\0", b"user", b""] {
            let mut body = Body(Bytes::from_static(open));
            assert!(super::parameters(&mut body).is_err(), "{open:?}");
        }
    }
}
