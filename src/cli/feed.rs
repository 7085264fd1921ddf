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
