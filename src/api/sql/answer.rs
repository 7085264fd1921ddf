//! The rows of a statement as a body. They become bytes where the statement
//! runs, not among the dashboards. What fails before the first bytes are there
//! is a problem; what fails later breaks the connection, in every format, so
//! that half an answer never looks whole.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::api::problem::Problem;
use crate::engine::{Engine, SqlStream};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{BatchWriter, Format};

/// Pieces that are made ahead of whoever reads them.
const PIECES_AHEAD_MAX: usize = 2;

/// The header that names the statement.
const STATEMENT_ID: &str = "x-statement-id";

/// What comes of the rows: bytes, and the end, without which they are not all.
enum Piece {
    Bytes(Bytes),
    End,
}

type Pieces = mpsc::Sender<Result<Piece>>;

/// Answers `rows` in `format`, once the first bytes are there.
pub(super) async fn respond(
    engine: &Engine,
    rows: SqlStream,
    format: Format,
) -> Result<Response, Problem> {
    let id = HeaderValue::from_str(rows.id()).ok();
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD_MAX);
    let task = engine.spawn(write(rows, format, sender));
    let head = match next(&mut pieces).await? {
        Some(bytes) => bytes,
        None => Bytes::new(),
    };
    let answer = Answer { pieces, format, failing: None, _task: task };
    let body = stream::iter([Ok(head)]).chain(answer.into_stream());
    // An empty piece would end a chunked body.
    let body = body.filter(|piece| {
        let keep = !matches!(piece, Ok(bytes) if bytes.is_empty());
        std::future::ready(keep)
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(id.map(|id| (header::HeaderName::from_static(STATEMENT_ID), id)));
    Ok(response)
}

/// Writes `rows` piece by piece, and then the end or an error.
async fn write(rows: SqlStream, format: Format, pieces: Pieces) {
    let done = write_all(rows, format, &pieces).await;
    // Nobody is there to be told when this fails.
    let _ = pieces.send(done.map(|()| Piece::End)).await;
}

async fn write_all(mut rows: SqlStream, format: Format, pieces: &Pieces) -> Result<()> {
    let mut writer = BatchWriter::new(format, &rows.schema())?;
    while let Some(batch) = rows.next().await {
        send(pieces, writer.write(&batch?)?).await?;
    }
    send(pieces, writer.finish()?).await
}

async fn send(pieces: &Pieces, bytes: Bytes) -> Result<()> {
    let gone = || Error::new(ErrorKind::Cancelled, "whoever asked went away");
    pieces.send(Ok(Piece::Bytes(bytes))).await.map_err(|_| gone())
}

/// The next bytes; `None` at the end.
async fn next(pieces: &mut mpsc::Receiver<Result<Piece>>) -> Result<Option<Bytes>> {
    match pieces.recv().await {
        Some(Ok(Piece::Bytes(bytes))) => Ok(Some(bytes)),
        Some(Ok(Piece::End)) => Ok(None),
        Some(Err(error)) => Err(error),
        None => Err(Error::internal("an answer to SQL ended without a word")),
    }
}

/// The rest of a body.
struct Answer {
    pieces: mpsc::Receiver<Result<Piece>>,
    format: Format,
    /// What the body breaks off with, after a last line that says so.
    failing: Option<Error>,
    /// Stops the work when the client hangs up.
    _task: AbortOnDropHandle<()>,
}

/// The last line of lines that are not all.
#[derive(Serialize)]
struct LastLine {
    error: Problem,
}

impl Answer {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::unfold(Some(self), |answer| async move {
            let mut answer = answer?;
            if let Some(error) = answer.failing.take() {
                // Lets the last line out before the connection breaks.
                tokio::task::yield_now().await;
                return Some((Err(error), None));
            }
            match next(&mut answer.pieces).await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(answer))),
                Ok(None) => None,
                Err(error) => Some(answer.fail(error)),
            }
        })
    }

    fn fail(mut self, error: Error) -> (Result<Bytes>, Option<Self>) {
        let cause = error.full_message();
        if error.kind() == ErrorKind::Internal {
            tracing::error!(cause, "an answer to SQL broke off");
        } else {
            tracing::info!(cause, "an answer to SQL broke off");
        }
        if self.format != Format::Ndjson {
            return (Err(error), None);
        }
        let again = Error::new(error.kind(), "an answer to SQL broke off");
        match serde_json::to_vec(&LastLine { error: error.into() }) {
            Ok(mut line) => {
                line.push(b'\n');
                self.failing = Some(again);
                (Ok(line.into()), Some(self))
            }
            Err(_) => (Err(again), None),
        }
    }
}
