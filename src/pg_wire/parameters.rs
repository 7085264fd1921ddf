//! The values that a client binds, as values of the engine.

use arrow::datatypes::DataType;
use arrow::datatypes::i256;
use bytes::Buf as _;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;

use super::fault::{Fault, Outcome};
use super::numeric;
use super::types::{arrow_type, element_type};

/// Days and microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 10_957 * 86_400_000_000;

/// Most digits that 128 bits hold.
const DIGITS_128: usize = 38;

/// A parameter of type `kind`; `None` is null.
pub(super) fn scalar(kind: &Type, is_binary: bool, value: Option<&[u8]>) -> Outcome<ScalarValue> {
    let Some(value) = value else { return null(kind) };
    if let Some(element) = element_type(kind) {
        return if is_binary { binary_array(&element, value) } else { text_array(&element, value) };
    }
    if is_binary { binary(kind, value) } else { text(kind, text_of(value)?) }
}

fn null(kind: &Type) -> Outcome<ScalarValue> {
    let data_type = match element_type(kind) {
        Some(element) => arrow_type(&element).map(|inner| DataType::new_list(inner, true)),
        None if *kind == Type::NUMERIC => Some(DataType::Decimal128(38, 12)),
        None => arrow_type(kind),
    };
    let data_type = data_type.ok_or_else(|| unknown(kind))?;
    ScalarValue::try_from(&data_type).map_err(|error| Fault::new("22023", error.to_string()))
}

fn text_of(value: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(value).map_err(|_| Fault::new("22021", "a parameter is not UTF-8"))
}

fn unknown(kind: &Type) -> Fault {
    let name = kind.name();
    Fault::unsupported(format!("parameters of type {name} are not supported; send text"))
}

fn text(kind: &Type, text: &str) -> Outcome<ScalarValue> {
    let trimmed = text.trim();
    let wrong = || {
        let shown: String = text.chars().take(64).collect();
        let name = kind.name();
        Fault::new("22P02", format!("invalid input syntax for type {name}: \"{shown}\""))
    };
    Ok(match *kind {
        Type::BOOL => ScalarValue::Boolean(Some(boolean(trimmed).ok_or_else(wrong)?)),
        Type::NUMERIC => decimal(trimmed)?,
        Type::INT2 => ScalarValue::Int16(Some(trimmed.parse().map_err(|_| wrong())?)),
        Type::INT4 => ScalarValue::Int32(Some(trimmed.parse().map_err(|_| wrong())?)),
        Type::OID => {
            let oid: u32 = trimmed.parse().map_err(|_| wrong())?;
            ScalarValue::Int32(Some(oid.cast_signed()))
        }
        Type::INT8 => ScalarValue::Int64(Some(trimmed.parse().map_err(|_| wrong())?)),
        Type::FLOAT4 => ScalarValue::Float32(Some(trimmed.parse().map_err(|_| wrong())?)),
        Type::FLOAT8 => ScalarValue::Float64(Some(trimmed.parse().map_err(|_| wrong())?)),
        Type::BYTEA => ScalarValue::Binary(Some(hex(trimmed).ok_or_else(wrong)?)),
        _ => {
            let data_type = arrow_type(kind).ok_or_else(|| unknown(kind))?;
            let value = ScalarValue::Utf8(Some(text.to_owned()));
            match data_type {
                DataType::Utf8 => value,
                _ => value.cast_to(&data_type).map_err(|_| wrong())?,
            }
        }
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `\x` and two digits a byte.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

/// A number with exactly the digits that its text has.
fn decimal(text: &str) -> Outcome<ScalarValue> {
    let (digits, scale) = numeric::parse(text)?;
    let count = digits.trim_start_matches('-').len();
    let places = usize::from(scale.unsigned_abs());
    let wrong = || Fault::new("22003", "a numeric parameter has too many digits");
    let precision = u8::try_from(count.max(places).max(1)).map_err(|_| wrong())?;
    if usize::from(precision) <= DIGITS_128 {
        let value = digits.parse().map_err(|_| wrong())?;
        return Ok(ScalarValue::Decimal128(Some(value), precision, scale));
    }
    let value = i256::from_string(&digits).ok_or_else(wrong)?;
    Ok(ScalarValue::Decimal256(Some(value), precision, scale))
}

fn binary(kind: &Type, value: &[u8]) -> Outcome<ScalarValue> {
    Ok(match *kind {
        Type::BOOL => ScalarValue::Boolean(Some(array::<1>(kind, value)? != [0])),
        Type::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(array(kind, value)?))),
        Type::INT4 | Type::OID => ScalarValue::Int32(Some(i32::from_be_bytes(array(kind, value)?))),
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(array(kind, value)?))),
        Type::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(array(kind, value)?))),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(array(kind, value)?))),
        Type::NUMERIC => decimal(&numeric::text_of_binary(value)?)?,
        Type::DATE => {
            let days = i32::from_be_bytes(array(kind, value)?);
            ScalarValue::Date32(Some(days.saturating_add(EPOCH_DAYS)))
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(array(kind, value)?).saturating_add(EPOCH_MICROS);
            let zone = (*kind == Type::TIMESTAMPTZ).then(|| "UTC".into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(array(kind, value)?))),
        Type::BYTEA => ScalarValue::Binary(Some(value.to_vec())),
        Type::UUID => {
            let id = uuid::Uuid::from_bytes(array(kind, value)?);
            ScalarValue::Utf8(Some(id.to_string()))
        }
        Type::JSONB => {
            // A version byte stands before the text.
            let text = value.strip_prefix(&[1]).unwrap_or(value);
            ScalarValue::Utf8(Some(text_of(text)?.to_owned()))
        }
        _ if arrow_type(kind) == Some(DataType::Utf8) => {
            ScalarValue::Utf8(Some(text_of(value)?.to_owned()))
        }
        _ => return Err(unknown(kind)),
    })
}

