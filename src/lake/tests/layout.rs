//! Files are laid out as `encoding` says, and rows survive every encoding.

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};

use super::*;
use crate::lake::sort;

/// So many rows that the dictionaries of numbers are given up.
const ROWS: i64 = 5_000;

async fn written(folder: &Path, spec: &'static TableSpec) -> SerializedFileReader<File> {
    let table = open(folder, spec).await;
    table.append(vec![rows(spec, day(1), 0..ROWS)], transaction(1)).await.expect("append");
    let snapshot = table.snapshot();
    let [file] = snapshot.files.as_slice() else { panic!("{} files", snapshot.files.len()) };
    let file = File::open(snapshot.root.join(&file.path)).expect("file");
    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
    SerializedFileReader::new_with_options(file, options).expect("parquet")
}

fn chunk<'a>(file: &'a SerializedFileReader<File>, name: &str) -> &'a ColumnChunkMetaData {
    let columns = file.metadata().row_group(0).columns();
    columns.iter().find(|column| column.column_path().string() == name).expect(name)
}

fn encodings(file: &SerializedFileReader<File>, name: &str) -> Vec<Encoding> {
    chunk(file, name).encodings().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_dictionaries_that_are_given_up() {
    for spec in &TABLES {
        let folder = tempfile::tempdir().expect("folder");
        let table = open(folder.path(), spec).await;
        let batch = rows(spec, day(1), 0..ROWS);
        table.append(vec![batch.clone()], transaction(1)).await.expect("append");
        let sorted = sort::sort(&(spec.schema)(), &[batch], spec.sort_columns).expect("sorted");
        assert_eq!(read_all(&table), sorted, "{}", spec.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_column_has_its_encoding() {
    let folder = tempfile::tempdir().expect("folder");
    let events = written(&folder.path().join("events"), EVENTS).await;
    for (name, encoding, has_dictionary) in [
        ("event_id", Encoding::DELTA_BYTE_ARRAY, false),
        ("conversation_id", Encoding::DELTA_LENGTH_BYTE_ARRAY, false),
        ("event_time", Encoding::PLAIN, true),
        ("actual_api_cost", Encoding::DELTA_BINARY_PACKED, true),
        ("organization_id", Encoding::RLE_DICTIONARY, true),
    ] {
        let used = encodings(&events, name);
        assert!(used.contains(&encoding), "{name}: {used:?}");
        assert_eq!(used.contains(&Encoding::RLE_DICTIONARY), has_dictionary, "{name}: {used:?}");
    }
    // A sum of money is longer than 64 bits, for which there is no such delta.
    let daily = written(&folder.path().join("daily"), DAILY).await;
    let used = encodings(&daily, "actual_api_cost");
    assert!(!used.contains(&Encoding::DELTA_BINARY_PACKED), "{used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_which_conversations_it_lacks() {
    let folder = tempfile::tempdir().expect("folder");
    let events = written(folder.path(), EVENTS).await;
    let group = events.get_row_group(0).expect("a row group");
    let columns = events.metadata().row_group(0).columns().iter();
    let filters: Vec<(String, &Sbbf)> = columns
        .enumerate()
        .filter_map(|(at, column)| {
            Some((column.column_path().string(), group.get_column_bloom_filter(at)?))
        })
        .collect();
    let [(name, filter)] = filters.as_slice() else { panic!("{} filters", filters.len()) };
    assert_eq!(name, "conversation_id");
    for held in ["conversation_id-0000", "conversation_id-0001", "conversation_id-0002"] {
        assert!(filter.check(&held), "{held}");
    }
    let lacking = (3..1_003).filter(|n| filter.check(&format!("conversation_id-{n:04}").as_str()));
    assert!(lacking.count() < 150, "a value in twenty is taken for one that it holds");
}
