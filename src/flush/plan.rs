//! The decisions of the flush, without input or output.

use crate::config::Config;

/// When hot rows are committed, and when ingest must wait.
#[derive(Debug, Clone)]
pub struct FlushLimits {
    /// Age of the oldest hot row that starts a flush, microseconds.
    pub age_micros_max: i64,
    /// Hot rows that start a flush.
    pub rows_max: usize,
    /// Hot bytes that start a flush.
    pub bytes_max: usize,
    /// Hot rows at which ingest answers `Busy`.
    pub hot_rows_max: usize,
}

impl From<&Config> for FlushLimits {
    fn from(config: &Config) -> Self {
        Self {
            age_micros_max: i64::from(config.flush_interval_seconds) * 1_000_000,
            rows_max: config.flush_rows_max,
            bytes_max: config.flush_bytes_max,
            hot_rows_max: config.hot_rows_max,
        }
    }
}

/// What is hot now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HotStats {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// When the oldest hot row was acknowledged.
    pub(super) oldest_micros: Option<i64>,
}

/// Whether to flush now.
pub(super) fn flush_due(hot: HotStats, now_micros: i64, limits: &FlushLimits) -> bool {
    let old = hot.oldest_micros.is_some_and(|oldest| now_micros - oldest >= limits.age_micros_max);
    hot.rows > 0 && (old || hot.rows >= limits.rows_max || hot.bytes >= limits.bytes_max)
}

/// Small neighbours are joined up to this many rows.
const JOINED_ROWS_MAX: usize = 16_384;

/// How many of the newest pieces to join into one, given their rows from old
/// to new: while the second newest is no more than twice the newest. So n
/// single rows become about log n pieces, each row copied about log n times.
pub(super) fn pieces_to_join(rows: &[usize]) -> usize {
    let mut joined = 0;
    let mut count = 0;
    for rows in rows.iter().rev() {
        if count > 0 && (*rows > 2 * joined || joined + rows > JOINED_ROWS_MAX) {
            break;
        }
        joined += rows;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> FlushLimits {
        FlushLimits { age_micros_max: 60, rows_max: 100, bytes_max: 1000, hot_rows_max: 1 }
    }

    #[test]
    fn age_rows_and_bytes_each_start_a_flush() {
        let hot = HotStats { rows: 1, bytes: 1, oldest_micros: Some(0) };
        assert!(!flush_due(hot, 59, &limits()));
        assert!(flush_due(hot, 60, &limits()));
        assert!(flush_due(HotStats { rows: 100, ..hot }, 0, &limits()));
        assert!(flush_due(HotStats { bytes: 1000, ..hot }, 0, &limits()));
        assert!(!flush_due(HotStats::default(), 1_000_000, &limits()));
    }

    #[test]
    fn single_rows_join_into_few_pieces() {
        let mut pieces: Vec<usize> = Vec::new();
        let mut copied = 0;
        for single_row in std::iter::repeat_n(1, 100_000) {
            pieces.push(single_row);
            let count = pieces_to_join(&pieces);
            if count > 1 {
                let joined: usize = pieces.split_off(pieces.len() - count).iter().sum();
                copied += joined;
                pieces.push(joined);
            }
        }
        assert!(pieces.len() < 40, "{} pieces", pieces.len());
        assert!(copied < 100_000 * 20, "{copied} rows copied");
    }

    #[test]
    fn large_pieces_stay_apart() {
        assert_eq!(pieces_to_join(&[10_000, 10_000]), 1);
        assert_eq!(pieces_to_join(&[]), 0);
    }
}
