//! The bytes of one connection: messages in, messages out, each in bounded
//! memory and time.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::fault::{Fault, Outcome};
use super::frontend::{self, Message};

/// Longest message of a client that has logged in, bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Longest message before that.
const LOGIN_MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Bytes that wait to be sent before they are.
const OUTPUT_BYTES: usize = 64 << 10;
/// How long a client may take none of what it is sent.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// One connection's messages.
pub(super) struct Wire {
    stream: Box<dyn Duplex>,
    input: BytesMut,
    output: BytesMut,
    message_bytes_max: usize,
}

impl Wire {
    /// Nothing of `stream` was read past the start of the login.
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            message_bytes_max: LOGIN_MESSAGE_BYTES_MAX,
        }
    }

    /// The client is known: it may send long statements.
    pub(super) fn accept_long_messages(&mut self) {
        self.message_bytes_max = MESSAGE_BYTES_MAX;
    }

    /// The next message; `None` where the client hung up. Nothing is lost when
    /// the future is dropped.
    pub(super) async fn message(&mut self) -> Outcome<Option<Message>> {
        loop {
            if let Some((kind, body)) = self.whole_message()? {
                return frontend::message(kind, body).map(Some);
            }
            if self.stream.read_buf(&mut self.input).await.map_err(gone)? == 0 {
                return Ok(None);
            }
        }
    }

    fn whole_message(&mut self) -> Outcome<Option<(u8, Bytes)>> {
        let Some(header) = self.input.get(..5) else { return Ok(None) };
        let (kind, mut length) = (header[0], &header[1..]);
        let length = usize::try_from(length.get_i32()).unwrap_or(0);
        if length < 4 {
            return Err(Fault::protocol("a message is shorter than its length"));
        }
        if length > self.message_bytes_max {
            let most = self.message_bytes_max;
            let message = format!("a message has {length} bytes; {most} are allowed");
            return Err(Fault::fatal("54000", message));
        }
        if self.input.len() < 1 + length {
            return Ok(None);
        }
        let mut message = self.input.split_to(1 + length).freeze();
        message.advance(5);
        Ok(Some((kind, message)))
    }

    /// Resolves when the client hangs up; what it sends until then is kept, as
    /// far as there is room.
    pub(super) async fn hung_up(&mut self) {
        while self.input.len() < self.message_bytes_max {
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }

    /// Adds a message to what is sent next.
    pub(super) fn put(&mut self, message: &PgWireBackendMessage) -> Outcome<()> {
        message
            .encode(&mut self.output)
            .map_err(|error| Fault::fatal("XX000", format!("an answer cannot be written: {error}")))
    }

    /// Where rows are written, to be sent next.
    pub(super) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether so much waits that it should be sent.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Outcome<()> {
        while !self.output.is_empty() {
            let sending = self.stream.write_buf(&mut self.output);
            let sent = timeout(WRITE_TIME_MAX, sending).await.map_err(|_| stuck())?;
            if sent.map_err(gone)? == 0 {
                return Err(gone(io::ErrorKind::WriteZero.into()));
            }
        }
        let flushed = timeout(WRITE_TIME_MAX, self.stream.flush()).await;
        flushed.map_err(|_| stuck())?.map_err(gone)
    }

    /// Sends what waits, and closes in order.
    pub(super) async fn close(mut self) {
        if self.flush().await.is_ok() {
            let _ = timeout(WRITE_TIME_MAX, self.stream.shutdown()).await;
        }
    }
}

fn gone(error: io::Error) -> Fault {
    Fault::fatal("08006", format!("the connection broke: {error}"))
}

fn stuck() -> Fault {
    let seconds = WRITE_TIME_MAX.as_secs();
    Fault::fatal("08006", format!("the client took nothing for {seconds} seconds"))
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Wire")
            .field("unread_bytes", &self.input.len())
            .field("unsent_bytes", &self.output.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_may_arrive_in_pieces() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(Box::new(server));
        let reading = tokio::spawn(async move { (wire.message().await, wire.message().await) });
        for byte in b"Q\0\0\0\x0bselect\0S\0\0\0\x04" {
            client.write_all(&[*byte]).await.expect("written");
        }
        let (first, second) = reading.await.expect("read");
        assert_eq!(first, Ok(Some(Message::Query("select".to_owned()))));
        assert_eq!(second, Ok(Some(Message::Sync)));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(Box::new(server));
        client.write_all(b"Q\x7f\xff\xff\xff").await.expect("written");
        assert_eq!(wire.message().await.expect_err("refused").code, "54000");
    }
}
