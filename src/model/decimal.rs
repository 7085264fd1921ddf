//! Reads a decimal literal exactly: its digits become an integer and a scale,
//! never a float.

/// A literal as an integer at a fixed scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedDecimal {
    /// The value times ten to the power of the scale.
    pub mantissa: i128,
    /// Whether digits beyond the scale were rounded away (half-even).
    pub rounded: bool,
}

/// Why a literal is not a usable decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a decimal number: NaN, Infinity, an empty string, stray characters.
    NotANumber,
    /// More digits before the point than an `i128` of this scale can hold.
    TooLarge,
}

/// Mantissas stay below this, so that one more digit cannot overflow `i128`.
const MANTISSA_MAX: i128 = 10_i128.pow(36);

/// Exponents beyond this are either zero or too large whatever the digits.
const EXPONENT_MAX: i64 = 100_000;

/// Parses `[-+]digits[.digits][e[-+]digits]` at `scale` digits after the
/// point, rounding half-even. Work is linear in the literal's length.
pub fn parse_decimal(literal: &str, scale: u32) -> Result<ParsedDecimal, DecimalError> {
    let (negative, unsigned) = match literal.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let exponent_at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (number, exponent) = match exponent_at {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let point = number.iter().position(|byte| *byte == b'.').unwrap_or(number.len());
    let (whole, fraction) = (&number[..point], number.get(point + 1..).unwrap_or_default());
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::NotANumber);
    }
    // How many of the digits, read from the left, stay once the value is
    // scaled; the rest only decide the rounding.
    let kept =
        i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent) + i64::from(scale);
    let mut digits = Digits::default();
    for (index, byte) in (0_i64..).zip(whole.iter().chain(fraction)) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9);
        digits.push(digit.ok_or(DecimalError::NotANumber)?, index < kept)?;
    }
    let count = i64::try_from(whole.len() + fraction.len()).unwrap_or(i64::MAX);
    let mantissa = digits.finish(kept, count)?;
    Ok(ParsedDecimal {
        mantissa: if negative { -mantissa } else { mantissa },
        rounded: digits.dropped_nonzero,
    })
}

fn parse_exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    let value = digits
        .iter()
        .fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Ok(if negative { -value } else { value })
}

/// The digits read so far, split into those kept and what was dropped.
#[derive(Default)]
struct Digits {
    kept: i128,
    first_dropped: Option<u8>,
    dropped_nonzero: bool,
    beyond_first_nonzero: bool,
}

impl Digits {
    fn push(&mut self, digit: u8, keep: bool) -> Result<(), DecimalError> {
        if keep {
            self.kept = self.kept * 10 + i128::from(digit);
            if self.kept >= MANTISSA_MAX {
                return Err(DecimalError::TooLarge);
            }
            return Ok(());
        }
        self.dropped_nonzero |= digit != 0;
        if self.first_dropped.is_none() {
            self.first_dropped = Some(digit);
        } else {
            self.beyond_first_nonzero |= digit != 0;
        }
        Ok(())
    }

    /// Scales up when the literal ended before `kept_count` digits, else
    /// rounds by what was dropped.
    fn finish(&self, kept_count: i64, count: i64) -> Result<i128, DecimalError> {
        if kept_count < 0 {
            // Even the first digit lies beyond one half of the last place.
            return Ok(0);
        }
        let mut mantissa = self.kept;
        for _ in 0..(kept_count - count).max(0) {
            if mantissa == 0 {
                break;
            }
            mantissa *= 10;
            if mantissa >= MANTISSA_MAX {
                return Err(DecimalError::TooLarge);
            }
        }
        let first = self.first_dropped.unwrap_or(0);
        let up = first > 5 || (first == 5 && (self.beyond_first_nonzero || mantissa % 2 == 1));
        Ok(mantissa + i128::from(up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_decimal_is_refused() {
        for literal in
            ["", "-", ".", "NaN", "Infinity", "1e", "1e+", "0x10", "1_000", "1.2.3", " 1", "1 "]
        {
            assert_eq!(parse_decimal(literal, 12), Err(DecimalError::NotANumber), "{literal:?}");
        }
    }

    #[test]
    fn huge_literals_are_too_large_and_tiny_ones_round_to_zero() {
        assert_eq!(parse_decimal("1e400", 12), Err(DecimalError::TooLarge));
        assert_eq!(parse_decimal(&"9".repeat(40), 12), Err(DecimalError::TooLarge));
        let tiny = parse_decimal("1e-400", 12);
        assert_eq!(tiny, Ok(ParsedDecimal { mantissa: 0, rounded: true }));
        let zero = parse_decimal("0e400", 12);
        assert_eq!(zero, Ok(ParsedDecimal { mantissa: 0, rounded: false }));
    }

    #[test]
    fn forty_digits_after_the_point_round_once() {
        let parsed = parse_decimal("0.1234567890125000000000000000000000000001", 12);
        assert_eq!(parsed, Ok(ParsedDecimal { mantissa: 123_456_789_013, rounded: true }));
    }
}
