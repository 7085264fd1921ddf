//! From received to committed: the one orchestrator of write-ahead log, hot
//! buffer, lake and rollup.
//!
//! One thread acknowledges (`writer`, `commit`): it judges duplicates and
//! sightings (`group`, `contest`), appends a group of requests as one frame,
//! syncs, and publishes. What it cannot judge by what is in memory is looked
//! up first (`compete`, `found`). One task commits
//! (`flusher`): it takes what is hot, commits it to the lake, truncates the
//! log, and brings the rollup up to the lake's version. Both publish through
//! `state`, where every reader takes its [`View`].

mod background;
mod booking;
mod commit;
mod compete;
mod contest;
mod corrections;
mod crash;
mod cube_state;
mod day_sums;
mod fair_queue;
mod flusher;
mod found;
mod group;
mod known;
mod hot_shares;
mod ipc;
mod maintenance;
mod old_events;
mod open_hot;
mod plan;
mod provider_costs;
mod queue;
mod record;
mod recover;
mod replay;
mod report;
mod requests;
mod retention;
mod rollup_refresh;
mod state;
mod store;
mod superseding;
mod view;
mod writer;

pub use booking::bookings;
pub use corrections::{Corrections, RewriteReport, RewriteRows, StoredTable};
pub(crate) use crash::crash_point;
pub(crate) use fair_queue::{FairQueue, Full, QueueBounds, TURN_ROWS};
pub use fair_queue::{QueueStats, may_hold};
pub use maintenance::CompactReport;
pub use plan::FlushLimits;
pub use provider_costs::{ProviderReport, ReplacedReport};
pub use recover::{DirectoryLock, Opening};
pub use report::{IngestReport, LineResult, LineStatus};
pub use retention::{ExpiredDays, Retention};
pub use store::{Store, StoreStats};
pub use view::View;
