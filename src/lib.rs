//! Spendlake: a self-hosted usage and cost analytics engine for AI spending.
//!
//! The modules stand in the order in which an event flows through them; a
//! module uses only modules above it (`tests/` holds the check).

pub mod clock;
pub mod error;

pub mod model;

pub mod config;

pub mod pricing;

pub mod directory;

pub mod access;

pub mod ingest;

pub mod wal;

pub mod dedup;

pub mod hot;

pub mod lake;

pub mod rollup;

pub mod flush;

pub mod engine;

pub mod query;

pub mod export;

pub mod corrections;

pub mod prices;

pub mod api;

pub mod flight;

pub mod app;

pub mod cli;
