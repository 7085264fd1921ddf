//! From received to committed: the one orchestrator of write-ahead log, hot
//! buffer, lake and rollup.
//!
//! One thread acknowledges (`writer`): it judges duplicates, appends a group
//! of requests as one frame, syncs, and publishes. One task commits
//! (`flusher`): it takes what is hot, commits it to the lake, truncates the
//! log, and brings the rollup up to the lake's version. Both publish through
//! `state`, where every reader takes its [`View`].

mod background;
mod corrections;
mod crash;
mod fair_queue;
mod flusher;
mod group;
mod hot_shares;
mod maintenance;
mod old_events;
mod plan;
mod provider_costs;
mod queue;
mod record;
mod recover;
mod report;
mod retention;
mod rollup_refresh;
mod state;
mod store;
mod view;
mod writer;

pub use corrections::{Corrections, RewriteReport, RewriteRows, StoredTable};
pub(crate) use crash::crash_point;
pub use fair_queue::{QueueStats, may_hold};
pub use maintenance::CompactReport;
pub use plan::FlushLimits;
pub use provider_costs::{ProviderReport, ReplacedReport};
pub use recover::{DirectoryLock, Opening};
pub use report::{IngestReport, LineResult, LineStatus};
pub use retention::{ExpiredDays, Retention};
pub use store::{Store, StoreStats};
pub use view::View;
