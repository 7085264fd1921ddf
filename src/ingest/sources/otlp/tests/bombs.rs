//! Small bodies that would unfold into all memory are refused before that.

use super::*;
use crate::error::ErrorKind;

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).expect("seven bits"));
    field.extend_from_slice(bytes);
    field
}

fn assert_too_many(signal: fn(OtlpEncoding) -> SourceFormat, encoding: OtlpEncoding, body: &[u8]) {
    let error = prepare(signal(encoding), body, None).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(error.to_string().contains("send smaller batches"), "{error}");
}

#[test]
fn millions_of_empty_messages_are_refused_undecoded() {
    const COUNT: usize = 3_000_001;
    let empty = |number: u8| [number << 3 | 2, 0].repeat(COUNT);
    let of_scope = |records: &[u8]| field(1, &field(2, records));
    let record = |attributes: &[u8]| of_scope(&field(2, attributes));
    let protobuf = OtlpEncoding::Protobuf;
    assert_too_many(SourceFormat::OtlpLogs, protobuf, &of_scope(&empty(2)));
    assert_too_many(SourceFormat::OtlpTraces, protobuf, &of_scope(&empty(2)));
    for attributes_or_events in [9, 11, 13] {
        assert_too_many(SourceFormat::OtlpTraces, protobuf, &record(&empty(attributes_or_events)));
    }
    assert_too_many(SourceFormat::OtlpLogs, protobuf, &record(&empty(6)));
    let list = field(5, &field(5, &empty(1)));
    assert_too_many(SourceFormat::OtlpLogs, protobuf, &record(&list));
    // The start of a group hides nothing behind it.
    let hidden = [vec![15 << 3 | 3, 15 << 3 | 4], of_scope(&empty(2))].concat();
    assert_too_many(SourceFormat::OtlpLogs, protobuf, &hidden);
    for element in ["{},", "null,"] {
        let list = element.repeat(COUNT);
        let json = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{list}{{}}]}}]}}");
        assert_too_many(SourceFormat::OtlpLogs, OtlpEncoding::Json, json.as_bytes());
    }
}

#[test]
fn values_nested_without_end_are_refused_or_passed_over() {
    let mut value = Vec::new();
    for _ in 0..2_000 {
        // A list that holds a list, and so on.
        value = field(5, &field(1, &value));
    }
    let body = field(1, &field(2, &field(2, &field(5, &value))));
    let protobuf = SourceFormat::OtlpLogs(OtlpEncoding::Protobuf);
    let error = prepare(protobuf, &body, None).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let depth = 100_000;
    let nested = "{\"arrayValue\":{\"values\":[".repeat(depth);
    let json = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{nested}");
    let error = prepare(JSON_LOGS, json.as_bytes(), None).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
