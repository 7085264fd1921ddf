//! Seeded draws. The floats here shape token counts and times, never money.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};
use uuid::{Builder, Uuid};

/// A generator of its own for each `place` of the sample, so that one place
/// can be generated without the others.
pub(super) fn generator(seed: u64, place: [u64; 3]) -> StdRng {
    let mut bytes = [0; 32];
    for (slot, part) in bytes.chunks_exact_mut(8).zip([seed].into_iter().chain(place)) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    StdRng::from_seed(bytes)
}

/// A UUID without a time in it: organizations, users, keys.
pub(super) fn uuid(random: &mut StdRng) -> Uuid {
    Builder::from_random_bytes(random.random()).into_uuid()
}

/// A UUID that starts with `micros` since 1970: conversations, events.
pub(super) fn uuid_at(micros: i64, random: &mut StdRng) -> Uuid {
    let millis = u64::try_from(micros / 1000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random.random()).into_uuid()
}

/// Draws an index in proportion to weights.
#[derive(Debug)]
pub(super) struct Weighted {
    cumulative: Vec<f64>,
}

impl Weighted {
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let cumulative = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    /// A few heavy users and a long tail: rank `r` weighs (r + 3)^-exponent.
    pub(super) fn heavy_tailed(count: usize, exponent: f64) -> Self {
        Self::new((0..count).map(|rank| heavy_tail(rank, exponent)))
    }

    pub(super) fn draw(&self, random: &mut StdRng) -> usize {
        let at = random.random::<f64>() * self.cumulative.last().copied().unwrap_or(0.0);
        let index = self.cumulative.partition_point(|sum| *sum <= at);
        index.min(self.cumulative.len().saturating_sub(1))
    }

    /// `total` split in proportion to the weights; the parts sum to `total`.
    pub(super) fn split(&self, total: u64) -> Vec<u64> {
        let whole = self.cumulative.last().copied().unwrap_or(0.0);
        let mut given = 0;
        let last = self.cumulative.len().saturating_sub(1);
        let parts = self.cumulative.iter().enumerate().map(|(index, sum)| {
            let up_to = if index == last { total } else { share(total, sum / whole) };
            let part = up_to.max(given) - given;
            given += part;
            part
        });
        parts.collect()
    }
}

/// The weight of the `rank`-th of a heavy-tailed group, from 0.
pub(super) fn heavy_tail(rank: usize, exponent: f64) -> f64 {
    (rank as f64 + 3.0).powf(-exponent)
}

fn share(total: u64, fraction: f64) -> u64 {
    ((total as f64 * fraction).round() as u64).min(total)
}

/// A count around `median`, skewed to the right, within `1..=max`.
pub(super) fn skewed(random: &mut StdRng, median: f64, sigma: f64, max: i64) -> i64 {
    match LogNormal::new(median.ln(), sigma) {
        Ok(shape) => (shape.sample(random) as i64).clamp(1, max),
        Err(_) => 1,
    }
}

/// One with this chance.
pub(super) fn chance(random: &mut StdRng, percent: f64) -> bool {
    random.random::<f64>() * 100.0 < percent
}
