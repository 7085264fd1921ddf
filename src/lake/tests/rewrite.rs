use std::collections::BTreeSet;

use arrow::array::Array;
use arrow::datatypes::Int64Type;

use super::*;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::lake::sort;

async fn table_with_files(folder: &Path, files: i64) -> LakeTable {
    let table = open(folder, EVENTS).await;
    for step in 0..files {
        let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_day_holds_the_same_rows_in_order_and_one_file() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 6).await;
    table.append(vec![rows(EVENTS, day(2), 0..10)], transaction(7)).await.expect("append");
    let expected =
        sort::sort(&(EVENTS.schema)(), &[rows(EVENTS, day(1), 0..60)], EVENTS.sort_columns);
    let outcome = table.compact(day(1)).await.expect("compact");
    assert_eq!((outcome.files_removed, outcome.files_added, outcome.rows), (6, 1, 60));
    assert_eq!(outcome.snapshot, table.snapshot());
    let files: Vec<_> = outcome.snapshot.files.iter().map(|file| (file.date, file.rows)).collect();
    assert_eq!(files, [(day(1), 60), (day(2), 10)]);
    let first = table.read_file(&outcome.snapshot.files[0], None).expect("file").next();
    let keys = |batch: &RecordBatch| {
        let columns =
            EVENTS.sort_columns.iter().map(|c| batch.column_by_name(c).expect("column").clone());
        columns.map(|column| column.to_data()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&first.expect("batch").expect("rows")), keys(&expected.expect("sorted")));
    // The transaction of the last append still stands.
    assert_eq!(
        open(folder.path(), EVENTS).await.transaction_version("wal/test").await.expect("version"),
        Some(7)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_one_small_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 1).await;
    let outcome = table.compact(day(1)).await.expect("compact");
    assert_eq!((outcome.files_removed, outcome.snapshot.version), (0, 1));
}

/// The library lets two rewrites of the same files both commit when the first
/// says `dataChange=false`; both outputs are then active and every row counts
/// twice. The lease lets the second one start only after the first, when it
/// finds one file and has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_compactions_of_one_day_keep_the_rows() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 5).await;
    let (one, other) = tokio::join!(table.compact(day(1)), table.compact(day(1)));
    let removed = [one.expect("compact").files_removed, other.expect("compact").files_removed];
    assert_eq!(removed.iter().sum::<usize>(), 5);
    assert_eq!(totals(&table), (50, cost_of(0..50)));
}

