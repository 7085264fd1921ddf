//! The memory of event keys: exact, and bounded in memory.
//!
//! A key is a 128-bit hash of (organization, source, event id); with it goes
//! a 64-bit fingerprint of the payload, so a resent event can be told from
//! another event under the same id. What was recorded in the last
//! `window_days` is always found; older keys may be found a little longer.
//!
//! Fresh keys are in a hash map. A flush freezes the map and writes it as a
//! sorted, immutable run file, of which a Bloom filter and the first key of
//! each block stay in memory: about 11 bits a key. Runs are merged, so that a
//! lookup asks about 20 of them.
//!
//! Only [`Dedup::find`], `insert`, `freeze`, `install` and the like need the
//! memory itself; the slow work ([`write_run`], [`merge_runs`]) runs without
//! it. A crash between writing a run and installing it leaves an unlisted
//! file, removed at the next open: its keys are still in the write-ahead log,
//! which is truncated only after the installation.
//!
//! # Bytes on disk
//!
//! `MANIFEST` lists the runs: one line of JSON and a line with its CRC-32 in
//! eight hexadecimal digits. It is replaced as a whole. Runs are named by a
//! number, 12 digits and `.run`. Numbers are little-endian.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | header, 64 bytes | 8 | `SLAKEKEY` |
//! | | 4 | format version, 1 |
//! | | 4 | entries a block, 170 |
//! | | 8 | number of entries |
//! | | 4 + 4 | first and last recorded day, days since 1970-01-01 |
//! | | 8 | number of filter blocks |
//! | | 4 | CRC-32 of the footer |
//! | | 16 | zero |
//! | | 4 | CRC-32 of the 60 bytes before |
//! | entries | 24 each | key (16), fingerprint (8); ascending keys, none twice |
//! | footer | 20 a block | first key (16) and CRC-32 (4) of each block of entries |
//! | | 64 each | filter blocks: eight 64-bit words |
//!
//! A key with the halves `high` and `low` belongs to filter block
//! `low * blocks / 2^64` and sets six of its bits: the 9-bit digits of `high`,
//! lowest first.

mod bloom;
mod files;
mod keys;
mod manifest;
mod memory;
mod merge;
mod plan;
mod run;
mod run_writer;

#[cfg(test)]
mod tests;

pub use keys::FrozenKeys;
pub use memory::{Dedup, write_run};
pub use merge::{MergePlan, merge_runs};
pub use run::Run;
