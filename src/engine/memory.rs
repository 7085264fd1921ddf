//! The memory of SQL. One half is for operators that can spill: half of that is
//! divided evenly among them, so that each can work, and the rest goes to who
//! comes first, since most need little. The other half is kept for operators
//! that cannot spill, such as joins, and the merge that a sort needs before it
//! can spill. With DataFusion's own fair pool, sorts fill everything and then
//! fail in that merge instead of spilling, and what is idle keeps its share
//! (decision 0035).

use std::collections::HashMap;
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
        Self::on(machine_bytes, config)
    }
}

impl MemoryBounds {
    /// On a machine of so many bytes, 0 where that is not known.
    fn on(machine_bytes: impl FnOnce() -> usize, config: &Config) -> Self {
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

/// The memory of the machine, or of the container that this runs in; 0 where the
/// system does not say.
fn machine_bytes() -> usize {
    let mut system = System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    // The library panics where that is 0.
    let container = (machine > 0).then(|| system.cgroup_limits()).flatten();
    let bytes = container.map_or(machine, |limits| limits.total_memory.min(machine));
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
    /// The bytes of each consumer that can spill, by its id.
    spillers: HashMap<usize, usize>,
    fixed_bytes: usize,
}

impl Used {
    fn bytes(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        match consumer.can_spill() {
            true => self.spillers.entry(consumer.id()).or_default(),
            false => &mut self.fixed_bytes,
        }
    }

    fn spillable_bytes(&self) -> usize {
        self.spillers.values().sum()
    }

    /// How many bytes more `consumer` may have.
    fn available(&self, bytes_max: usize, consumer: &MemoryConsumer) -> usize {
        let unfixed = bytes_max.saturating_sub(self.fixed_bytes);
        let left = unfixed.saturating_sub(self.spillable_bytes());
        if !consumer.can_spill() {
            return left;
        }
        let shared = unfixed - unfixed / KEPT_PART;
        let own = shared / 2 / self.spillers.len().max(1);
        let size = self.spillers.get(&consumer.id()).copied().unwrap_or_default();
        let others = self.spillers.iter().filter(|(id, _)| **id != consumer.id());
        let withheld: usize = others.map(|(_, bytes)| own.max(*bytes)).sum();
        let first_come = shared.saturating_sub(withheld + size);
        first_come.max(own.saturating_sub(size)).min(left)
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
        if consumer.can_spill() {
            self.used().spillers.insert(consumer.id(), 0);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.used().spillers.remove(&consumer.id());
        }
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
        let available = used.available(self.bytes_max, consumer);
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
        used.spillable_bytes() + used.fixed_bytes
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
        let defaults = Config::default();
        for (machine_bytes, whole) in
            [(8 << 30, 2 << 30), (1 << 30, WHOLE_BYTES_MIN), (0, WHOLE_BYTES_MIN)]
        {
            let bounds = MemoryBounds::on(|| machine_bytes, &defaults);
            assert_eq!((bounds.whole, bounds.of_one), (whole, whole / 2));
        }
        assert!(machine_bytes() > 64 << 20);
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
        // Whoever comes later: nothing is held back from all.
        first.shrink(150);
        assert!(first.try_grow(151).is_err());
        first.try_grow(150).expect("the same again");
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
