//! The threads that run SQL of users: planning, reading, computing and turning
//! rows into bytes happen here and not among the dashboards. The system serves
//! them last (decision 0023).

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Context, ErrorKind, Result};

/// Name of each thread, as `top -H` shows it.
const THREAD_NAME: &str = "spendlake-sql";

/// Room for the deepest expression that is taken ([`super::deep`]); what is not
/// used costs nothing.
const STACK_BYTES: usize = 64 << 20;

/// A runtime of its own. Dropping it lets go of what still runs.
#[derive(Debug)]
pub(super) struct Workers {
    /// Always there, but for the end of `drop`.
    runtime: Option<Runtime>,
    threads: usize,
}

impl Workers {
    /// Starts `threads` threads; 0 means one a core.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores } else { threads };
        // Sockets stay on the main runtime. What is not read in place is read on
        // threads that this one adds, which come to the same priority.
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(THREAD_NAME)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(lower_priority)
            .enable_time()
            .build()
            .context(ErrorKind::Unavailable, "starting the threads of SQL")?;
        Ok(Self { runtime: Some(runtime), threads })
    }

    /// How many statements' parts can be computed at once.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` here. Dropping the handle stops it.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(match &self.runtime {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed where futures are polled.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where a thread stands among the others when all want to run: the share of
/// one at nice 15 is about a thirtieth of one at nice 0, and one at nice 0
/// that wakes up goes first. Not the very last (nice 19, or SCHED_IDLE): under
/// steady ingest, statements would then never end.
#[cfg(target_os = "linux")]
fn lower_priority() {
    use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

    /// Of 0 (nice 19) to 99 (nice -20).
    const NICE_15: u8 = 10;
    let lowered = ThreadPriorityValue::try_from(NICE_15).is_ok_and(|value| {
        set_current_thread_priority(ThreadPriority::Crossplatform(value)).is_ok()
    });
    if !lowered {
        tracing::warn!("a thread of SQL could not be set to a low priority; dashboards may wait");
    }
}

/// Elsewhere a priority is the process's, not a thread's.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn sql_threads_are_nice_and_others_are_not() {
        fn niceness() -> String {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("this thread");
            let after_name = stat.rsplit(')').next().expect("fields").to_owned();
            after_name.split_whitespace().nth(16).expect("the nice field").to_owned()
        }
        let own = niceness();
        let workers = Workers::new(1).expect("workers");
        assert_eq!(workers.spawn(async { niceness() }).await.expect("no panic"), "15");
        let reading = workers.spawn(async { tokio::task::spawn_blocking(niceness).await });
        assert_eq!(reading.await.expect("no panic").expect("no panic"), "15");
        assert_eq!(niceness(), own);
    }
}
