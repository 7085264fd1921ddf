//! The acknowledged rows that the lake does not hold yet, as immutable Arrow
//! batches in the order of their WAL sequence numbers.
//!
//! A snapshot is a list of shared batches: taking one copies pointers, and a
//! flush in between changes nothing in it.

use std::sync::Arc;

use arrow::array::RecordBatch;

/// What one WAL frame brought.
#[derive(Debug, Clone)]
pub struct HotBatch {
    /// The WAL sequence number of the frame.
    pub sequence: u64,
    /// Its rows of `usage_events`; may be empty.
    pub events: RecordBatch,
    /// Its rows of `rejected_events`; may be empty.
    pub rejected: RecordBatch,
    /// Its rows of `sightings`; may be empty.
    pub sightings: RecordBatch,
    /// When its oldest row was acknowledged, in microseconds since 1970.
    pub recorded_at_micros: i64,
}

impl HotBatch {
    /// Memory held by the rows, in bytes.
    pub fn bytes(&self) -> usize {
        self.events.get_array_memory_size()
            + self.rejected.get_array_memory_size()
            + self.sightings.get_array_memory_size()
    }

    /// Rows of all tables.
    pub fn rows(&self) -> usize {
        self.events.num_rows() + self.rejected.num_rows() + self.sightings.num_rows()
    }
}

/// The hot rows as one query sees them.
#[derive(Debug, Clone, Default)]
pub struct HotSnapshot {
    batches: Vec<Arc<HotBatch>>,
}

impl HotSnapshot {
    /// A snapshot of `batches`, which stand by ascending sequence number.
    pub fn from_batches(batches: Vec<Arc<HotBatch>>) -> Self {
        Self { batches }
    }

    /// The batches, by ascending sequence number.
    pub fn batches(&self) -> &[Arc<HotBatch>] {
        &self.batches
    }

    /// This snapshot with one more batch at its end.
    #[must_use]
    pub fn with(&self, batch: Arc<HotBatch>) -> Self {
        let mut batches = Vec::with_capacity(self.batches.len() + 1);
        batches.extend_from_slice(&self.batches);
        batches.push(batch);
        Self { batches }
    }

    /// This snapshot without what the lake holds: every batch up to and
    /// including `sequence`.
    #[must_use]
    pub fn after(&self, sequence: u64) -> Self {
        let first = self.batches.partition_point(|batch| batch.sequence <= sequence);
        Self { batches: self.batches[first..].to_vec() }
    }

    /// Rows of all tables.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows()).sum()
    }

    /// Memory held by the rows, in bytes.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.bytes()).sum()
    }
}
