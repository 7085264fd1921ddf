//! The memory of SQL: operators that can spill share one half of it evenly;
//! the other half is kept for those that cannot, such as joins, and the merge
//! that a sort needs before it can spill. With DataFusion's own fair pool,
//! sorts fill everything and then fail in that merge instead of spilling.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// One part in this many of what is left is kept for operators that cannot spill.
const KEPT_PART: usize = 2;

/// A pool of a fixed number of bytes for every statement together.
#[derive(Debug)]
pub(super) struct QueryMemory {
    bytes_max: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    spillers: usize,
    spillable_bytes: usize,
    fixed_bytes: usize,
}

impl Used {
    fn bytes(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        if consumer.can_spill() { &mut self.spillable_bytes } else { &mut self.fixed_bytes }
    }

    /// How many bytes more `consumer` may have when it already has `size`.
    fn available(&self, bytes_max: usize, consumer: &MemoryConsumer, size: usize) -> usize {
        let unfixed = bytes_max.saturating_sub(self.fixed_bytes);
        if !consumer.can_spill() {
            return unfixed.saturating_sub(self.spillable_bytes);
        }
        let shared = unfixed - unfixed / KEPT_PART;
        (shared / self.spillers.max(1)).saturating_sub(size)
    }
}

impl QueryMemory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: Mutex::default() }
    }

    /// The counters are whole numbers changed in one step each, so they hold
    /// even if another thread panicked while it had them.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.bytes_max)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query memory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.used().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut used = self.used();
        used.spillers = used.spillers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.used().bytes(reservation.consumer()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut used = self.used();
        let bytes = used.bytes(reservation.consumer());
        *bytes = bytes.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        let mut used = self.used();
        let available = used.available(self.bytes_max, consumer, reservation.size());
        if additional > available {
            let name = consumer.name();
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{name} needs {additional} bytes more, {available} of {self} are left for it"
            )));
        }
        *used.bytes(consumer) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let used = self.used();
        used.spillable_bytes + used.fixed_bytes
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn spillers_share_evenly_and_leave_a_part_to_the_others() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(400));
        let spiller = |name| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (first, second) = (spiller("first"), spiller("second"));
        assert!(first.try_grow(101).is_err());
        first.try_grow(100).expect("half of the half");
        second.try_grow(100).expect("the other half");
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(200).expect("the part that is kept");
        let error = merge.try_grow(1).expect_err("nothing is left");
        assert!(error.to_string().contains("merge"), "{error}");
        assert_eq!(pool.reserved(), 400);
        drop((first, second, merge));
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn what_cannot_spill_takes_from_the_spillers_share() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(400));
        let join = MemoryConsumer::new("join").register(&pool);
        join.try_grow(300).expect("within the pool");
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        assert!(sort.try_grow(51).is_err());
        sort.try_grow(50).expect("half of the rest");
    }
}