/// No lease reaches another process: there the check of the version that the
/// inputs were read at has to refuse the second rewrite.
#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_behind_another_processs_compaction_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let ours = table_with_files(folder.path(), 5).await;
    let theirs = open(folder.path(), EVENTS).await;
    theirs.compact(day(1)).await.expect("compact");
    let error = ours.compact(day(1)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(totals(&ours), (50, cost_of(0..50)));
    assert_eq!(ours.compact(day(1)).await.expect("compact").files_removed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_during_compactions_lose_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 5).await;
    let appends = async {
        for step in 5..15 {
            let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
            table.append(vec![batch], transaction(step + 1)).await.expect("append");
        }
    };
    let compactions = async {
        for _ in 0..10 {
            table.compact(day(1)).await.expect("compact");
        }
    };
    tokio::join!(appends, compactions);
    assert_eq!(totals(&table), (150, cost_of(0..150)));
    assert_eq!(totals(&open(folder.path(), EVENTS).await), (150, cost_of(0..150)));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_outputs_are_split_at_the_target_size_and_then_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let options = LakeOptions { target_file_bytes: 3_000_000, ..options() };
    let table = LakeTable::open_or_create(folder.path(), EVENTS, options).await.expect("table");
    for step in 0..12 {
        let batch = rows(EVENTS, day(1), step * 24_000..step * 24_000 + 24_000);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    let outcome = table.compact(day(1)).await.expect("compact");
    assert_eq!(outcome.files_removed, 12, "{outcome:?}");
    assert!((2..12).contains(&outcome.files_added), "{outcome:?}");
    assert_eq!(totals(&table), (288_000, cost_of(0..288_000)));
    let again = table.compact(day(1)).await.expect("compact");
    assert_eq!(again.files_removed, 0, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_one_compaction_takes_need_a_second_call() {
    let folder = tempfile::tempdir().expect("folder");
    let count = i64::try_from(COMPACT_INPUTS_MAX).expect("count") + 3;
    let table = table_with_files(folder.path(), count).await;
    let outcome = table.compact(day(1)).await.expect("compact");
    assert_eq!((outcome.files_removed, outcome.more), (COMPACT_INPUTS_MAX, true));
    let outcome = table.compact(day(1)).await.expect("compact");
    assert_eq!((outcome.snapshot.files.len(), outcome.more), (1, false));
    assert_eq!(totals(&table), (count as usize * 10, cost_of(0..count * 10)));
}

/// Sums `entries` into the first row of a batch.
#[derive(Debug)]
struct FirstRow {
    loses: bool,
}

impl RowMerge for FirstRow {
    fn merge(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let total = i64::try_from(self.total(&batches)?).expect("total");
        let first = batches[0].slice(0, 1);
        let mut columns = first.columns().to_vec();
        let entries = first.schema().index_of("entries").expect("entries");
        columns[entries] = Arc::new(Int64Array::from(vec![total - i64::from(self.loses)]));
        Ok(vec![RecordBatch::try_new(first.schema(), columns).expect("row")])
    }

    fn total(&self, batches: &[RecordBatch]) -> Result<i128> {
        let entries = batches.iter().map(|batch| batch.column_by_name("entries").expect("entries"));
        Ok(entries
            .flat_map(|e| e.as_primitive::<Int64Type>().values())
            .map(|n| i128::from(*n))
            .sum())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merging_compaction_keeps_the_total_or_commits_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let table = open(folder.path(), DAILY).await;
    for step in 0..3 {
        let batch = rows(DAILY, day(1), step * 10..step * 10 + 10);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    let lost = table.compact_merged(day(1), Arc::new(FirstRow { loses: true })).await;
    assert_eq!(lost.expect_err("refused").kind(), ErrorKind::Internal);
    assert_eq!(table.snapshot().files.len(), 3);
    let merge = Arc::new(FirstRow { loses: false });
    let outcome = table.compact_merged(day(1), Arc::<FirstRow>::clone(&merge)).await;
    assert_eq!(outcome.expect("compact").rows, 1);
    let total = merge.total(&[read_all(&table)]).expect("total");
    assert_eq!(total, (0..30).sum::<i128>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_swaps_files_for_rows_in_one_commit() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 3).await;
    let old = table.snapshot();
    let new = rows(EVENTS, day(1), 100..120);
    let snapshot = table.replace(old.files.clone(), vec![new.clone()], Some(transaction(9))).await;
    let snapshot = snapshot.expect("replace");
    assert_eq!((snapshot.version, snapshot.files.len()), (old.version + 1, 1));
    assert_eq!(totals(&table), (20, cost_of(100..120)));
    // The transaction is in the table: nothing happens, stale inputs or not.
    let again = table.replace(old.files.clone(), vec![new.clone()], Some(transaction(9))).await;
    assert_eq!(again.expect("replace"), snapshot);
    // Without it the stale inputs are noticed.
    let error = table.replace(old.files.clone(), vec![new], None).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(totals(&table), (20, cost_of(100..120)));
    let emptied = table.replace(snapshot.files.clone(), vec![], None).await.expect("replace");
    assert_eq!(emptied.files, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_the_files_that_brought_rows_whatever_compaction_did() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 2).await;
    let covered = table.snapshot().version;
    for step in 2..5 {
        let batch = rows(EVENTS, day(1), step * 10..step * 10 + 10);
        table.append(vec![batch], transaction(step + 1)).await.expect("append");
    }
    let before: BTreeSet<String> = table.snapshot().files.iter().map(|f| f.path.clone()).collect();
    let added = table.added_since(covered).await.expect("added");
    table.compact(day(1)).await.expect("compact");
    assert_eq!(table.added_since(covered).await.expect("added"), added);
    assert_eq!(added.iter().map(|file| file.rows).collect::<Vec<_>>(), [10, 10, 10]);
    assert!(added.iter().all(|file| before.contains(&file.path)));
    let read: usize = added
        .iter()
        .flat_map(|file| table.read_file(file, None).expect("file"))
        .map(|batch| batch.expect("rows").num_rows())
        .sum();
    assert_eq!(read, 30);
    assert_eq!(table.added_since(table.snapshot().version).await.expect("added"), []);
    assert_eq!(table.added_since(100).await.expect_err("refused").kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_name_the_dates_whose_rows_were_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table_with_files(folder.path(), 2).await;
    let covered = table.snapshot().version;
    let late =
        table.append(vec![rows(EVENTS, day(1), 20..30)], transaction(3)).await.expect("append");
    table
        .replace(late.files.clone(), vec![rows(EVENTS, day(1), 0..7)], None)
        .await
        .expect("replace");
    let changes = table.changes_since(covered).await.expect("changes");
    assert_eq!(changes.replaced_dates, BTreeSet::from([day(1)]));
    assert_eq!(changes.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [7]);
    assert_eq!(table.added_since(covered).await.expect_err("refused").kind(), ErrorKind::Invalid);
}
