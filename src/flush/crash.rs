//! Places at which a test ends the process as `kill -9` would.

/// Ends the process at `point` when the test asked for it with
/// `SPENDLAKE_TEST_CRASH_AT=point` or `point:n` (the n-th pass). Release
/// builds hold nothing of this.
pub(crate) fn crash_point(point: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU32, Ordering};
        static PASSES: AtomicU32 = AtomicU32::new(0);
        let Ok(wanted) = std::env::var("SPENDLAKE_TEST_CRASH_AT") else { return };
        let (name, pass) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if name == point && pass.parse() == Ok(PASSES.fetch_add(1, Ordering::SeqCst) + 1) {
            // abort() skips every destructor, as a kill does.
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}
