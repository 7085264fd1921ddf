//! From acknowledged to committed: the one orchestrator of log, hot buffer,
//! lake and rollup.

mod view;

pub use view::View;
