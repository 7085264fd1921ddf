//! Tests of the tables on a real disk, with counting and failing parts.

mod append;
mod faults;
mod layout;
mod rewrite;
mod size;
mod upkeep;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Int8Array, Int64Array, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures::stream::BoxStream;
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::durable::{DiskSync, DurableDisk};
use super::open::Storage;
use super::store::SyncedStore;
use super::*;
use crate::clock::ManualClock;
use crate::model::TableSpec;

const EVENTS: &TableSpec = &TABLES[0];
const DAILY: &TableSpec = &TABLES[2];

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, number).expect("date")
}

fn start() -> DateTime<Utc> {
    "2026-01-05T12:00:00Z".parse().expect("time")
}

fn options() -> LakeOptions {
    LakeOptions::new(Arc::new(ManualClock::new(start())))
}

fn transaction(version: i64) -> Transaction {
    Transaction { application: "wal/test".to_owned(), version }
}

async fn open(folder: &Path, spec: &'static TableSpec) -> LakeTable {
    LakeTable::open_or_create(folder, spec, options()).await.expect("table")
}

/// Rows of any table: everything in them follows from their numbers.
fn rows(spec: &TableSpec, date: NaiveDate, numbers: Range<i64>) -> RecordBatch {
    let schema = (spec.schema)();
    let columns = schema.fields().iter().map(|field| column(field, date, numbers.clone()));
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("rows")
}

fn column(field: &Field, date: NaiveDate, numbers: Range<i64>) -> ArrayRef {
    let null = |number: i64| field.is_nullable() && number % 7 == 0;
    let longs = numbers.clone().map(|number| (!null(number)).then_some(number % 1_000));
    match field.data_type() {
        DataType::Utf8 => {
            let of = match field.name().as_str() {
                "event_id" => i64::MAX,
                "organization_id" | "user_id" => 5,
                _ => 3,
            };
            Arc::new(StringArray::from_iter(
                numbers.map(|n| (!null(n)).then(|| format!("{}-{:04}", field.name(), n % of))),
            ))
        }
        DataType::Timestamp(..) => {
            let times = numbers.map(|n| 1_767_225_600_000_001 + (n * 7_919) % 86_400_000_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        DataType::Date32 => {
            let days = numbers.map(|_| Date32Type::from_naive_date(date));
            Arc::new(Date32Array::from_iter_values(days))
        }
        DataType::Int64 => Arc::new(Int64Array::from_iter(longs)),
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(numbers.map(|_| 1))),
        DataType::Decimal128(precision, scale) => {
            let values = numbers.map(|n| (!null(n)).then_some(i128::from(n) * 1_000_001));
            let values = Decimal128Array::from_iter(values);
            Arc::new(values.with_precision_and_scale(*precision, *scale).expect("decimals"))
        }
        DataType::Map(..) => tags(numbers, null),
        other => panic!("no rows of {other}"),
    }
}

fn tags(numbers: Range<i64>, null: impl Fn(i64) -> bool) -> ArrayRef {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for number in numbers {
        for tag in 0..number % 3 {
            builder.keys().append_value(format!("key-{tag}"));
            builder.values().append_value(format!("value-{number}"));
        }
        builder.append(!null(number)).expect("map");
    }
    Arc::new(builder.finish())
}

/// Every row of the table, read from its files.
fn read_all(table: &LakeTable) -> RecordBatch {
    let snapshot = table.snapshot();
    let batches = snapshot.files.iter().flat_map(|file| table.read_file(file, None).expect("file"));
    let batches: Vec<RecordBatch> = batches.map(|batch| batch.expect("rows")).collect();
    concat_batches(&(table.spec().schema)(), &batches).expect("one batch")
}

/// Number of rows and sum of `actual_api_cost`.
fn totals(table: &LakeTable) -> (usize, i128) {
    let rows = read_all(table);
    let costs = rows.column_by_name("actual_api_cost").expect("costs");
    let costs = costs.as_primitive::<Decimal128Type>();
    (rows.num_rows(), costs.iter().flatten().sum())
}

fn cost_of(numbers: Range<i64>) -> i128 {
    numbers.filter(|number| number % 7 != 0).map(|number| i128::from(number) * 1_000_001).sum()
}

/// Records every sync; fails those of paths that contain `failing`.
#[derive(Debug, Default)]
struct RecordingDisk {
    calls: Mutex<Vec<String>>,
    failing: Mutex<Option<&'static str>>,
}

impl RecordingDisk {
    fn record(&self, kind: &str, path: &Path) -> io::Result<()> {
        let path = path.display().to_string();
        let failing = *self.failing.lock().expect("lock");
        if failing.is_some_and(|part| path.contains(part)) {
            return Err(io::Error::other("injected"));
        }
        self.calls.lock().expect("lock").push(format!("{kind} {path}"));
        Ok(())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("lock"))
    }
}

impl DiskSync for RecordingDisk {
    fn sync_file(&self, _file: &File, path: &Path) -> io::Result<()> {
        self.record("file", path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.record("directory", path)
    }
}

/// What goes wrong with the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The commit is written, then an error is returned.
    ErrorAfterLanding,
    /// Nothing is written.
    ErrorAtOnce,
    /// The commit is written, then nothing is returned.
    SilenceAfterLanding,
}

/// A store that fails the next commit as told.
#[derive(Debug)]
struct FaultyStore {
    inner: SyncedStore,
    fault: Mutex<Option<Fault>>,
}

impl FaultyStore {
    fn fail_next_commit(&self, fault: Fault) {
        *self.fault.lock().expect("lock") = Some(fault);
    }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FaultyStore")
    }
}

fn injected() -> object_store::Error {
    object_store::Error::Generic { store: "FaultyStore", source: "injected".into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let commit = location.as_ref().ends_with(".json");
        let fault = if commit { self.fault.lock().expect("lock").take() } else { None };
        if fault == Some(Fault::ErrorAtOnce) {
            return Err(injected());
        }
        let result = self.inner.put_opts(location, payload, options).await?;
        match fault {
            Some(Fault::ErrorAfterLanding) => Err(injected()),
            Some(Fault::SilenceAfterLanding) => std::future::pending().await,
            _ => Ok(result),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &StorePath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<StorePath>>,
    ) -> BoxStream<'static, object_store::Result<StorePath>> {
        self.inner.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&StorePath>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&StorePath>,
    ) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A table whose disk is watched and whose commits can be made to fail.
struct Rig {
    folder: tempfile::TempDir,
    disk: Arc<RecordingDisk>,
    store: Arc<FaultyStore>,
    table: LakeTable,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let disk = Arc::new(RecordingDisk::default());
        let watched: Arc<dyn DiskSync> = Arc::<RecordingDisk>::clone(&disk);
        let durable = Arc::new(DurableDisk::new(watched));
        let inner = SyncedStore::new(Arc::clone(&durable));
        let store = Arc::new(FaultyStore { inner, fault: Mutex::new(None) });
        let storage = Storage { disk: durable, store: Arc::<FaultyStore>::clone(&store) };
        let table = LakeTable::open_with(folder.path(), EVENTS, options(), storage, Arc::default());
        let table = table.await.expect("table");
        Self { folder, disk, store, table }
    }
}
