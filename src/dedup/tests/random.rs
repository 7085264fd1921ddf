//! The memory against a list and a loop.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Events with these ids arrive; those not found are recorded.
    Arrive(Vec<u8>),
    Freeze,
    /// Writes and installs the oldest frozen keys.
    Install,
    Merge,
    NextDays(i32),
    /// A clean stop and start: everything is installed first.
    Reopen,
    /// A crash and start: what was not installed comes again from the log.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(any::<u8>(), 1..20).prop_map(Step::Arrive),
        4 => Just(Step::Freeze),
        4 => Just(Step::Install),
        2 => Just(Step::Merge),
        2 => (1..12_i32).prop_map(Step::NextDays),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// One accepted event, as the naive model keeps it.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    id: u8,
    fingerprint: u64,
    day: i32,
    is_installed: bool,
}

struct World {
    folder: TempDir,
    memory: Dedup,
    frozen: Vec<(std::sync::Arc<FrozenKeys>, i32)>,
    recorded: Vec<Recorded>,
    today: i32,
    /// Spreads the ids over the filter, or leaves them crowded in one block.
    is_hashed: bool,
}

impl World {
    fn key(&self, id: u8) -> u128 {
        if self.is_hashed { key(u64::from(id)) } else { u128::from(id) }
    }

    fn arrive(&mut self, id: u8) {
        let fingerprint = self.recorded.len() as u64;
        if self.memory.find(self.key(id)).unwrap().is_none() {
            self.memory.insert(self.key(id), fingerprint);
            let day = self.today;
            self.recorded.push(Recorded { id, fingerprint, day, is_installed: false });
        }
    }

    fn freeze(&mut self) {
        self.frozen.extend(self.memory.freeze().map(|frozen| (frozen, self.today)));
    }

    fn install(&mut self) {
        if self.frozen.is_empty() {
            return;
        }
        let (frozen, day) = self.frozen.remove(0);
        let run = write_run(self.folder.path(), &frozen, day).unwrap();
        self.memory.install(&frozen, run).unwrap();
        let keys = frozen.sorted();
        for recorded in &mut self.recorded {
            recorded.is_installed |= keys.iter().any(|entry| entry.1 == recorded.fingerprint);
        }
    }

    fn restart(&mut self) {
        self.frozen.clear();
        self.memory = reopen(self.folder.path(), self.today).unwrap();
        for recorded in self.recorded.clone() {
            if !recorded.is_installed {
                self.memory.insert(self.key(recorded.id), recorded.fingerprint);
            }
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Arrive(ids) => ids.iter().for_each(|&id| self.arrive(id)),
            Step::Freeze => self.freeze(),
            Step::Install => self.install(),
            Step::Merge => merge_all(&mut self.memory, self.folder.path()),
            Step::NextDays(days) => {
                self.today += days;
                self.memory.expire(self.today).unwrap();
            }
            Step::Reopen => {
                self.freeze();
                (0..self.frozen.len()).for_each(|_| self.install());
                self.restart();
            }
            Step::Crash => self.restart(),
        }
    }

    /// The last accepted copy of each id is found for the whole window, never
    /// with another fingerprint, and nothing else is found.
    fn check(&self) -> std::result::Result<(), TestCaseError> {
        let horizon = self.today - WINDOW_DAYS as i32;
        for id in 0..=255 {
            let found = self.memory.find(self.key(id)).unwrap();
            let last = self.recorded.iter().rfind(|recorded| recorded.id == id);
            match last {
                None => prop_assert_eq!(found, None),
                Some(last) if last.day >= horizon => {
                    prop_assert_eq!(found, Some(last.fingerprint));
                }
                Some(last) => prop_assert!(found.is_none_or(|print| print == last.fingerprint)),
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_memory_agrees_with_a_list(is_hashed in any::<bool>(), steps in vec(step(), 1..60)) {
        let (folder, memory) = empty();
        let (frozen, recorded) = (Vec::new(), Vec::new());
        let mut world = World { folder, memory, frozen, recorded, today: TODAY, is_hashed };
        for step in &steps {
            world.run(step);
            world.check()?;
        }
    }
}
