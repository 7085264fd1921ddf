use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int8Array, IntervalYearMonthArray, ListArray,
    MapBuilder, StringArray, StringBuilder, TimestampMicrosecondArray, UInt64Array,
};

use super::*;

/// The values of the first row, each without its length; `None` is null.
fn row(columns: Vec<(&str, ArrayRef)>, formats: &Formats) -> Outcome<Vec<Option<Vec<u8>>>> {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let writer = RowWriter::new(&batch, batch.schema_ref(), formats, Tz::UTC)?;
    let mut out = BytesMut::new();
    writer.put_row(0, &mut out)?;
    assert_eq!(out[0], b'D');
    let length = i32::from_be_bytes(out[1..5].try_into().expect("a length"));
    assert_eq!(usize::try_from(length).expect("positive") + 1, out.len());
    let mut rest = &out[7..];
    let mut values = Vec::new();
    while !rest.is_empty() {
        let length = i32::from_be_bytes(rest[..4].try_into().expect("a length"));
        rest = &rest[4..];
        values.push(usize::try_from(length).ok().map(|length| {
            let (value, more) = rest.split_at(length);
            rest = more;
            value.to_vec()
        }));
    }
    Ok(values)
}

fn text(column: ArrayRef) -> Option<String> {
    let values = row(vec![("x", column)], &Formats::default()).expect("a row");
    values[0].clone().map(|value| String::from_utf8(value).expect("text"))
}

#[test]
fn money_is_written_with_every_digit() {
    let money = Decimal128Array::from(vec![Some(13_500_000)])
        .with_precision_and_scale(38, 12)
        .expect("a decimal");
    assert_eq!(text(Arc::new(money)).as_deref(), Some("0.000013500000"));
    // More digits than 96 bits hold.
    let product = Decimal128Array::from(vec![Some(99_999_999_999_999_999_999_999_999_999_999_999)])
        .with_precision_and_scale(38, 24)
        .expect("a decimal");
    assert_eq!(text(Arc::new(product)).as_deref(), Some("99999999999.999999999999999999999999"));
}

#[test]
fn null_is_null_in_every_type() {
    let columns: [ArrayRef; 6] = [
        Arc::new(Decimal128Array::from(vec![None])),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(TimestampMicrosecondArray::from(vec![None])),
        Arc::new(IntervalYearMonthArray::from(vec![None])),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, Vec<Option<i64>>, _>(vec![None])),
        arrow::array::new_null_array(&DataType::Null, 1),
    ];
    for column in columns {
        assert_eq!(text(column), None);
    }
}

#[test]
fn a_list_is_an_array_of_postgresql() {
    let mut words = arrow::array::ListBuilder::new(StringBuilder::new());
    words.append_value([Some("a"), Some("b \"c\\"), None]);
    let words: ArrayRef = Arc::new(words.finish());
    assert_eq!(text(Arc::clone(&words)).as_deref(), Some(r#"{"a","b \"c\\",NULL}"#));
    let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1), None]),
    ]));
    assert_eq!(text(numbers).as_deref(), Some("{1,NULL}"));
}

#[test]
fn a_map_is_a_text_with_json() {
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    tags.keys().append_value("project");
    tags.values().append_value("a \"b\"");
    tags.append(true).expect("a map");
    assert_eq!(text(Arc::new(tags.finish())).as_deref(), Some(r#"{"project":"a \"b\""}"#));
}

#[test]
fn floats_are_spelled_as_postgresql_does() {
    let spelled = |value: f64| text(Arc::new(Float64Array::from(vec![value]))).expect("a value");
    assert_eq!(spelled(0.1), "0.1");
    assert_eq!(spelled(1e15), "1e+15");
    assert_eq!(spelled(1.5e-7), "1.5e-07");
    assert_eq!(spelled(f64::NEG_INFINITY), "-Infinity");
    assert_eq!(spelled(f64::NAN), "NaN");
    assert_eq!(spelled(-0.0), "-0");
}

#[test]
fn a_number_that_no_bigint_holds_is_refused() {
    let fits: ArrayRef = Arc::new(UInt64Array::from(vec![7]));
    assert_eq!(text(fits).as_deref(), Some("7"));
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let fault = row(vec![("x", large)], &Formats::default()).expect_err("refused");
    assert_eq!(fault.code, "22003");
}

#[test]
fn a_column_keeps_the_type_that_the_client_was_told() {
    let narrow =
        RecordBatch::try_from_iter([("x", Arc::new(Int8Array::from(vec![3])) as ArrayRef)])
            .expect("a batch");
    let told = Schema::new(vec![Field::new("x", DataType::Decimal128(10, 2), true)]);
    let writer = RowWriter::new(&narrow, &told, &Formats::default(), Tz::UTC).expect("a writer");
    let mut out = BytesMut::new();
    writer.put_row(0, &mut out).expect("a row");
    assert!(out.ends_with(b"3.00"), "{out:?}");
}
