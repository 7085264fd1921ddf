//! The sample that benches measure with, the same in every run.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use spendlake::cli::demo::{DemoOptions, demo_directory, demo_events};
use spendlake::config::Config;
use spendlake::ingest::{Intake, IntakeLimits, Payload};
use spendlake::model::events_to_batch;
use spendlake::pricing::PriceBook;

/// Events of the whole sample, of which benches take the first.
pub(crate) const SAMPLE_EVENTS: u64 = 10_000_000;

/// When the benches take place.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

/// A sample of so many events.
pub(crate) fn options(events: u64) -> DemoOptions {
    DemoOptions { events, seed: 1, end_date: noon().date_naive() }
}

/// Each chunk of the sample as a batch of events.
pub(crate) fn batches(options: &DemoOptions) -> impl Iterator<Item = RecordBatch> {
    let directory = demo_directory(options).expect("a directory");
    let limits = IntakeLimits::from(&Config::default());
    let prices = Arc::clone(PriceBook::shipped());
    let intake = Intake::new(directory.into(), prices, limits);
    demo_events(options).map(move |chunk| {
        let prepared = intake.prepare(Payload::native(&chunk.body), noon()).expect("a body");
        events_to_batch(&prepared.events).expect("a batch")
    })
}

/// So many events of a large sample, in batches of some thousand.
pub(crate) fn events(count: usize) -> Vec<RecordBatch> {
    let mut missing = count;
    let mut taken = Vec::new();
    for batch in batches(&options(SAMPLE_EVENTS)) {
        let rows = batch.num_rows().min(missing);
        taken.push(batch.slice(0, rows));
        missing -= rows;
        if missing == 0 {
            break;
        }
    }
    taken
}
