//! PostgreSQL's `numeric`, exact in both of its forms. In the binary form a
//! number is a run of digits of base 10,000 with the weight of the first one:
//! `src/backend/utils/adt/numeric.c`, `numeric_send` and `numeric_recv`.

use bytes::{Buf, BufMut};

use super::fault::{Fault, Outcome};

/// Decimal digits in one digit of base 10,000.
const GROUP: usize = 4;
/// Digits before and after the point of a parameter: as many as 256 bits hold.
const DIGITS_MAX: usize = 76;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Writes `unscaled` × 10^−`scale`, given as its decimal digits.
pub(super) fn put_text(out: &mut impl BufMut, unscaled: &str, scale: i8) {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    out.put_slice(sign.as_bytes());
    let places = usize::from(scale.max(0).unsigned_abs());
    if places == 0 {
        out.put_slice(digits.as_bytes());
        if digits != "0" {
            // A negative scale stands for zeros at the end.
            out.put_bytes(b'0', usize::from(scale.unsigned_abs()));
        }
        return;
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.put_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    out.put_u8(b'.');
    out.put_bytes(b'0', places - fraction.len());
    out.put_slice(fraction.as_bytes());
}

/// Writes the same number in the binary form.
pub(super) fn put_binary(out: &mut impl BufMut, unscaled: &str, scale: i8) {
    let mut text = Vec::new();
    put_text(&mut text, unscaled, scale);
    let text = String::from_utf8_lossy(&text);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (NEGATIVE, text),
        None => (POSITIVE, &*text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let lead = whole.len().next_multiple_of(GROUP) - whole.len();
    let tail = fraction.len().next_multiple_of(GROUP) - fraction.len();
    let zeros = |count| std::iter::repeat_n(b'0', count);
    let all: Vec<u8> =
        zeros(lead).chain(whole.bytes()).chain(fraction.bytes()).chain(zeros(tail)).collect();
    let mut groups: Vec<u16> = all
        .chunks(GROUP)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    groups.drain(..first);
    let last = groups.iter().rposition(|group| *group != 0).map_or(0, |at| at + 1);
    groups.truncate(last);
    let weight = if groups.is_empty() {
        0
    } else {
        i16::try_from((lead + whole.len()) / GROUP).unwrap_or(i16::MAX)
            - 1
            - i16::try_from(first).unwrap_or(i16::MAX)
    };
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(if groups.is_empty() { POSITIVE } else { sign });
    out.put_u16(u16::from(scale.max(0).unsigned_abs()));
    for group in groups {
        out.put_u16(group);
    }
}

/// A number as its decimal text, from the binary form.
pub(super) fn text_of_binary(mut bytes: &[u8]) -> Outcome<String> {
    let wrong = || Fault::new("22P03", "a numeric parameter is not in the binary format");
    if bytes.len() < 8 {
        return Err(wrong());
    }
    let count = usize::from(bytes.get_u16());
    let (weight, sign, scale) = (bytes.get_i16(), bytes.get_u16(), bytes.get_u16());
    if bytes.len() != count * 2 {
        return Err(wrong());
    }
    let sign = match sign {
        POSITIVE => "",
        NEGATIVE => "-",
        _ => return Err(Fault::new("22003", "NaN and Infinity are no numbers here")),
    };
    let (weight, scale) = (i32::from(weight), usize::from(scale));
    let whole_groups = usize::try_from(weight + 1).unwrap_or(0);
    if whole_groups * GROUP > DIGITS_MAX + GROUP || scale > DIGITS_MAX {
        return Err(too_long());
    }
    // Between the point and the first group, where that is far behind it.
    let gap = usize::try_from(-(weight + 1)).unwrap_or(0);
    if gap * GROUP > DIGITS_MAX {
        return Err(too_long());
    }
    let mut digits = "0".repeat(gap * GROUP);
    for _ in 0..count {
        let group = bytes.get_u16();
        if group >= 10_000 {
            return Err(wrong());
        }
        digits.push_str(&format!("{group:04}"));
    }
    let point = whole_groups * GROUP;
    if digits.len() < point + scale {
        digits.push_str(&"0".repeat(point + scale - digits.len()));
    }
    let whole = digits[..point].trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = &digits[point..point + scale];
    let point = if scale == 0 { "" } else { "." };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

/// The unscaled digits and the scale of a decimal text; it may have an
/// exponent.
pub(super) fn parse(text: &str) -> Outcome<(String, i8)> {
    let shown: String = text.chars().take(64).collect();
    let wrong =
        || Fault::new("22P02", format!("invalid input syntax for type numeric: \"{shown}\""));
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (text, 0),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let places = i32::try_from(fraction.len()).map_err(|_| too_long())?;
    let mut scale = places.checked_sub(exponent).ok_or_else(too_long)?;
    if scale < 0 {
        let zeros = usize::try_from(-scale).unwrap_or(usize::MAX);
        if zeros > DIGITS_MAX {
            return Err(too_long());
        }
        digits.push_str(&"0".repeat(zeros));
        scale = 0;
    }
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let scale =
        i8::try_from(scale).ok().filter(|scale| usize::from(scale.unsigned_abs()) <= DIGITS_MAX);
    match scale {
        Some(scale) if digits.len() <= DIGITS_MAX => Ok((format!("{sign}{digits}"), scale)),
        _ => Err(too_long()),
    }
}

fn too_long() -> Fault {
    Fault::new("22003", format!("a number has more than {DIGITS_MAX} digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unscaled: &str, scale: i8) -> String {
        let mut out = Vec::new();
        put_text(&mut out, unscaled, scale);
        String::from_utf8(out).expect("text")
    }

    fn binary(unscaled: &str, scale: i8) -> Vec<u8> {
        let mut out = Vec::new();
        put_binary(&mut out, unscaled, scale);
        out
    }

    #[test]
    fn the_text_has_all_digits_of_the_scale() {
        assert_eq!(text("1350", 8), "0.00001350");
        assert_eq!(text("-12345", 2), "-123.45");
        assert_eq!(text("0", 12), "0.000000000000");
        assert_eq!(text("7", 0), "7");
        assert_eq!(text("7", -2), "700");
        assert_eq!(text("0", -2), "0");
    }

    #[test]
    fn the_binary_form_is_that_of_postgresql() {
        // As `SELECT numeric_send(…)` of PostgreSQL 15 answers.
        let hex = |unscaled, scale| {
            binary(unscaled, scale).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(hex("12345678", 4), "000200000000000404d2162e");
        assert_eq!(hex("-1", 4), "0001ffff400000040001");
        assert_eq!(hex("0", 12), "000000000000000c");
        assert_eq!(hex("10000", 0), "00010001000000000001");
        assert_eq!(hex("15", 1), "0002000000000001000113 88".replace(' ', ""));
    }

    #[test]
    fn both_forms_hold_the_same_number() {
        let numbers = [
            ("0", 0),
            ("1", 12),
            ("-1", 12),
            ("99999999999999999999999999999999999999", 12),
            ("-170141183460469231731687303715884105728", 0),
            ("100000000", 4),
            ("1234567890123456789012345678901234567890123456789012", 24),
            ("10", 30),
        ];
        for (unscaled, scale) in numbers {
            let read = text_of_binary(&binary(unscaled, scale)).expect("a number");
            assert_eq!(read, text(unscaled, scale));
            let (digits, places) = parse(&read).expect("a number");
            assert_eq!(text(&digits, places), text(unscaled, scale));
        }
    }

    #[test]
    fn exponents_are_exact() {
        assert_eq!(parse("1.35e-05"), Ok(("135".to_owned(), 7)));
        assert_eq!(parse("+2.5E3"), Ok(("2500".to_owned(), 0)));
        assert_eq!(parse("-0.10"), Ok(("-10".to_owned(), 2)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in ["", ".", "-", "1e", "NaN", "1,5", "1_000", "0x1"] {
            assert_eq!(parse(wrong).expect_err("refused").code, "22P02", "{wrong}");
        }
        for long in ["1e77", "1e-77", "1e2147483647", "1e-2147483648"] {
            assert_eq!(parse(long).expect_err("refused").code, "22003", "{long}");
        }
        assert!(text_of_binary(&[]).is_err());
        assert!(text_of_binary(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(text_of_binary(&[0, 0, 0x7f, 0xff, 0, 0, 0, 0]).is_err());
        assert!(text_of_binary(&[0, 0, 0x80, 0, 0, 0, 0, 0]).is_err());
        assert_eq!(text_of_binary(&[0, 0, 0, 0, 0xc0, 0, 0, 0]).expect_err("NaN").code, "22003");
    }
}
