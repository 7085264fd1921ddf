//! Daily aggregates: an exact, rebuildable function of usage events.
//! Reads neither hot buffer nor write-ahead log.
//!
//! `daily` sums events to daily rows. `cube` keeps such rows in memory:
//! `dictionary` gives texts codes, `segment` holds coded rows, `plan` turns a
//! request and whose rows it may read (`parts`) into codes, `scan` finds rows
//! and groups and adds up (`grouping`, `measures`, `distinct`, `latest`, over
//! the loops of `aggregate`), and `answer` gives the result its texts back.

mod aggregate;
mod answer;
mod cube;
mod daily;
mod dictionary;
mod distinct;
mod grouping;
mod hashing;
mod latest;
mod measures;
mod packed;
mod parts;
mod plan;
mod request;
mod scan;
mod segment;
mod sums;

pub use cube::{Cube, CubeSnapshot};
pub use daily::{daily_rows, empty_daily, has_reversals, merge_daily_rows, standing_daily_rows};
pub use request::{DateBucket, Dimension, UsageFilter, UsageRequest, usage_schema};
pub use segment::Segment;

#[cfg(test)]
pub(crate) mod tests;
