//! How long the engine's steps take, one at a time.
//!
//! Names are `group/case/variant`: `cargo bench -- rollup` runs one group.
//! Every iteration asserts its answer, so that nothing is fast by being wrong.
//! Data comes from the sample's generator and is the same in every run.

mod sample;
mod steps;

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spendlake::clock::ManualClock;
use spendlake::config::Config;
use spendlake::directory::SharedDirectory;
use spendlake::ingest::{Intake, IntakeLimits, Payload};
use spendlake::lake::{LakeOptions, LakeTable, Transaction};
use spendlake::model::{TABLES, events_to_batch};
use spendlake::pricing::PriceBook;
use spendlake::rollup::{Cube, DateBucket, Dimension, UsageRequest, daily_rows};
use spendlake::wal::{DiskStorage, Record, Wal, WalOptions};

use sample::noon;
use steps::{Asked, DAY, DAY_EVENTS, QUARTER, long_sum};

/// A request's lines.
const LINES: usize = 1_000;

/// The log is cut when it is longer than this, bytes.
const LOG_BYTES_MAX: u64 = 256 << 20;

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(LINES as u64));
    let intake = Intake::new(
        SharedDirectory::default(),
        Arc::clone(PriceBook::shipped()),
        IntakeLimits::from(&Config::default()),
    );
    let body = steps::body(LINES);
    group.bench_function("ndjson_1000/prepare", |bencher| {
        bencher.iter(|| {
            let prepared =
                intake.prepare(Payload::native(black_box(&body)), noon()).expect("a body");
            assert_eq!(prepared.events.len(), LINES);
            prepared
        });
    });
    group.bench_function("ndjson_1000/to_batch", |bencher| {
        let events = intake.prepare(Payload::native(&body), noon()).expect("a body").events;
        bencher.iter(|| {
            let batch = events_to_batch(black_box(&events)).expect("a batch");
            assert_eq!(batch.num_rows(), LINES);
            batch
        });
    });
    group.finish();
}

/// The folder is where temporary files go: on a file system in memory an
/// fsync costs nothing (`TMPDIR` names another place).
fn wal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal");
    let payload = ipc_stream(&DAY[0].slice(0, LINES));
    group.throughput(Throughput::Bytes(payload.len() as u64));
    group.bench_function("frame_1000/append_and_sync", |bencher| {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Arc::new(DiskStorage::open(folder.path()).expect("storage"));
        let options = WalOptions { segment_bytes_max: 64 << 20 };
        let mut wal = Wal::open(storage, options, 1, 0, &mut |_| Ok(())).expect("a log");
        let records = [Record { kind: 1, payload: payload.clone().into() }];
        bencher.iter(|| {
            let before = wal.last_sequence();
            let sequence = wal.append(black_box(&records)).expect("appended");
            wal.sync().expect("synced");
            assert_eq!(sequence, before + 1);
            if wal.bytes() > LOG_BYTES_MAX {
                wal.truncate_through(sequence).expect("cut");
            }
        });
    });
    group.finish();
}

fn ipc_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(batch).expect("written");
    writer.into_inner().expect("the stream's end")
}

fn flush(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flush");
    group.sample_size(10).throughput(Throughput::Elements(DAY_EVENTS as u64));
    group.bench_function("lake_append/100k_events", |bencher| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let options = LakeOptions::new(Arc::new(ManualClock::new(noon())));
        let table = LakeTable::open_or_create(folder.path(), &TABLES[0], options);
        let table = runtime.block_on(table).expect("a table");
        let mut version = 0;
        bencher.iter(|| {
            version += 1;
            let transaction = Transaction { application: "bench".to_owned(), version };
            let appended = runtime.block_on(table.append(DAY.clone(), transaction));
            let rows = appended.expect("appended").rows();
            assert_eq!(rows, DAY_EVENTS as u64 * version.unsigned_abs());
        });
    });
    group.finish();
}

fn rollup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rollup");
    group.sample_size(20).throughput(Throughput::Elements(DAY_EVENTS as u64));
    group.bench_function("daily_rows/100k_events", |bencher| {
        bencher.iter(|| {
            let daily = daily_rows(black_box(&DAY)).expect("daily rows");
            assert_eq!(long_sum(&daily, "events"), DAY_EVENTS as i64);
            daily
        });
    });
    group.bench_function("cube_segment/100k_events", |bencher| {
        let daily = daily_rows(&DAY).expect("daily rows");
        bencher.iter(|| {
            let cube = Cube::new();
            let segment = cube.segment(black_box(&daily)).expect("a segment");
            let entries = cube.snapshot(vec![segment]).entries_by_date();
            assert_eq!(entries.values().sum::<i64>(), DAY_EVENTS as i64);
        });
    });
    group.finish();
}

fn query(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("query");
    group.sample_size(50);
    let cases: [(&str, Asked, &[Dimension]); 8] = [
        ("organization_summary", Asked::Organization, &[]),
        ("organization_trend", Asked::Organization, &[Dimension::Date]),
        ("organization_users", Asked::Organization, &[Dimension::User]),
        ("own_organization_summary", Asked::OwnOrganization, &[]),
        ("own_rows_summary", Asked::OwnRows, &[]),
        ("platform_summary", Asked::Platform, &[]),
        ("platform_organizations", Asked::Platform, &[Dimension::Organization]),
        ("platform_models", Asked::Platform, &[Dimension::Model]),
    ];
    for (name, asked, group_by) in cases {
        group.bench_function(format!("{name}/30_days"), |bencher| {
            let (filter, events) = QUARTER.last_month(asked);
            let group_by = group_by.to_vec();
            let request = UsageRequest { filter, group_by, date_bucket: DateBucket::Day };
            bencher.iter(|| {
                let answer = QUARTER.cube.usage(black_box(&request)).expect("an answer");
                assert_eq!(long_sum(&answer, "total_events"), events);
                answer
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ingest, wal, flush, rollup, query);
criterion_main!(benches);