fn array<const N: usize>(kind: &Type, value: &[u8]) -> Outcome<[u8; N]> {
    value.try_into().map_err(|_| {
        let (name, bytes) = (kind.name(), value.len());
        Fault::new("22P03", format!("a parameter of type {name} has {bytes} bytes, not {N}"))
    })
}

/// `array_send`: dimensions, a flag, the type, and for each dimension its
/// length and first number. An element that is an array itself would make this
/// call itself as often as the client likes.
fn binary_array(element: &Type, mut value: &[u8]) -> Outcome<ScalarValue> {
    let body = &mut value;
    let dimensions = next_int(body)?;
    let (_has_nulls, oid) = (next_int(body)?, next_int(body)?);
    let kind = Type::from_oid(oid.cast_unsigned()).unwrap_or_else(|| element.clone());
    if dimensions > 1 || element_type(&kind).is_some() {
        return Err(Fault::unsupported("arrays of several dimensions are not supported"));
    }
    let mut elements = Vec::new();
    if dimensions == 1 {
        let count = next_int(body)?;
        next_int(body)?;
        for _ in 0..count {
            let one = match usize::try_from(next_int(body)?) {
                Ok(bytes) => Some(body.split_off(..bytes).ok_or_else(short)?),
                Err(_) => None,
            };
            elements.push(scalar(&kind, true, one)?);
        }
    }
    list(&kind, elements)
}

fn next_int(body: &mut &[u8]) -> Outcome<i32> {
    body.try_get_i32().map_err(|_| short())
}

fn short() -> Fault {
    Fault::new("22P03", "an array parameter is not in the binary format")
}

/// `{1,2,NULL,"a \"b\""}`.
fn text_array(element: &Type, value: &[u8]) -> Outcome<ScalarValue> {
    let text = text_of(value)?.trim();
    let wrong = || Fault::new("22P02", "malformed array literal");
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(wrong)?;
    let mut elements = Vec::new();
    let mut signs = inner.chars().peekable();
    while signs.peek().is_some() {
        let mut content = String::new();
        let is_quoted = signs.next_if_eq(&'"').is_some();
        loop {
            match signs.next() {
                None if is_quoted => return Err(wrong()),
                None => break,
                Some('"') if is_quoted => {
                    if signs.next().is_some_and(|next| next != ',') {
                        return Err(wrong());
                    }
                    break;
                }
                Some(',') if !is_quoted => break,
                Some('{' | '}') if !is_quoted => {
                    return Err(Fault::unsupported("arrays of arrays are not supported"));
                }
                Some('\\') => content.push(signs.next().ok_or_else(wrong)?),
                Some(sign) => content.push(sign),
            }
        }
        let is_null = !is_quoted && content.eq_ignore_ascii_case("null");
        let one = (!is_null).then_some(content.as_bytes());
        elements.push(scalar(element, false, one)?);
    }
    list(element, elements)
}

fn list(element: &Type, elements: Vec<ScalarValue>) -> Outcome<ScalarValue> {
    // Numbers of different scales: the first that holds all digits of all.
    let data_type = elements.iter().map(ScalarValue::data_type).reduce(wider);
    let data_type = data_type.or_else(|| arrow_type(element)).ok_or_else(|| unknown(element))?;
    let same =
        elements.into_iter().map(|one| one.cast_to(&data_type)).collect::<Result<Vec<_>, _>>();
    let same = same.map_err(|error| Fault::new("22023", error.to_string()))?;
    Ok(ScalarValue::List(ScalarValue::new_list(&same, &data_type, true)))
}

