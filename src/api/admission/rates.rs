//! The rate that each sender may send at.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::bucket::{BURST_SECONDS, Bucket};
use super::sender::Sender;
use crate::error::{Error, ErrorKind, Result};

/// Senders whose balance is remembered; who was heard of longest ago is
/// forgotten, and so gets a full bucket.
const SENDERS_MAX: u64 = 10_000;

/// One setting of a rate, and the balance of each sender.
#[derive(Debug)]
pub(super) struct Rate {
    setting: &'static str,
    /// What is counted, in words.
    unit: &'static str,
    per_second: u64,
    buckets: Cache<Sender, Arc<Mutex<Bucket>>>,
}

impl Rate {
    /// None where the setting is 0: any number.
    pub(super) fn new(setting: &'static str, unit: &'static str, per_second: u64) -> Option<Self> {
        let buckets =
            Cache::builder().max_capacity(SENDERS_MAX).eviction_policy(EvictionPolicy::lru());
        (per_second > 0).then(|| Self { setting, unit, per_second, buckets: buckets.build() })
    }

    /// Takes `amount` off the sender's balance, unless that is used up.
    pub(super) fn take(&self, sender: &Sender, amount: u64, now: DateTime<Utc>) -> Result<()> {
        self.with_bucket(sender, now, |bucket| bucket.take(amount, self.per_second, now))
            .map_err(|seconds| self.refusal(sender, seconds))
    }

    /// Takes `amount` off the sender's balance, whatever that is.
    pub(super) fn charge(&self, sender: &Sender, amount: u64, now: DateTime<Utc>) {
        self.with_bucket(sender, now, |bucket| bucket.charge(amount, self.per_second, now));
    }

    fn with_bucket<T>(
        &self,
        sender: &Sender,
        now: DateTime<Utc>,
        act: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let new = || Arc::new(Mutex::new(Bucket::full(self.per_second, now)));
        let bucket = self.buckets.get_with(*sender, new);
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut bucket)
    }

    fn refusal(&self, sender: &Sender, seconds: u32) -> Error {
        metrics::counter!("spendlake_ingest_refused_total", "reason" => self.setting).increment(1);
        let Self { setting, unit, per_second, .. } = self;
        let whose = sender.in_words();
        let message = format!(
            "{whose} sent more than {per_second} {unit} a second ({setting}) beyond a burst of \
             {BURST_SECONDS} seconds' worth; nothing of this request was stored: send it again \
             after {seconds} s, and less often"
        );
        Error::new(ErrorKind::RateLimited, message).retry_after(seconds)
    }
}
