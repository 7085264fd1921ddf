//! How often somebody may try to get in.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// Those whose attempts are remembered; who tried longest ago is forgotten.
const NAMES_MAX: u64 = 20_000;

/// A few attempts at once, and then one in each interval: the bucket that the
/// admission of events has, for rates far below one a second. It is kept as
/// the time at which the bucket would be full again.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Who tries, in words.
    whose: &'static str,
    at_once: i32,
    interval: TimeDelta,
    full_at: Cache<[u8; 32], Arc<Mutex<DateTime<Utc>>>>,
}

impl Attempts {
    pub(super) fn new(whose: &'static str, at_once: i32, interval: TimeDelta) -> Self {
        let full_at =
            Cache::builder().max_capacity(NAMES_MAX).eviction_policy(EvictionPolicy::lru());
        Self { whose, at_once, interval, full_at: full_at.build() }
    }

    /// Counts an attempt of `name`; `RateLimited` where there were too many.
    pub(super) fn take(&self, name: &str, now: DateTime<Utc>) -> Result<()> {
        let full_at = self.full_at(name, now);
        let mut full_at = full_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not lock anybody out.
        let latest = now + self.interval * self.at_once;
        *full_at = (*full_at).clamp(now, latest);
        let full_then = *full_at + self.interval;
        let wait = full_then - latest;
        if wait > TimeDelta::zero() {
            let seconds = (wait.num_milliseconds() + 999) / 1000;
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
            let whose = self.whose;
            let message = format!("too many attempts {whose}; try again after {seconds} s");
            return Err(Error::new(ErrorKind::RateLimited, message).retry_after(seconds));
        }
        *full_at = full_then;
        Ok(())
    }

    /// Takes an attempt back that was a good one.
    pub(super) fn give_back(&self, name: &str, now: DateTime<Utc>) {
        let full_at = self.full_at(name, now);
        let mut full_at = full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at -= self.interval;
    }

    fn full_at(&self, name: &str, now: DateTime<Utc>) -> Arc<Mutex<DateTime<Utc>>> {
        let key = Sha256::digest(name.as_bytes()).into();
        self.full_at.get_with(key, || Arc::new(Mutex::new(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn attempts() -> Attempts {
        Attempts::new("with this account", 3, TimeDelta::seconds(30))
    }

    #[test]
    fn a_few_attempts_go_through_and_then_one_an_interval() {
        let attempts = attempts();
        for _ in 0..3 {
            attempts.take("ada", at(0)).expect("within the first few");
        }
        let error = attempts.take("ada", at(0)).expect_err("one too many");
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after_seconds(), Some(30));
        assert_eq!(attempts.take("ada", at(29)).expect_err("early").retry_after_seconds(), Some(1));
        assert!(attempts.take("ada", at(30)).is_ok());
        assert!(attempts.take("ada", at(31)).is_err());
        assert!(attempts.take("bob", at(0)).is_ok(), "others are not concerned");
    }

    #[test]
    fn an_attempt_that_succeeds_does_not_count() {
        let attempts = attempts();
        for _ in 0..20 {
            attempts.take("ada", at(0)).expect("a good one");
            attempts.give_back("ada", at(0));
        }
    }

    #[test]
    fn a_refused_attempt_does_not_make_the_wait_longer() {
        let attempts = attempts();
        for _ in 0..100 {
            let _ = attempts.take("ada", at(0));
        }
        assert!(attempts.take("ada", at(30)).is_ok());
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let attempts = attempts();
        for _ in 0..3 {
            attempts.take("ada", at(1_000_000)).expect("within the first few");
        }
        assert!(attempts.take("ada", at(0)).is_err());
        assert!(attempts.take("ada", at(30)).is_ok());
    }
}