fn wider(one: DataType, other: DataType) -> DataType {
    use DataType::{Decimal128, Decimal256};
    match (&one, &other) {
        (Decimal128(a, x) | Decimal256(a, x), Decimal128(b, y) | Decimal256(b, y)) => {
            let scale = *x.max(y);
            let whole = |precision: &u8, scale: &i8| i16::from(*precision) - i16::from(*scale);
            let precision = whole(a, x).max(whole(b, y)) + i16::from(scale);
            let precision = u8::try_from(precision).unwrap_or(76).min(76);
            if usize::from(precision) <= DIGITS_128 {
                Decimal128(precision, scale)
            } else {
                Decimal256(precision, scale)
            }
        }
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &Type, is_binary: bool, value: &[u8]) -> Outcome<ScalarValue> {
        scalar(kind, is_binary, Some(value))
    }

    #[test]
    fn both_formats_give_the_same_value() {
        let pairs: [(Type, &str, Vec<u8>); 6] = [
            (Type::INT4, "-5", (-5_i32).to_be_bytes().to_vec()),
            (Type::INT8, "7", 7_i64.to_be_bytes().to_vec()),
            (Type::BOOL, "t", vec![1]),
            (Type::FLOAT8, "0.1", 0.1_f64.to_be_bytes().to_vec()),
            (Type::DATE, "2000-01-02", 1_i32.to_be_bytes().to_vec()),
            (Type::TIMESTAMPTZ, "2000-01-01T00:00:01Z", 1_000_000_i64.to_be_bytes().to_vec()),
        ];
        for (kind, text, bytes) in pairs {
            let from_text = read(&kind, false, text.as_bytes()).expect("from text");
            assert_eq!(read(&kind, true, &bytes).expect("from binary"), from_text, "{kind}");
        }
    }

    #[test]
    fn a_numeric_keeps_each_digit() {
        let value = read(&Type::NUMERIC, false, b"0.000013500");
        assert_eq!(value, Ok(ScalarValue::Decimal128(Some(13_500), 9, 9)));
        let long = read(&Type::NUMERIC, false, "9".repeat(60).as_bytes());
        assert!(matches!(long, Ok(ScalarValue::Decimal256(_, 60, 0))), "{long:?}");
        let mut bytes = Vec::new();
        numeric::put_binary(&mut bytes, "13500", 9);
        assert_eq!(read(&Type::NUMERIC, true, &bytes), value);
    }

    #[test]
    fn arrays_are_read_in_both_formats() {
        let words = read(&Type::TEXT_ARRAY, false, br#"{a,"b,\"c",NULL}"#).expect("an array");
        let ScalarValue::List(words) = words else { panic!("{words:?}") };
        assert_eq!(words.value_length(0), 3);
        let mut bytes = Vec::new();
        for number in [1_i32, 0, 23, 2, 1, 4, 10, 4, 20] {
            bytes.extend(number.to_be_bytes());
        }
        let numbers = read(&Type::INT4_ARRAY, true, &bytes);
        assert_eq!(numbers, read(&Type::INT4_ARRAY, false, b"{10,20}"));
        let money = read(&Type::NUMERIC_ARRAY, false, b"{1.5,20,0.001}").expect("an array");
        let inner = DataType::new_list(DataType::Decimal128(5, 3), true);
        assert_eq!(money.data_type(), inner);
    }

    #[test]
    fn an_array_within_an_array_is_refused_however_deep() {
        let mut bytes = Vec::new();
        for _ in 0..20_000 {
            // What an element holds is the next array of the same kind.
            for number in [1_i32, 0, 1007, 1, 1] {
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(0_i32.to_be_bytes());
        }
        // Each length is that of all behind it.
        let all = bytes.len();
        for at in (20..all).step_by(24) {
            let rest = i32::try_from(all - at - 4).expect("short");
            bytes[at..at + 4].copy_from_slice(&rest.to_be_bytes());
        }
        let refused = read(&Type::INT4_ARRAY, true, &bytes).expect_err("refused");
        assert_eq!(refused.code, "0A000");
    }

    #[test]
    fn what_does_not_fit_its_type_is_refused() {
        let code = |kind: &Type, is_binary, value: &[u8]| {
            read(kind, is_binary, value).expect_err("refused").code
        };
        assert_eq!(code(&Type::INT4, false, b"x"), "22P02");
        assert_eq!(code(&Type::INT4, true, b"x"), "22P03");
        assert_eq!(code(&Type::DATE, false, b"tomorrow-ish"), "22P02");
        assert_eq!(code(&Type::TEXT, false, b"\xff"), "22021");
        assert_eq!(code(&Type::INT4_ARRAY, true, b"\0"), "22P03");
        assert_eq!(code(&Type::INT4_ARRAY, false, b"{1"), "22P02");
        assert_eq!(code(&Type::POINT, false, b"(1,2)"), "0A000");
    }

    #[test]
    fn null_has_the_type_of_its_parameter() {
        assert_eq!(scalar(&Type::INT8, false, None), Ok(ScalarValue::Int64(None)));
        assert_eq!(scalar(&Type::TEXT, true, None), Ok(ScalarValue::Utf8(None)));
        assert!(scalar(&Type::TEXT_ARRAY, true, None).is_ok());
    }
}
