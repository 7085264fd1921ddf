use arrow::datatypes::Schema;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::error::ErrorKind;
use crate::lake::sort;

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_table_come_back_as_they_went_in() {
    for spec in &TABLES {
        let folder = tempfile::tempdir().expect("folder");
        let table = open(folder.path(), spec).await;
        let batch = rows(spec, day(1), 0..500);
        table.append(vec![batch.clone()], transaction(1)).await.expect("append");
        let schema = (spec.schema)();
        let sorted = sort::sort(&schema, &[batch], spec.sort_columns).expect("sorted");
        assert_eq!(read_all(&table), sorted, "{}", spec.name);
        let reopened = open(folder.path(), spec).await;
        assert_eq!(read_all(&reopened), sorted, "{}", spec.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delta_schema_gives_back_the_arrow_schema() {
    for spec in &TABLES {
        let folder = tempfile::tempdir().expect("folder");
        let table = open(folder.path(), spec).await;
        let writer = table.writer.lock().await;
        let delta = writer.table.snapshot().expect("state").schema();
        let arrow: Schema = delta.as_ref().try_into_arrow().expect("arrow schema");
        assert_eq!(arrow.fields(), (spec.schema)().fields(), "{}", spec.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_transaction_version_again_adds_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    let first =
        table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(10)).await.expect("append");
    for version in [10, 9] {
        let again = table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(version)).await;
        assert_eq!(again.expect("append"), first);
    }
    let reopened = open(folder.path(), EVENTS).await;
    assert_eq!(reopened.transaction_version("wal/test").await.expect("version"), Some(10));
    let again = reopened.append(vec![rows(EVENTS, day(1), 0..10)], transaction(10)).await;
    assert_eq!(again.expect("append").rows(), 10);
    assert_eq!(totals(&reopened), (10, cost_of(0..10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_without_rows_moves_the_transaction_version() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    assert_eq!(table.transaction_version("wal/test").await.expect("version"), None);
    let empty = RecordBatch::new_empty((EVENTS.schema)());
    table.append(vec![empty], transaction(3)).await.expect("append");
    table.append(vec![], transaction(4)).await.expect("append");
    assert_eq!(table.snapshot().files, []);
    let reopened = open(folder.path(), EVENTS).await;
    assert_eq!(reopened.transaction_version("wal/test").await.expect("version"), Some(4));
    assert_eq!(reopened.transaction_version("wal/other").await.expect("version"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_several_dates_go_to_their_own_folders() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    let batches = vec![
        rows(EVENTS, day(2), 0..10),
        rows(EVENTS, day(1), 10..30),
        rows(EVENTS, day(2), 30..40),
    ];
    let snapshot = table.append(batches, transaction(1)).await.expect("append");
    let files: Vec<_> = snapshot.files.iter().map(|file| (file.date, file.rows)).collect();
    assert_eq!(files, [(day(1), 20), (day(2), 20)]);
    for file in &snapshot.files {
        assert!(file.path.starts_with(&format!("usage_date={}/", file.date)), "{}", file.path);
        let on_disk = std::fs::metadata(snapshot.root.join(&file.path)).expect("file").len();
        assert_eq!(file.bytes, on_disk);
        let organizations = ("organization_id-0000".to_owned(), "organization_id-0004".to_owned());
        assert_eq!(file.organizations, Some(organizations));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_that_is_kept_equals_the_one_that_is_loaded() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    for step in 0..4 {
        let batches = vec![
            rows(EVENTS, day(2), step * 10..step * 10 + 10),
            rows(EVENTS, day(1), step * 10..step * 10 + 5),
        ];
        table.append(batches, transaction(step + 1)).await.expect("append");
    }
    table.compact(day(2)).await.expect("compact");
    assert_eq!(open(folder.path(), EVENTS).await.snapshot(), table.snapshot());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_no_partition_column_and_name_their_order() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    let snapshot =
        table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let file = File::open(snapshot.root.join(&snapshot.files[0].path)).expect("file");
    let metadata = SerializedFileReader::new(file).expect("parquet").metadata().clone();
    let columns = metadata.file_metadata().schema_descr();
    let names: Vec<&str> = columns.root_schema().get_fields().iter().map(|f| f.name()).collect();
    assert!(!names.contains(&"usage_date"), "{names:?}");
    let order = metadata.row_group(0).sorting_columns().expect("sorting columns");
    let order: Vec<_> = order
        .iter()
        .map(|c| columns.column(usize::try_from(c.column_idx).expect("index")).name().to_owned())
        .collect();
    assert_eq!(order, EVENTS.sort_columns);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_hold_no_statistics_of_money() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    table.checkpoint_and_clean_log().await.expect("checkpoint");
    let log = folder.path().join("_delta_log");
    let commit = std::fs::read_to_string(log.join("00000000000000000001.json")).expect("commit");
    assert!(commit.contains("numRecords") && !commit.contains("cost"), "{commit}");
    let checkpoint = File::open(log.join("00000000000000000001.checkpoint.parquet")).expect("file");
    let reader = SerializedFileReader::new(checkpoint).expect("parquet");
    let columns = reader.metadata().file_metadata().schema_descr();
    let money = columns.columns().iter().find(|column| column.path().string().contains("cost"));
    assert_eq!(money, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_ask_for_some_columns() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), EVENTS).await;
    let snapshot =
        table.append(vec![rows(EVENTS, day(1), 0..10)], transaction(1)).await.expect("append");
    let file = &snapshot.files[0];
    let read = |columns: &[&str]| {
        let batches = table.read_file(file, Some(columns)).expect("file");
        let batches: Vec<RecordBatch> = batches.map(|batch| batch.expect("rows")).collect();
        let names =
            batches[0].schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        (names, batches.iter().map(RecordBatch::num_rows).sum::<usize>())
    };
    let (names, count) = read(&["quantity", "usage_date", "event_id"]);
    assert_eq!((names.join(" ").as_str(), count), ("event_id usage_date quantity", 10));
    assert_eq!(read(&["usage_date"]), (vec!["usage_date".to_owned()], 10));
    let error = table.read_file(file, Some(&["price"])).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_changed_reach_an_existing_table() {
    let folder = tempfile::tempdir().expect("folder");
    open(folder.path(), EVENTS).await;
    let options = LakeOptions { log_retention_days: 3, ..options() };
    let table = LakeTable::open_or_create(folder.path(), EVENTS, options).await.expect("table");
    let writer = table.writer.lock().await;
    let configuration = writer.table.snapshot().expect("state").metadata().configuration();
    assert_eq!(configuration["delta.logRetentionDuration"], "interval 3 days");
    assert_eq!(configuration["delta.dataSkippingStatsColumns"], "organization_id,event_time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_sees_what_another_process_committed() {
    let folder = tempfile::tempdir().expect("folder");
    let ours = open(folder.path(), EVENTS).await;
    let theirs = open(folder.path(), EVENTS).await;
    assert_eq!(ours.transaction_version("wal/test").await.expect("version"), None);
    theirs.append(vec![rows(EVENTS, day(1), 0..10)], transaction(5)).await.expect("append");
    assert_eq!(ours.snapshot().rows(), 0);
    assert_eq!(ours.refresh().await.expect("refresh"), theirs.snapshot());
    assert_eq!(ours.transaction_version("wal/test").await.expect("version"), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_behind_another_processs_commit_is_kept_and_sees_it() {
    let folder = tempfile::tempdir().expect("folder");
    let ours = open(folder.path(), EVENTS).await;
    let theirs = open(folder.path(), EVENTS).await;
    theirs.append(vec![rows(EVENTS, day(1), 0..10)], transaction(5)).await.expect("append");
    let other = Transaction { application: "wal/other".to_owned(), version: 1 };
    let snapshot = ours.append(vec![rows(EVENTS, day(1), 10..20)], other).await.expect("append");
    assert_eq!((snapshot.version, snapshot.rows()), (2, 20));
}
