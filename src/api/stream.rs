//! Streams record batches as a file. The first batch is made before the
//! answer begins, so that what fails at once is still a problem; what fails
//! later breaks the connection, so that half a file never looks whole.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::problem::Problem;
use crate::error::{Error, Result};
use crate::export::{BatchWriter, Format};

type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// Answers `batches` in `format`; without batches, `schema` makes the header.
pub(super) async fn respond(
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    schema: Option<SchemaRef>,
    format: Format,
) -> Result<Response, Problem> {
    let mut batches: Batches = Box::pin(batches);
    let first = batches.next().await.transpose()?;
    let schema = schema.or_else(|| first.as_ref().map(RecordBatch::schema));
    let schema = schema.ok_or_else(|| Error::internal("an export made no batch at all"))?;
    let mut writer = BatchWriter::new(format, &schema)?;
    let head = match first {
        Some(batch) => writer.write(&batch)?,
        None => Bytes::new(),
    };
    let body = stream::iter([Ok(head)]).chain(pieces(batches, writer));
    // An empty piece would end a chunked body.
    let body = body.filter(|piece| {
        let keep = !matches!(piece, Ok(bytes) if bytes.is_empty());
        std::future::ready(keep)
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    Ok(response)
}

fn pieces(batches: Batches, writer: BatchWriter) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::try_unfold(Some((batches, writer)), |state| async move {
        let Some((mut batches, mut writer)) = state else { return Ok(None) };
        let piece = match batches.next().await.transpose() {
            Ok(Some(batch)) => writer.write(&batch).map(|piece| (piece, Some((batches, writer)))),
            Ok(None) => writer.finish().map(|piece| (piece, None)),
            Err(error) => Err(error),
        };
        piece.map(Some).inspect_err(|error| {
            tracing::error!(cause = error.full_message(), "an export broke off");
        })
    })
}
