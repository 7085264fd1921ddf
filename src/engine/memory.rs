//! The memory of SQL. One half is for operators that can spill: half of that is
//! divided evenly among them, so that each can work, and the rest goes to who
//! comes first, since most need little. The other half is kept for operators
//! that cannot spill, such as joins, and the merge that a sort needs before it
//! can spill. With DataFusion's own fair pool, sorts fill everything and then
//! fail in that merge instead of spilling, and what is idle keeps its share
//! (decision 0035).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use sysinfo::System;

use crate::config::Config;

/// One part in this many of what is left is kept for operators that cannot spill.
const KEPT_PART: usize = 2;

/// The setting of the memory of all statements together.
pub(super) const WHOLE_SETTING: &str = "query_memory_bytes_max";
/// The setting of the memory of one principal's statements together.
pub(super) const SHARE_SETTING: &str = "query_memory_per_principal_bytes_max";

/// The part of the machine's memory that SQL has where no setting says more.
const MACHINE_PART: usize = 4;

/// What it has on the smallest machine: one caller's sorts could not merge what
/// they spilled in less than half of it.
const WHOLE_BYTES_MIN: usize = 512 << 20;

/// How much memory SQL may use, bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryBounds {
    /// All statements together.
    pub(super) whole: usize,
    /// Those of one principal.
    pub(super) of_one: usize,
}

impl From<&Config> for MemoryBounds {
    fn from(config: &Config) -> Self {
        let whole = match config.query_memory_bytes_max {
            0 => (machine_bytes() / MACHINE_PART).max(WHOLE_BYTES_MIN),
            bytes => bytes,
        };
        let of_one = match config.query_memory_per_principal_bytes_max {
            0 => whole / 2,
            bytes => bytes,
        };
        Self { whole, of_one }
    }
}

/// The memory of the machine, or of the container that this runs in.
fn machine_bytes() -> usize {
    let mut system = System::new();
    system.refresh_memory();
    let container = system.cgroup_limits().map(|limits| limits.total_memory);
    let bytes = container.map_or(system.total_memory(), |most| most.min(system.total_memory()));
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A pool of a fixed number of bytes for several statements together.
#[derive(Debug)]
pub(super) struct QueryMemory {
    bytes_max: usize,
    /// Named to who finds the pool empty.
    setting: &'static str,
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
        let divided = shared / 2;
        let own = divided / self.spillers.max(1);
        // Beside what everybody else has, and what is taken of the own part.
        let first_come = (shared - divided + own).saturating_sub(self.spillable_bytes);
        let own_left = own.saturating_sub(size);
        own_left.max(first_come)
    }
}

impl QueryMemory {
    pub(super) fn new(bytes_max: usize, setting: &'static str) -> Self {
        Self { bytes_max, setting, used: Mutex::default() }
    }

    /// The counters are whole numbers changed in one step each, so they hold
    /// even if another thread panicked while it had them.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes ({})", self.bytes_max, self.setting)
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

/// The memory of one principal's statements: a pool of its own within the pool
/// of all, so that it takes from both and reaches either bound.
#[derive(Debug)]
pub(super) struct PrincipalMemory {
    own: QueryMemory,
    whole: Arc<QueryMemory>,
}

impl PrincipalMemory {
    pub(super) fn new(bytes_max: usize, whole: &Arc<QueryMemory>) -> Self {
        Self { own: QueryMemory::new(bytes_max, SHARE_SETTING), whole: Arc::clone(whole) }
    }
}

impl fmt::Display for PrincipalMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.own, self.whole)
    }
}

impl MemoryPool for PrincipalMemory {
    fn name(&self) -> &str {
        "query memory of one principal"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.whole.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.whole.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.whole.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.whole.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        let taken = self.whole.try_grow(reservation, additional);
        if taken.is_err() {
            self.own.shrink(reservation, additional);
        }
        taken
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.own.bytes_max.min(self.whole.bytes_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_reaches_its_share_while_others_still_have_theirs() {
        let whole = Arc::new(QueryMemory::new(400, WHOLE_SETTING));
        let share = || -> Arc<dyn MemoryPool> { Arc::new(PrincipalMemory::new(300, &whole)) };
        let (mine, theirs) = (share(), share());
        let first = MemoryConsumer::new("first").register(&mine);
        first.try_grow(300).expect("the share");
        let error = first.try_grow(1).expect_err("beyond the share").to_string();
        assert!(error.contains(SHARE_SETTING) && !error.contains(WHOLE_SETTING), "{error}");
        let second = MemoryConsumer::new("second").register(&theirs);
        second.try_grow(100).expect("what the whole has left");
        let error = second.try_grow(1).expect_err("beyond the whole").to_string();
        assert!(error.contains(WHOLE_SETTING) && !error.contains(SHARE_SETTING), "{error}");
        assert_eq!((mine.reserved(), theirs.reserved()), (300, 100));
        drop(first);
        second.try_grow(200).expect("what the other gave back");
        drop(second);
        assert_eq!((whole.reserved(), theirs.reserved()), (0, 0));
    }

    #[test]
    fn nothing_set_means_parts_of_the_machine() {
        let machine = MemoryBounds::from(&Config::default());
        assert!(machine.whole >= WHOLE_BYTES_MIN);
        assert_eq!(machine.of_one, machine.whole / 2);
        let set = Config { query_memory_bytes_max: 400, ..Config::default() };
        let set = MemoryBounds::from(&set);
        assert_eq!((set.whole, set.of_one), (400, 200));
    }

    #[test]
    fn spillers_have_a_part_each_and_leave_one_to_those_that_cannot_spill() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(400, WHOLE_SETTING));
        let spiller = |name| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (first, second) = (spiller("first"), spiller("second"));
        assert!(first.try_grow(151).is_err());
        first.try_grow(150).expect("its part, and what comes first");
        assert!(second.try_grow(51).is_err());
        second.try_grow(50).expect("its part");
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
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(400, WHOLE_SETTING));
        let join = MemoryConsumer::new("join").register(&pool);
        join.try_grow(300).expect("within the pool");
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        assert!(sort.try_grow(51).is_err());
        sort.try_grow(50).expect("half of the rest");
    }
}
