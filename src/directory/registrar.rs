//! Registers ids on sight, beside ingest and never in its way.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::edit::{Change, Sighting};
use super::snapshot::Directory;
use super::store::DirectoryStore;
use crate::error::Result;

/// Requests whose new ids wait to be registered. What finds no room is seen
/// again with the next event.
const QUEUE_MAX: usize = 1024;
/// Requests whose ids are registered in one transaction.
const BATCH_MAX: usize = 256;
/// So many things are known at most through events: a sender that makes up
/// ids must not fill the memory. More are their own names.
const ENTRIES_MAX: usize = 1_000_000;

#[derive(Debug)]
enum Message {
    Seen(Vec<Sighting>),
    Settle(oneshot::Sender<()>),
}

/// The door of the background task that registers what events name.
#[derive(Debug, Clone)]
pub struct Registrar(mpsc::Sender<Message>);

impl Registrar {
    /// Starts the task; it ends with the last copy of its door.
    pub fn start(store: Arc<DirectoryStore>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(register_all(store, receiver));
        Self(sender)
    }

    /// Hands over what acknowledged events named and the directory does not
    /// know. Neither waits nor fails: without room it is left for later.
    pub fn see(&self, sightings: Vec<Sighting>) {
        if sightings.is_empty() {
            return;
        }
        let count = sightings.len() as u64;
        if self.0.try_send(Message::Seen(sightings)).is_err() {
            metrics::counter!("spendlake_directory_postponed_total").increment(count);
        }
    }

    /// Waits until everything handed over before is registered or has failed.
    pub async fn settle(&self) {
        let (sender, receiver) = oneshot::channel();
        // An ended task has nothing left to do.
        if self.0.send(Message::Settle(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }
}

async fn register_all(store: Arc<DirectoryStore>, mut receiver: mpsc::Receiver<Message>) {
    let mut messages = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut messages, BATCH_MAX).await > 0 {
        let (mut seen, mut waiting) = (HashSet::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Seen(sightings) => seen.extend(sightings),
                Message::Settle(sender) => waiting.push(sender),
            }
        }
        if let Err(error) = register(&store, seen).await {
            metrics::counter!("spendlake_background_errors_total", "step" => "register")
                .increment(1);
            tracing::warn!(
                error = error.full_message(),
                "ids were not registered; they will be seen again"
            );
        }
        for sender in waiting {
            let _ = sender.send(());
        }
    }
}

async fn register(store: &Arc<DirectoryStore>, seen: HashSet<Sighting>) -> Result<()> {
    let directory = store.shared().load();
    let known = |one: &Sighting| directory.knows(one);
    let mut unknown: Vec<Sighting> = seen.into_iter().filter(|one| !known(one)).collect();
    let room = ENTRIES_MAX.saturating_sub(directory.entry_count());
    if unknown.len() > room {
        let left_out = (unknown.len() - room) as u64;
        metrics::counter!("spendlake_directory_postponed_total").increment(left_out);
        unknown.truncate(room);
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let registered = store.edit(move |edit| {
        let mut created = 0;
        for sighting in &unknown {
            created += u64::from(edit.register(sighting)? == Change::Created);
        }
        Ok(created)
    });
    let created = registered.await?;
    metrics::counter!("spendlake_directory_registered_total").increment(created);
    Ok(())
}

impl Directory {
    /// Whether it knows what was seen, declared or not.
    pub fn knows(&self, sighting: &Sighting) -> bool {
        self.get(sighting.kind, &sighting.organization_id, &sighting.id).is_some()
    }
}
