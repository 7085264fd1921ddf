//! The `spendlake` command.

use std::process::ExitCode;

/// Ingest and queries allocate many short-lived buffers on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    spendlake::cli::main()
}
