//! The one consistent state that a query reads, taken once.

use std::sync::Arc;

use crate::hot::HotSnapshot;
use crate::lake::{LakeFile, TableSnapshot};
use crate::rollup::CubeSnapshot;

/// Everything acknowledged, each row in exactly one place.
///
/// Events are `events.files` ∪ `hot`. Daily aggregates are `daily.files`
/// ∪ the aggregate of (`uncovered_files` ∪ `hot`); when `cube` is present it
/// holds exactly the same sums in memory.
#[derive(Debug, Clone)]
pub struct View {
    /// `usage_events` at one version.
    pub events: Arc<TableSnapshot>,
    /// `rejected_events` at one version.
    pub rejected: Arc<TableSnapshot>,
    /// `usage_daily` at one version.
    pub daily: Arc<TableSnapshot>,
    /// `provider_costs` at one version.
    pub provider_costs: Arc<TableSnapshot>,
    /// The files of `events` that `daily` does not cover yet.
    pub uncovered_files: Vec<LakeFile>,
    /// Acknowledged rows that the lake does not hold yet.
    pub hot: HotSnapshot,
    /// The daily aggregates in memory; absent when they exceed the cache limit.
    pub cube: Option<CubeSnapshot>,
    /// The last WAL sequence number that is visible: grows with every
    /// acknowledged request, so it names this state in an `ETag`.
    pub sequence: u64,
    /// When the last visible frame was acknowledged, microseconds since 1970.
    pub as_of_micros: i64,
}
