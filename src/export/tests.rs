use std::sync::Arc;

use arrow::array::{Array, Date32Array, Decimal128Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn rows(texts: &[Option<&str>], picos: &[Option<i128>], longs: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("total_cost", DataType::Decimal128(38, 12), true),
        Field::new("total_events", DataType::Int64, false),
        Field::new("usage_date", DataType::Date32, false),
    ]);
    let costs = Decimal128Array::from(picos.to_vec()).with_precision_and_scale(38, 12);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(costs.expect("decimals")),
            Arc::new(Int64Array::from(longs.to_vec())),
            Arc::new(Date32Array::from(vec![0; longs.len()])),
        ],
    )
    .expect("batch")
}

fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = BatchWriter::new(format, &batches[0].schema()).expect("writer");
    let mut bytes = Vec::new();
    for batch in batches {
        bytes.extend_from_slice(&writer.write(batch).expect("write"));
    }
    bytes.extend_from_slice(&writer.finish().expect("finish"));
    bytes
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(written(format, batches)).expect("text")
}

#[test]
fn csv_defuses_texts_and_never_alters_numbers() {
    let names =
        [Some("=1+1"), Some("+x"), Some("-x"), Some("@x"), Some("\tx"), Some("\rx"), Some("a=b")];
    let batch = rows(&names, &[Some(-1_500_000_000_000); 7], &[-7; 7]);
    let text = text(Format::Csv, &[batch]);
    let mut lines = csv_records(&text);
    assert_eq!(lines.remove(0), ["name", "total_cost", "total_events", "usage_date"]);
    let names: Vec<&str> = lines.iter().map(|line| line[0].as_str()).collect();
    assert_eq!(names, ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx", "a=b"]);
    for line in lines {
        assert_eq!(line[1..], ["-1.5", "-7", "1970-01-01"]);
    }
}

fn csv_records(text: &str) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|line| line.expect("line").iter().map(str::to_owned).collect()).collect()
}

#[test]
fn csv_quotes_what_rfc_4180_asks_for_and_leaves_nulls_empty() {
    let batch = rows(&[Some("a,\"b\"\nc"), None], &[None, Some(1)], &[1, 2]);
    assert_eq!(
        text(Format::Csv, &[batch]),
        "name,total_cost,total_events,usage_date\n\"a,\"\"b\"\"\nc\",,1,1970-01-01\n,0.000000000001,2,1970-01-01\n"
    );
}

#[test]
fn json_writes_amounts_as_strings_across_batches() {
    let first = rows(&[Some("x\ny")], &[Some(250_000_000_000)], &[1]);
    let second = rows(&[None], &[None], &[2]);
    let json = text(Format::Json, &[first.clone(), second.clone()]);
    let value: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!(value[0]["total_cost"], "0.25");
    assert_eq!(value[0]["name"], "x\ny");
    assert!(value[1]["total_cost"].is_null() && value[1]["total_events"] == 2);
    let lines = text(Format::Ndjson, &[first, second]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

#[test]
fn an_export_without_rows_is_still_a_whole_file() {
    let empty = rows(&[], &[], &[]);
    assert_eq!(text(Format::Json, std::slice::from_ref(&empty)).trim(), "[]");
    assert_eq!(text(Format::Ndjson, std::slice::from_ref(&empty)), "");
    let csv = text(Format::Csv, std::slice::from_ref(&empty));
    assert_eq!(csv.trim(), "name,total_cost,total_events,usage_date");
}

#[test]
fn parquet_keeps_decimals_exact() {
    let batch = rows(&[Some("a")], &[Some(123_456_789_012_345_678_901)], &[3]);
    let bytes = Bytes::from(written(Format::Parquet, &[batch.clone(), batch]));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("parquet");
    let mut count = 0;
    for batch in reader.build().expect("reader") {
        let batch = batch.expect("batch");
        let costs = batch.column(1).as_any().downcast_ref::<Decimal128Array>().expect("decimals");
        assert!(costs.iter().all(|cost| cost == Some(123_456_789_012_345_678_901)));
        count += costs.len();
    }
    assert_eq!(count, 2);
}
