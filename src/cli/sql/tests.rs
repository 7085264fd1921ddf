use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};

use super::format::{Format, RowWriter, Written};
use super::prompt::{Command, parse};

fn batch() -> RecordBatch {
    let cost = Decimal128Array::from(vec![Some(36_300_000_000), None]);
    let cost = cost.with_precision_and_scale(18, 12).expect("decimal");
    RecordBatch::try_from_iter([
        ("model", Arc::new(StringArray::from(vec!["a,b", "c"])) as ArrayRef),
        ("events", Arc::new(Int64Array::from(vec![12, 3]))),
        ("cost", Arc::new(cost)),
    ])
    .expect("batch")
}

fn written(format: Format, batches: &[RecordBatch], table_rows_max: usize) -> (String, Written) {
    let mut bytes = Vec::new();
    let mut writer = RowWriter::new(format, &mut bytes, table_rows_max);
    for batch in batches {
        assert!(writer.write(batch).expect("write"));
    }
    let written = writer.finish().expect("finish");
    (String::from_utf8(bytes).expect("text"), written)
}

#[test]
fn csv_has_one_header_over_several_batches() {
    let (text, _) = written(Format::Csv, &[batch().slice(0, 0), batch(), batch().slice(1, 1)], 9);
    assert_eq!(text, "model,events,cost\n\"a,b\",12,0.036300000000\nc,3,\nc,3,\n");
}

#[test]
fn json_is_one_array_over_several_batches_and_money_is_text() {
    let (text, _) = written(Format::Json, &[batch(), batch().slice(1, 1)], 9);
    let value: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!(
        value,
        serde_json::json!([
            {"model": "a,b", "events": 12, "cost": "0.036300000000"},
            {"model": "c", "events": 3, "cost": null},
            {"model": "c", "events": 3, "cost": null},
        ])
    );
    assert_eq!(written(Format::Json, &[batch().slice(0, 0)], 9).0, "[]\n");
}

#[test]
fn ndjson_is_one_object_a_line() {
    let (text, _) = written(Format::Ndjson, &[batch(), batch()], 9);
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn a_table_aligns_numbers_right_and_counts_what_it_hides() {
    let (text, written) = written(Format::Table, &[batch(), batch()], 3);
    assert_eq!(written, Written { rows: 4, hidden: 1 });
    assert!(text.contains("     12 ") && text.contains("NULL"), "{text}");
}

#[test]
fn dot_commands_are_read_and_wrong_ones_named() {
    assert_eq!(parse(".mode CSV").expect("mode"), Command::Mode(Format::Csv));
    assert_eq!(parse(" .quit ").expect("quit"), Command::Quit);
    assert_eq!(parse(" ; ").expect("nothing"), Command::Nothing);
    let describe = Command::Statement(Cow::Borrowed("DESCRIBE usage_events"));
    assert_eq!(parse(".schema usage_events").expect("schema"), describe);
    for line in [".mode xml", ".schema a;b", ".tables now", ".nothing"] {
        assert!(parse(line).is_err(), "{line}");
    }
}
