//! Exact division of integers that stand for decimals.

use crate::model::{MONEY_SCALE, Money};

/// Digits after the point of shares, percentiles and average counts.
pub(crate) const RATIO_SCALE: u32 = 6;

/// `numerator / denominator`, rounded half-even to an integer. `None` when
/// the denominator is not positive.
pub(crate) fn divide_half_even(numerator: i128, denominator: i128) -> Option<i128> {
    if denominator <= 0 {
        return None;
    }
    let quotient = numerator.div_euclid(denominator);
    let remainder = numerator.rem_euclid(denominator);
    // Compared with what is left to the next integer, which cannot overflow.
    let up = match remainder.cmp(&(denominator - remainder)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    Some(quotient + i128::from(up))
}

/// `part / whole` as a decimal with six digits, half-even.
pub(crate) fn ratio(part: i128, whole: i128) -> Option<String> {
    let (part, whole) = if whole < 0 { (-part, -whole) } else { (part, whole) };
    let scaled = part.checked_mul(10_i128.pow(RATIO_SCALE))?;
    divide_half_even(scaled, whole).map(|scaled| decimal_text(scaled, RATIO_SCALE))
}

/// An amount divided by a count, half-even at the last digit of money.
pub(crate) fn average_money(sum: Money, count: i64) -> Option<Money> {
    debug_assert_eq!(MONEY_SCALE, 12, "picos are divided as they are");
    divide_half_even(sum.picos(), i128::from(count)).and_then(Money::from_picos)
}

/// `scaled` with a point before its last `scale` digits.
fn decimal_text(scaled: i128, scale: u32) -> String {
    let unit = 10_u128.pow(scale);
    let sign = if scaled < 0 { "-" } else { "" };
    let (whole, rest) = (scaled.unsigned_abs() / unit, scaled.unsigned_abs() % unit);
    let width = usize::try_from(scale).unwrap_or_default();
    format!("{sign}{whole}.{rest:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_half_to_even() {
        for (numerator, denominator, quotient) in [
            (1, 2, 0),
            (3, 2, 2),
            (5, 2, 2),
            (-1, 2, 0),
            (-3, 2, -2),
            (-5, 2, -2),
            (7, 3, 2),
            (8, 3, 3),
            (-7, 3, -2),
        ] {
            let found = divide_half_even(numerator, denominator);
            assert_eq!(found, Some(quotient), "{numerator}/{denominator}");
        }
        assert_eq!(divide_half_even(1, 0), None);
    }

    #[test]
    fn a_ratio_has_six_digits_and_needs_a_whole() {
        assert_eq!(ratio(60, 100).as_deref(), Some("0.600000"));
        assert_eq!(ratio(2, 3).as_deref(), Some("0.666667"));
        assert_eq!(ratio(-1, 4).as_deref(), Some("-0.250000"));
        assert_eq!(ratio(-1, -4).as_deref(), Some("0.250000"));
        assert_eq!(ratio(1, 0), None);
    }

    #[test]
    fn an_average_amount_rounds_at_its_twelfth_digit() {
        let sum = Money::from_picos(10).expect("amount");
        assert_eq!(average_money(sum, 4).map(Money::picos), Some(2));
        assert_eq!(average_money(sum, 0), None);
    }
}
