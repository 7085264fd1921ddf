//! Who runs a statement: the server that holds the data folder, or this
//! process.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::stream::{self, Stream, StreamExt};

use crate::access::Principal;
use crate::cli::Session;
use crate::cli::remote::Remote;
use crate::cli::target::Target;
use crate::engine::Statement;
use crate::error::{Context, Error, ErrorKind, Result};

/// The rows of an answer. Starts with a batch without rows where the answer
/// has none, so that its columns are known.
pub(in crate::cli) type Rows = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// The holder of the data folder.
#[derive(Debug)]
pub(super) struct SqlSource(Target);

impl SqlSource {
    pub(super) async fn open(session: &Session) -> Result<Self> {
        Target::open(session).await.map(Self)
    }

    /// Runs one statement. `parameters` are the texts of `$1`, `$2`, …, each
    /// read as what its place needs.
    pub(super) async fn run(&self, text: &str, parameters: &[String]) -> Result<Rows> {
        match &self.0 {
            Target::Server(remote) => remote_rows(remote, text, parameters).await,
            Target::Local(app) => {
                let parameters = parameters.iter().map(|text| ScalarValue::from(text.as_str()));
                let statement =
                    Statement { text: text.to_owned(), parameters: parameters.collect() };
                let caller = Principal::operator();
                let rows = app.engine().sql(app.view()?, &caller, &statement).await?;
                let columns = RecordBatch::new_empty(rows.schema());
                Ok(Box::pin(stream::once(async { Ok(columns) }).chain(rows)))
            }
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        self.0.close().await
    }
}

/// Decodes the Arrow IPC stream of `/api/sql` while it arrives.
pub(in crate::cli) async fn remote_rows(
    remote: &Remote,
    text: &str,
    parameters: &[String],
) -> Result<Rows> {
    let answer = remote.sql(text, parameters).await?;
    let id = answer.headers().get("x-statement-id").and_then(|id| id.to_str().ok());
    let arriving = Arriving {
        remote: remote.clone(),
        statement_id: id.map(str::to_owned),
        body: Box::pin(answer.bytes_stream()),
        decoder: StreamDecoder::new(),
        buffer: Buffer::from_vec(Vec::<u8>::new()),
        named: false,
    };
    Ok(Box::pin(stream::try_unfold(arriving, |mut arriving| async move {
        match arriving.next().await {
            Ok(batch) => Ok(batch.map(|batch| (batch, arriving))),
            Err(error) => Err(arriving.explain(error).await),
        }
    })))
}

/// An answer that is on its way.
struct Arriving {
    remote: Remote,
    statement_id: Option<String>,
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    decoder: StreamDecoder,
    buffer: Buffer,
    /// Whether a batch was handed out, so that the columns are known.
    named: bool,
}

impl Arriving {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let broke_off = self.remote.broke_off();
        loop {
            let batch = self
                .decoder
                .decode(&mut self.buffer)
                .context(ErrorKind::Unavailable, &broke_off)?;
            if let Some(batch) = batch {
                self.named = true;
                return Ok(Some(batch));
            }
            if !self.buffer.is_empty() {
                continue;
            }
            if let Some(bytes) = self.body.next().await {
                let bytes = bytes.context(ErrorKind::Unavailable, &broke_off)?;
                self.buffer = Buffer::from_vec(bytes.to_vec());
                continue;
            }
            self.decoder.finish().context(ErrorKind::Unavailable, &broke_off)?;
            if let (false, Some(schema)) = (self.named, self.decoder.schema()) {
                self.named = true;
                return Ok(Some(RecordBatch::new_empty(schema)));
            }
            return Ok(None);
        }
    }

    /// Why the answer broke off, as far as the server knows.
    async fn explain(self, error: Error) -> Error {
        let Self { remote, statement_id, .. } = self;
        let Some(id) = statement_id else { return error };
        match remote.statement_error(&id).await {
            Some(reason) => Error::new(ErrorKind::LimitExceeded, format!("{error}: {reason}")),
            None => error,
        }
    }
}
