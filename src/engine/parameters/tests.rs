use super::*;

fn fitted(value: ScalarValue, needed: DataType) -> ScalarValue {
    fit(1, &value, &needed).expect("fits")
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.to_owned()))
}

#[test]
fn a_number_keeps_its_digits() {
    let decimal = |mantissa, precision, scale| {
        Some(ScalarValue::Decimal128(Some(mantissa), precision, scale))
    };
    assert_eq!(number_value("-12"), Some(ScalarValue::Int64(Some(-12))));
    assert_eq!(number_value("1e3"), Some(ScalarValue::Int64(Some(1000))));
    assert_eq!(number_value("0.1"), decimal(1, 1, 1));
    assert_eq!(number_value("1.35e-05"), decimal(135, 7, 7));
    assert_eq!(number_value("12.500"), decimal(12_500, 5, 3));
    assert_eq!(number_value("18446744073709551615"), decimal(18_446_744_073_709_551_615, 20, 0));
    for wrong in ["", "x", "1.2.3", "NaN", "1e", "1e-99", "1e400", &"9".repeat(40)] {
        assert_eq!(number_value(wrong), None, "{wrong}");
    }
}

#[test]
fn a_text_is_read_as_what_its_place_needs() {
    assert_eq!(fitted(text("5"), DataType::Int8), ScalarValue::Int8(Some(5)));
    assert_eq!(fitted(text("2026-01-02"), DataType::Date32), ScalarValue::Date32(Some(20_455)));
    assert_eq!(fitted(text("true"), DataType::Boolean), ScalarValue::Boolean(Some(true)));
    assert_eq!(
        fitted(text("0.5"), DataType::Decimal128(18, 12)),
        ScalarValue::Decimal128(Some(500_000_000_000), 18, 12)
    );
}

#[test]
fn a_number_that_the_type_cannot_hold_is_not_rounded() {
    let half = number_value("1.5").expect("a number");
    assert_eq!(fitted(half.clone(), DataType::Int64), half);
    let fine = number_value("0.0000000000001").expect("a number");
    assert_eq!(fitted(fine.clone(), DataType::Decimal128(18, 12)), fine);
    assert_eq!(fitted(text("0.0000000000001"), DataType::Decimal128(18, 12)), fine);
    let large = ScalarValue::Int64(Some(300));
    assert_eq!(fitted(large.clone(), DataType::Int8), large);
}

#[test]
fn a_value_of_another_kind_is_refused_by_its_number() {
    let refused = |value: ScalarValue, needed: DataType| {
        fit(2, &value, &needed).expect_err("refused").message().into_owned()
    };
    assert_eq!(
        refused(text("abc"), DataType::Int64),
        "the parameter $2 is \"abc\"; its place needs a number"
    );
    assert_eq!(
        refused(ScalarValue::Int64(Some(5)), DataType::Utf8),
        "the parameter $2 is a number; its place needs a text"
    );
    assert_eq!(
        refused(ScalarValue::Boolean(Some(true)), DataType::Date32),
        "the parameter $2 is true or false; its place needs a date or time"
    );
    let long = refused(text(&"ä".repeat(100)), DataType::Date32);
    assert!(long.chars().count() < 100, "{long}");
}

#[test]
fn a_null_takes_the_type_of_its_place() {
    assert_eq!(fitted(ScalarValue::Null, DataType::Date32), ScalarValue::Date32(None));
}
