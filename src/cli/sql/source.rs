//! Who runs a statement: the server that holds the data folder, or this
//! process.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use futures::stream::{self, Stream, StreamExt};

use crate::access::Principal;
use crate::cli::Session;
use crate::cli::remote::Remote;
use crate::cli::target::Target;
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

    /// Runs one statement.
    pub(super) async fn run(&self, text: &str) -> Result<Rows> {
        match &self.0 {
            Target::Server(remote) => remote_rows(remote, text).await,
            Target::Local(app) => {
                let rows =
                    app.engine().sql(app.view()?, &Principal::operator(), &text.into()).await?;
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
pub(in crate::cli) async fn remote_rows(remote: &Remote, text: &str) -> Result<Rows> {
    let answer = remote.sql(text).await?;
    let broke_off = Arc::new(remote.broke_off());
    let body = Box::pin(answer.bytes_stream());
    let start = (body, StreamDecoder::new(), Buffer::from_vec(Vec::<u8>::new()), false);
    let batches = stream::try_unfold(start, move |(mut body, mut decoder, mut buffer, named)| {
        let broke_off = Arc::clone(&broke_off);
        async move {
            loop {
                let batch =
                    decoder.decode(&mut buffer).context(ErrorKind::Unavailable, &broke_off)?;
                if let Some(batch) = batch {
                    return Ok(Some((batch, (body, decoder, buffer, true))));
                }
                if !buffer.is_empty() {
                    continue;
                }
                if let Some(bytes) = body.next().await {
                    let bytes = bytes.context(ErrorKind::Unavailable, &broke_off)?;
                    buffer = Buffer::from_vec(bytes.to_vec());
                    continue;
                }
                decoder.finish().context(ErrorKind::Unavailable, &broke_off)?;
                if let (false, Some(schema)) = (named, decoder.schema()) {
                    let columns = RecordBatch::new_empty(schema);
                    return Ok(Some((columns, (body, decoder, buffer, true))));
                }
                return Ok::<_, Error>(None);
            }
        }
    });
    Ok(Box::pin(batches))
}
