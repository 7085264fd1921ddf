//! Whose rows are hot: so that who fills the hot buffer faster than it can be
//! flushed is refused before everybody is. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::fair_queue::may_hold;

/// Rows of one tenant in one frame.
#[derive(Debug)]
struct Share {
    sequence: u64,
    tenant: Arc<str>,
    rows: usize,
}

/// Hot rows by tenant. Rows that a start replayed are nobody's.
#[derive(Debug, Default)]
pub(super) struct HotShares {
    by_tenant: HashMap<Arc<str>, usize>,
    /// In the order of the log.
    frames: VecDeque<Share>,
}

impl HotShares {
    /// Frame `sequence` brought `rows` of `tenant`.
    pub(super) fn add(&mut self, sequence: u64, tenant: &str, rows: usize) {
        if rows == 0 {
            return;
        }
        let known = self.by_tenant.get_key_value(tenant).map(|(known, _)| Arc::clone(known));
        let tenant = known.unwrap_or_else(|| tenant.into());
        *self.by_tenant.entry(Arc::clone(&tenant)).or_default() += rows;
        match self.frames.back_mut() {
            Some(last) if last.sequence == sequence && last.tenant == tenant => last.rows += rows,
            _ => self.frames.push_back(Share { sequence, tenant, rows }),
        }
    }

    /// The lake holds every frame up to `sequence`.
    pub(super) fn flushed(&mut self, sequence: u64) {
        while let Some(share) = self.frames.pop_front_if(|share| share.sequence <= sequence) {
            if let Some(rows) = self.by_tenant.get_mut(&share.tenant) {
                *rows -= share.rows;
                if *rows == 0 {
                    self.by_tenant.remove(&share.tenant);
                }
            }
        }
    }

    /// Rows of `tenant`.
    pub(super) fn rows_of(&self, tenant: &str) -> usize {
        self.by_tenant.get(tenant).copied().unwrap_or(0)
    }
}

/// Whether a tenant with `held` of `hot` rows must wait before it brings
/// `more`. Up to what starts a flush (`flush_rows_max`) nobody must: else
/// nothing would be flushed, and the wait would not end.
pub(super) fn over_share(
    held: usize,
    more: usize,
    hot: usize,
    hot_rows_max: usize,
    flush_rows_max: usize,
) -> bool {
    held > flush_rows_max && !may_hold(held, more, hot, hot_rows_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_for_their_tenant_until_they_are_flushed() {
        let mut shares = HotShares::default();
        for (sequence, tenant, rows) in [(1, "a", 10), (1, "a", 5), (1, "b", 1), (2, "a", 7)] {
            shares.add(sequence, tenant, rows);
        }
        assert_eq!((shares.rows_of("a"), shares.rows_of("b"), shares.rows_of("c")), (22, 1, 0));
        shares.flushed(1);
        assert_eq!((shares.rows_of("a"), shares.rows_of("b")), (7, 0));
        shares.flushed(2);
        assert!(shares.by_tenant.is_empty() && shares.frames.is_empty());
    }

    #[test]
    fn one_tenant_gets_half_of_the_hot_buffer_and_never_less_than_a_flush() {
        assert!(!over_share(400, 100, 400, 1_000, 100));
        assert!(over_share(400, 101, 400, 1_000, 100));
        assert!(!over_share(0, 100, 800, 1_000, 100), "a newcomer");
        assert!(!over_share(400, 200, 400, 1_000, 400), "what starts a flush");
    }
}
