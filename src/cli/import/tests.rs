use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};

use super::mapping::{Assignment, Mapping};
use super::rows::Chunks;
use super::state::{ImportState, StateFile};
use super::*;
use crate::cli::feed::Chunk;

fn mapping(map: &[&str], set: &[&str]) -> Mapping {
    let parse = |texts: &[&str]| -> Vec<Assignment> {
        texts.iter().map(|text| text.parse().expect("assignment")).collect()
    };
    Mapping::new(&parse(map), &parse(set)).expect("mapping")
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("write");
    path
}

fn chunks(path: &Path, mapping: &Mapping, rows_done: u64) -> Vec<Chunk> {
    let format = FileFormat::of(path).expect("format");
    let chunks = Chunks::open(path, format, mapping, rows_done).expect("open");
    chunks.map(|chunk| chunk.expect("chunk")).collect()
}

fn events(chunks: &[Chunk]) -> Vec<Value> {
    let lines = chunks.iter().flat_map(|chunk| chunk.body.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("json")).collect()
}

#[test]
fn a_crlf_csv_becomes_events_with_times_cut_to_microseconds() {
    let folder = tempfile::tempdir().expect("folder");
    let text = b"TIMESTAMP,ContextTokens,Project\r\n2023-11-16 18:17:03.9799607,4808,a\r\n2023-11-16T18:17:04Z,x,\r\n";
    let path = file(folder.path(), "trace.csv", text);
    let map = ["TIMESTAMP=event_time", "ContextTokens=input_tokens", "Project=tags.project"];
    let mapping = mapping(&map, &["provider=openai", "tags.team=core"]);
    let events = events(&chunks(&path, &mapping, 0));
    assert_eq!(
        events,
        [
            json!({"event_time": "2023-11-16T18:17:03.979960Z", "input_tokens": 4808, "provider": "openai",
                "event_id": "trace.csv:1", "source": "import:trace.csv",
                "tags": {"project": "a", "team": "core"}}),
            json!({"event_time": "2023-11-16T18:17:04Z", "input_tokens": "x", "provider": "openai",
                "event_id": "trace.csv:2", "source": "import:trace.csv", "tags": {"team": "core"}}),
        ]
    );
}

#[test]
fn a_row_with_too_few_values_is_named_and_the_next_one_still_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "a.csv", b"event_id,model\n1,m\n2\n3,m\n");
    let chunks = chunks(&path, &mapping(&[], &[]), 0);
    assert_eq!((chunks[0].rows.as_slice(), chunks[0].unreadable[0].0), (&[1, 3][..], 2));
}

#[test]
fn a_skipped_row_keeps_the_ids_of_the_rows_after_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "a.csv", b"model\nm1\nm2\nm3\n");
    let chunks = chunks(&path, &mapping(&[], &[]), 2);
    assert_eq!((chunks[0].rows.as_slice(), chunks[0].position), (&[3][..], 3));
    assert_eq!(events(&chunks)[0]["event_id"], "a.csv:3");
}

#[test]
fn ndjson_is_passed_on_unchanged_and_blank_lines_only_count() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.jsonl.gz");
    let mut gzip = flate2::write::GzEncoder::new(
        File::create(&path).expect("file"),
        flate2::Compression::fast(),
    );
    gzip.write_all(b"{\"charged_cost\":1.10}\n\n{\"a\":2}").expect("write");
    gzip.finish().expect("finish");
    let chunks = chunks(&path, &mapping(&[], &[]), 0);
    assert_eq!(chunks[0].body, b"{\"charged_cost\":1.10}\n{\"a\":2}\n");
    assert_eq!((chunks[0].rows.as_slice(), chunks[0].position), (&[1, 3][..], 3));
}

#[test]
fn a_long_file_is_cut_into_chunks_of_five_thousand_rows() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(
        folder.path(),
        "a.ndjson.zst",
        &zstd::encode_all("{}\n".repeat(12_000).as_bytes(), 1).expect("zstd"),
    );
    let chunks = chunks(&path, &mapping(&[], &[]), 0);
    let positions: Vec<_> = chunks.iter().map(|chunk| chunk.position).collect();
    assert_eq!(positions, [5_000, 10_000, 12_000]);
}

#[test]
fn parquet_keeps_every_digit_of_money_and_leaves_out_reversals() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.parquet");
    let money = Decimal128Array::from(vec![Some(1), None]).with_precision_and_scale(18, 12);
    let batch = RecordBatch::try_from_iter([
        ("event_id", Arc::new(StringArray::from(vec!["e1", "e2"])) as ArrayRef),
        ("charged_cost", Arc::new(money.expect("decimal"))),
        ("input_tokens", Arc::new(Int64Array::from(vec![7, -7]))),
        ("cost_source", Arc::new(StringArray::from(vec!["computed", "computed"]))),
        ("entry", Arc::new(StringArray::from(vec!["usage", "reversal"]))),
        ("squad", Arc::new(StringArray::from(vec!["x\ny", "z"]))),
    ])
    .expect("batch");
    let output = File::create(&path).expect("file");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(output, batch.schema(), None).expect("writer");
    writer.write(&batch).expect("write");
    writer.close().expect("close");
    let mapping = mapping(&["squad=tags.squad"], &["source=old"]);
    let chunks = chunks(&path, &mapping, 0);
    assert_eq!(
        events(&chunks),
        [json!({"event_id": "e1", "charged_cost": "0.000000000001", "input_tokens": 7,
            "source": "old", "tags": {"squad": "x\ny"}})]
    );
    assert_eq!(chunks[0].unreadable.len(), 1);
}

#[test]
fn a_wrong_mapping_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "a.csv", b"when\n1\n");
    let refused = |mapping: &Mapping| {
        Chunks::open(&path, FileFormat::Csv, mapping, 0).err().expect("refused").to_string()
    };
    assert!(refused(&mapping(&["wen=event_time"], &[])).contains("column wen; the file has when"));
    assert!(refused(&mapping(&[], &[])).contains("no column of a.csv (when)"));
    let field: Assignment = "when=evnt_time".parse().expect("assignment");
    assert!(Mapping::new(&[field], &[]).is_err());
}

#[test]
fn a_file_that_changed_starts_anew() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "a.csv", b"model\nm1\n");
    let state_file = || {
        StateFile::of(&path, FileFormat::Csv, &mapping(&[], &[]), folder.path())
            .expect("state file")
    };
    let state = ImportState { rows_done: 1, accepted: 1, finished: true, ..Default::default() };
    state_file().save(&state).expect("save");
    assert_eq!(state_file().load(), state);
    file(folder.path(), "a.csv", b"model\nm1\nm2\n");
    assert_eq!(state_file().load(), ImportState::default());
}
