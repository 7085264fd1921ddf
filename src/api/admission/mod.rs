//! What a request passes before its events are looked at: the sender's rate,
//! the memory for its body, and the length of the body.

mod bucket;
mod memory;
mod rates;
mod sender;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;

use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::ingest::{Encoding, decompress};

use memory::{BodyMemory, Reservation};
use rates::Rate;

pub(crate) use sender::Sender;

/// The limits at the door.
#[derive(Debug)]
pub(super) struct Admission {
    body_bytes_max: usize,
    memory: Arc<BodyMemory>,
    events: Option<Rate>,
    bytes: Option<Rate>,
}

/// A plain (uncompressed) body that was let in.
#[derive(Debug)]
pub struct AdmittedBody {
    /// What it says.
    pub(super) bytes: Bytes,
    /// None for what comes from within the process: it has no rate.
    pub(super) sender: Option<Sender>,
    /// Keep it as long as anything made of the body.
    pub(super) memory: Option<Reservation>,
}

impl AdmittedBody {
    /// A body that came by no request, and passes no limit of the door.
    pub fn local(bytes: Bytes) -> Self {
        Self { bytes, sender: None, memory: None }
    }
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        let (events, bytes) =
            (config.ingest_events_per_second_max.into(), config.ingest_bytes_per_second_max);
        Self {
            body_bytes_max: config.body_bytes_max,
            memory: BodyMemory::new(config.ingest_bytes_max),
            events: Rate::new("ingest_events_per_second_max", "events", events),
            bytes: Rate::new("ingest_bytes_per_second_max", "bytes", bytes),
        }
    }

    /// Reads a request's body within the limits, and undoes its compression.
    ///
    /// Errors: `RateLimited`, `Busy` where there is no memory for it,
    /// `LimitExceeded` where it is too long, `Invalid` where it is damaged.
    pub(super) async fn read(
        &self,
        sender: Sender,
        headers: &HeaderMap,
        body: Body,
        now: DateTime<Utc>,
    ) -> Result<AdmittedBody> {
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let encoding = Encoding::from_header(encoding)?;
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let declared: usize = declared.and_then(|value| value.parse().ok()).unwrap_or(0);
        if declared > self.body_bytes_max {
            return Err(self.too_long());
        }
        self.check_rates(&sender, declared, now)?;
        let mut memory = self.memory.reservation(sender);
        memory.grow_to(declared)?;
        let sent = self.collect(body, declared, &mut memory).await?;
        let (bytes, memory) = match encoding {
            Encoding::Identity => (sent, memory),
            _ => self.unfold(sent, encoding, memory).await?,
        };
        if let Some(rate) = &self.bytes {
            // What the length did not tell counts now: the next request waits for it.
            rate.charge(&sender, bytes.len().saturating_sub(declared) as u64, now);
        }
        Ok(AdmittedBody { bytes, sender: Some(sender), memory: Some(memory) })
    }

    fn check_rates(&self, sender: &Sender, declared: usize, now: DateTime<Utc>) -> Result<()> {
        if let Some(rate) = &self.events {
            // How many they are is not known yet; who owes is not read at all.
            rate.take(sender, 0, now)?;
        }
        self.bytes.as_ref().map_or(Ok(()), |rate| rate.take(sender, declared as u64, now))
    }

    /// Counts the events of a body that was let in.
    pub(super) fn take_events(
        &self,
        sender: Option<&Sender>,
        events: usize,
        now: DateTime<Utc>,
    ) -> Result<()> {
        match (&self.events, sender) {
            (Some(rate), Some(sender)) => rate.take(sender, events as u64, now),
            _ => Ok(()),
        }
    }

    /// The bytes as they were sent. Memory is reserved while they come in, so
    /// a body of unknown length takes what it has and not what it may have.
    async fn collect(
        &self,
        body: Body,
        declared: usize,
        memory: &mut Reservation,
    ) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(declared);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.context(
                ErrorKind::Invalid,
                "the body broke off; nothing of it was stored: send it again",
            )?;
            let length = bytes.len() + chunk.len();
            if length > self.body_bytes_max {
                return Err(self.too_long());
            }
            memory.grow_in_steps(length)?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }

    /// Undoes the compression on a thread for blocking work.
    async fn unfold(
        &self,
        sent: Bytes,
        encoding: Encoding,
        mut memory: Reservation,
    ) -> Result<(Bytes, Reservation)> {
        let limit = self.body_bytes_max;
        tokio::task::spawn_blocking(move || {
            let sent_bytes = sent.len();
            let room = |bytes: usize| memory.grow_in_steps(sent_bytes + bytes);
            let plain = decompress(sent, encoding, limit, room)?;
            Ok((plain, memory))
        })
        .await
        .internal("decompressing a body")?
    }

    fn too_long(&self) -> Error {
        let limit = self.body_bytes_max;
        let message =
            format!("the body is larger than {limit} bytes (body_bytes_max); send less at once");
        Error::new(ErrorKind::LimitExceeded, message)
    }
}
