//! How much one sender may still send: a token bucket with the time handed in.

use chrono::{DateTime, Utc};

/// A bucket holds this many seconds' worth: who was quiet may send so much at
/// once.
pub(super) const BURST_SECONDS: u32 = 10;

const MICROS_PER_SECOND: i128 = 1_000_000;

/// The balance of one sender. A request is taken while it is positive, and may
/// make it negative; the next one then waits until it is paid off. So a
/// request larger than a whole bucket is not refused for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// In millionths of an event or byte.
    balance: i128,
    at: DateTime<Utc>,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(per_second: u64, now: DateTime<Utc>) -> Self {
        Self { balance: capacity(per_second), at: now }
    }

    /// Takes `amount` where the balance is positive; otherwise says after how
    /// many seconds it will be.
    pub(super) fn take(
        &mut self,
        amount: u64,
        per_second: u64,
        now: DateTime<Utc>,
    ) -> Result<(), u32> {
        self.refill(per_second, now);
        if self.balance > 0 {
            self.balance -= i128::from(amount) * MICROS_PER_SECOND;
            return Ok(());
        }
        let micros = -self.balance / i128::from(per_second.max(1)) + 1;
        let seconds = (micros + MICROS_PER_SECOND - 1) / MICROS_PER_SECOND;
        Err(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Takes `amount` whatever the balance: for what was only known later.
    pub(super) fn charge(&mut self, amount: u64, per_second: u64, now: DateTime<Utc>) {
        self.refill(per_second, now);
        self.balance -= i128::from(amount) * MICROS_PER_SECOND;
    }

    fn refill(&mut self, per_second: u64, now: DateTime<Utc>) {
        // A clock that was set back gives nothing, and is followed.
        let micros = (now - self.at).num_microseconds().unwrap_or(i64::MAX).max(0);
        self.at = now;
        let gained = i128::from(micros) * i128::from(per_second);
        self.balance = (self.balance + gained).min(capacity(per_second));
    }
}

fn capacity(per_second: u64) -> i128 {
    i128::from(per_second) * i128::from(BURST_SECONDS) * MICROS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn a_burst_goes_through_and_then_the_rate_holds() {
        let mut bucket = Bucket::full(5, at(0));
        for _ in 0..50 {
            bucket.take(1, 5, at(0)).expect("within the burst");
        }
        assert_eq!(bucket.take(1, 5, at(0)), Err(1));
        assert_eq!(bucket.take(1, 5, at(200)), Ok(()), "a fifth of a second is one more");
        assert_eq!(bucket.take(1, 5, at(200)), Err(1));
    }

    #[test]
    fn a_request_larger_than_the_bucket_is_taken_and_paid_off() {
        let mut bucket = Bucket::full(10, at(0));
        bucket.take(1_000, 10, at(0)).expect("the balance was positive");
        assert_eq!(bucket.take(1, 10, at(0)), Err(91), "900 events are 90 seconds, then one more");
        assert!(bucket.take(1, 10, at(90_000)).is_err());
        assert_eq!(bucket.take(1, 10, at(91_000)), Ok(()));
    }

    #[test]
    fn a_clock_set_back_gives_nothing_and_takes_nothing() {
        let mut bucket = Bucket::full(1, at(60_000));
        bucket.charge(10, 1, at(60_000));
        assert!(bucket.take(1, 1, at(0)).is_err());
        assert_eq!(bucket.take(1, 1, at(1_000)), Ok(()), "one second after the new time");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_taken_never_exceeds_burst_rate_and_one_request(
            per_second in 1..1_000_u64,
            steps in prop::collection::vec((0..3_000_i64, 0..5_000_u64), 1..100),
        ) {
            let mut bucket = Bucket::full(per_second, at(0));
            let (mut now, mut taken, mut largest) = (0, 0, 0);
            for (wait, amount) in steps {
                now += wait;
                match bucket.take(amount, per_second, at(now)) {
                    Ok(()) => {
                        taken += amount;
                        largest = amount.max(largest);
                        let most = per_second * u64::from(BURST_SECONDS)
                            + per_second * u64::try_from(now).expect("positive") / 1_000
                            + largest;
                        prop_assert!(taken <= most, "{taken} of {most}");
                    }
                    Err(seconds) => {
                        let mut later = bucket;
                        let then = now + i64::from(seconds) * 1_000;
                        prop_assert!(later.take(0, per_second, at(then)).is_ok());
                    }
                }
            }
        }
    }
}
