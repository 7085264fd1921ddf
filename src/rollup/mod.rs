//! Daily aggregates: an exact, rebuildable function of usage events.
//! Reads neither hot buffer nor write-ahead log.

mod cube;
mod request;

pub use cube::{Cube, CubeSnapshot, Segment};
pub use request::{DateBucket, Dimension, UsageFilter, UsageRequest, usage_schema};
