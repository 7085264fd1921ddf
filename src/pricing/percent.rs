//! Percentages with six digits after the point, and rounding.

use std::fmt;

use crate::model::parse_decimal;

/// Digits after the point of a percentage.
const PERCENT_SCALE: u32 = 6;

/// One hundred percent, and the divisor of what [`Percent`] multiplies.
pub(super) const WHOLE: i128 = 100_000_000;

/// A percentage, exact to [`PERCENT_SCALE`] digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent {
    /// In units of 10⁻⁶ percent.
    micros: i64,
}

impl Percent {
    /// Reads a decimal exactly; `None` where it is none, has more digits after
    /// the point, or lies outside the bounds (whole percents, inclusive).
    pub(super) fn parse(text: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<Self> {
        let parsed = parse_decimal(text, PERCENT_SCALE).ok().filter(|parsed| !parsed.rounded)?;
        let micros = i64::try_from(parsed.mantissa).ok()?;
        let (least, most) = (bounds.start() * 1_000_000, bounds.end() * 1_000_000);
        (least..=most).contains(&micros).then_some(Self { micros })
    }

    /// What remains of [`WHOLE`] after taking this percentage off.
    pub(super) fn off_whole(self) -> i128 {
        WHOLE - i128::from(self.micros)
    }

    /// [`WHOLE`] and this percentage.
    pub(super) fn onto_whole(self) -> i128 {
        WHOLE + i128::from(self.micros)
    }

    /// In units of 10⁻⁶ percent, as a decimal(12,6) column holds it.
    pub(super) fn micros(self) -> i128 {
        i128::from(self.micros)
    }
}

/// The shortest decimal: `12.5`, `-3`.
impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.micros.unsigned_abs();
        let digits = format!("{:06}", magnitude % 1_000_000);
        let digits = digits.trim_end_matches('0');
        let sign = if self.micros < 0 { "-" } else { "" };
        let point = if digits.is_empty() { "" } else { "." };
        write!(formatter, "{sign}{}{point}{digits}", magnitude / 1_000_000)
    }
}

/// `value / divisor` rounded to the nearest integer, ties to the even one.
pub(super) fn divide_half_even(value: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (value.div_euclid(divisor), value.rem_euclid(divisor));
    let up = match remainder.cmp(&(divisor - remainder)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_keeps_its_digits_and_its_bounds() {
        for text in ["0", "12.5", "-3", "-0.000001", "100", "33.333333"] {
            let percent = Percent::parse(text, -100..=100).expect(text);
            assert_eq!(percent.to_string(), text);
        }
        for text in ["100.000001", "0.0000001", "-101", "ten", "", "1%"] {
            assert_eq!(Percent::parse(text, -100..=100), None, "{text}");
        }
    }
}
