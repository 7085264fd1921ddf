//! What the provider published last, kept in memory: when to read it again is
//! a pure decision, and reading is done in one place, one at a time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::jwt::UnverifiedToken;
use super::keys::{KeyPrint, PublicKey};
use super::provider::{Provider, Published};
use crate::clock::Clock;
use crate::error::{Context as _, Error, Result};

/// A key that the provider has removed is refused after this at the latest,
/// while the provider answers.
const AGE_MAX: TimeDelta = TimeDelta::minutes(5);
/// Tokens with unknown keys make the provider be asked at most this often, and
/// so do old keys while it does not answer.
const INTERVAL_MIN: TimeDelta = TimeDelta::seconds(30);
/// The same, while nothing at all is known and everybody has to wait.
const INTERVAL_FIRST: TimeDelta = TimeDelta::seconds(5);
/// Keys that the provider has not confirmed for so long are not believed.
const STALE_MAX: TimeDelta = TimeDelta::hours(24);

/// The provider's addresses and keys, as fresh as they can be had.
#[derive(Debug)]
pub(super) struct KeyCache {
    provider: Provider,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Taken by whoever asks the provider: when that was last.
    turn: Arc<Mutex<Option<DateTime<Utc>>>>,
}

/// What was published, and when that was read.
#[derive(Debug)]
pub(super) struct Held {
    published: Published,
    read_at: DateTime<Utc>,
}

impl Held {
    pub(super) fn published(&self) -> &Published {
        &self.published
    }

    fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        now - self.read_at
    }
}

/// Whether the provider should be asked at `now`: `held_age` is the age of what
/// is known, `knows` whether that has what is looked for, `asked_at` the last
/// time that it was asked. A clock that was set back asks again.
fn due(
    held_age: Option<TimeDelta>,
    knows: bool,
    asked_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    let fresh = held_age.is_some_and(|age| (TimeDelta::zero()..=AGE_MAX).contains(&age));
    if fresh && knows {
        return false;
    }
    let interval = if held_age.is_some() { INTERVAL_MIN } else { INTERVAL_FIRST };
    asked_at.is_none_or(|asked| !(TimeDelta::zero()..interval).contains(&(now - asked)))
}

impl KeyCache {
    pub(super) fn new(provider: Provider, clock: Arc<dyn Clock>) -> Self {
        let turn = Arc::new(Mutex::new(None));
        Self { provider, clock, held: ArcSwapOption::empty(), turn }
    }

    /// Asks the provider.
    pub(super) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What the provider publishes. `Unavailable` where it has not answered
    /// for [`STALE_MAX`], or never.
    pub(super) async fn published(self: &Arc<Self>) -> Result<Arc<Held>> {
        self.where_known(|_| true).await
    }

    /// The key that a token names, asking the provider about one that is not
    /// known yet. None where there is no such key.
    pub(super) async fn key_for(
        self: &Arc<Self>,
        token: &UnverifiedToken<'_>,
    ) -> Result<Option<PublicKey>> {
        let knows = |published: &Published| published.keys.key_for(token).is_some();
        let held = self.where_known(knows).await?;
        Ok(held.published.keys.key_for(token).cloned())
    }

    /// Whether the provider still publishes the key of this print.
    pub(super) async fn holds(self: &Arc<Self>, print: &KeyPrint) -> Result<bool> {
        Ok(self.published().await?.published.keys.holds(print))
    }

    /// What is known, after asking the provider where that is due.
    async fn where_known(
        self: &Arc<Self>,
        knows: impl Fn(&Published) -> bool,
    ) -> Result<Arc<Held>> {
        let is_due = |held: &Option<Arc<Held>>, asked_at, now| {
            let age = held.as_ref().map(|held| held.age(now));
            let known = held.as_ref().is_some_and(|held| knows(&held.published));
            due(age, known, asked_at, now)
        };
        let (held, now) = (self.held.load_full(), self.clock.now());
        if !is_due(&held, None, now) {
            return usable(held, now);
        }
        let mut asked_at = Arc::clone(&self.turn).lock_owned().await;
        // Whoever had the turn before may have brought what is looked for: it
        // is newer than the time at which this began to wait.
        let (held, now) = (self.held.load_full(), self.clock.now());
        if is_due(&held, *asked_at, now) {
            *asked_at = Some(now);
            let cache = Arc::clone(self);
            // A caller who hangs up must not keep the answer from the others.
            let reading = tokio::spawn(async move {
                cache.read(now).await;
                drop(asked_at);
            });
            reading.await.internal("asking the identity provider")?;
        }
        usable(self.held.load_full(), now)
    }

    /// Keeps what the provider publishes now. Where it does not answer, what
    /// was known serves on.
    async fn read(&self, now: DateTime<Utc>) {
        match self.provider.read().await {
            Ok(published) => self.held.store(Some(Arc::new(Held { published, read_at: now }))),
            Err(error) => {
                metrics::counter!("spendlake_oidc_provider_failures_total").increment(1);
                tracing::warn!(error = error.full_message(), "the identity provider failed");
            }
        }
    }
}

fn usable(held: Option<Arc<Held>>, now: DateTime<Utc>) -> Result<Arc<Held>> {
    match held {
        Some(held) if held.age(now) <= STALE_MAX => Ok(held),
        Some(held) => Err(Error::unavailable(format!(
            "the identity provider has not answered since {}; its keys are not believed for longer \
             than {} hours",
            held.read_at,
            STALE_MAX.num_hours()
        ))),
        None => Err(Error::unavailable(
            "the identity provider has not answered yet, and the log says why; try again shortly",
        )),
    }
}

#[cfg(test)]
mod tests;
