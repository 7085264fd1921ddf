//! Sends chunks of events to a [`Target`], several at a time, and reports them
//! in order.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::target::Target;
use crate::error::{Context, Result};

/// Chunks on their way at once. More only wait for the same log.
const CHUNKS_IN_FLIGHT_MAX: usize = 4;

/// Events of one request.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// One JSON object a line.
    pub(super) body: Vec<u8>,
    /// For each line of `body` the row of its file, from 1; empty for events
    /// that come from no file.
    pub(super) rows: Vec<u64>,
    /// How many rows of the input end with this chunk.
    pub(super) position: u64,
    /// Rows that could not be turned into an event, with the reason.
    pub(super) unreadable: Vec<(u64, String)>,
}

/// What became of the events of one request, wherever it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) accepted: u64,
    pub(super) duplicate: u64,
    pub(super) sighting: u64,
    pub(super) conflict: u64,
    pub(super) rejected: u64,
    /// Line (from 1) and reason of each that was not stored.
    pub(super) refused: Vec<(u64, String)>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) position: u64,
    /// Its lines are the input's rows.
    pub(super) stored: Stored,
}

/// Sends every chunk of `chunks`, which is read on a thread of its own, and
/// calls `acknowledged` in their order. Request ids are `name` and a position.
pub(super) async fn feed<I>(
    chunks: I,
    target: &Target,
    name: &str,
    mut acknowledged: impl FnMut(Acknowledged) -> Result<()>,
) -> Result<()>
where
    I: Iterator<Item = Result<Chunk>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT_MAX);
    let reader = tokio::task::spawn_blocking(move || {
        for chunk in chunks {
            let failed = chunk.is_err();
            // The receiver is gone when a send failed: there is nobody to read for.
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    let received = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let sent = received
        .map(|chunk| async move { send(chunk?, target, name).await })
        .buffered(CHUNKS_IN_FLIGHT_MAX);
    let mut sent = Box::pin(sent);
    while let Some(answer) = sent.next().await {
        acknowledged(answer?)?;
    }
    drop(sent);
    // A panic of the reader must not look like the end of the input.
    reader.await.internal("reading the input stopped")
}

async fn send(chunk: Chunk, target: &Target, name: &str) -> Result<Acknowledged> {
    let Chunk { body, rows, position, unreadable } = chunk;
    let mut stored = Stored::default();
    if !body.is_empty() {
        stored = target.ingest(Bytes::from(body), &format!("{name}-{position}")).await?;
    }
    for (line, _) in &mut stored.refused {
        let index = usize::try_from(*line).unwrap_or(usize::MAX).saturating_sub(1);
        *line = rows.get(index).copied().unwrap_or(*line);
    }
    stored.rejected += unreadable.len() as u64;
    stored.refused.extend(unreadable);
    stored.refused.sort();
    Ok(Acknowledged { position, stored })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::post;

    use super::*;
    use crate::cli::remote::Remote;
    use crate::error::Error;

    /// A server that rejects the lines that say `bad`, and is slow with the
    /// first chunk.
    async fn server() -> Target {
        let answer = |body: Bytes| async move {
            let text = String::from_utf8(body.to_vec()).expect("text");
            if text.contains("slow") {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            let bad = (1..).zip(text.lines()).filter(|(_, line)| line.contains("bad"));
            let results: Vec<_> = bad
                .map(|(line, _)| serde_json::json!({"line": line, "status": "rejected", "rule": "is bad"}))
                .collect();
            let (rejected, all) = (results.len(), text.lines().count());
            axum::Json(serde_json::json!({"accepted": all - rejected, "duplicate": 0,
                "conflict": 0, "rejected": rejected, "results": results}))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let address = listener.local_addr().expect("address");
        let router = Router::new().route("/api/events", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Target::Server(Remote::new(address).expect("client"))
    }

    fn chunk(body: &str, rows: &[u64], position: u64) -> Chunk {
        let body = body.as_bytes().to_vec();
        Chunk { body, rows: rows.to_vec(), position, ..Chunk::default() }
    }

    #[tokio::test]
    async fn answers_come_in_order_and_name_the_rows_of_the_input() {
        let last = Chunk { unreadable: vec![(9, "torn".to_owned())], ..chunk("bad\n", &[8], 9) };
        let chunks = [chunk("slow\nbad\n", &[1, 4], 4), chunk("a\n", &[5], 5), last];
        let mut seen = Vec::new();
        feed(chunks.into_iter().map(Ok), &server().await, "test", |done| {
            seen.push((
                done.position,
                done.stored.accepted,
                done.stored.rejected,
                done.stored.refused,
            ));
            Ok(())
        })
        .await
        .expect("fed");
        let bad = || "rejected; is bad".to_owned();
        assert_eq!(
            seen,
            [
                (4, 1, 1, vec![(4, bad())]),
                (5, 1, 0, vec![]),
                (9, 0, 2, vec![(8, bad()), (9, "torn".to_owned())])
            ]
        );
    }

    #[tokio::test]
    async fn an_error_of_the_input_ends_the_feed_after_what_was_read() {
        let chunks = [Ok(chunk("a\n", &[1], 1)), Err(Error::invalid("torn file"))];
        let mut positions = Vec::new();
        let target = server().await;
        let fed = feed(chunks.into_iter(), &target, "test", |done| {
            positions.push(done.position);
            Ok(())
        });
        assert!(fed.await.is_err());
        assert_eq!(positions, [1]);
    }
}
