//! The in-memory rollup cache (to be written): placeholder signatures.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::request::UsageRequest;
use crate::error::Result;

/// The writer's side: owns the dictionaries.
#[derive(Debug, Default)]
pub struct Cube;

/// An immutable run of coded daily rows.
#[derive(Debug)]
pub struct Segment;

/// What one query reads.
#[derive(Debug, Clone, Default)]
pub struct CubeSnapshot;

impl Cube {
    /// Codes `usage_daily` rows into a segment.
    pub fn segment(&self, _daily: &RecordBatch) -> Result<Arc<Segment>> {
        Ok(Arc::new(Segment))
    }
}

impl CubeSnapshot {
    /// Answers `request` in the columns of [`super::usage_schema`].
    pub fn usage(&self, _request: &UsageRequest) -> Result<RecordBatch> {
        Err(crate::error::Error::internal("not written yet"))
    }
}
