//! Money: US dollars with exactly twelve digits after the point.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

use rust_decimal::Decimal;

use super::decimal::{DecimalError, parse_decimal};

/// Digits after the decimal point of every amount, at rest and in memory.
/// Twelve, because a cached token can cost 2.5e-8 USD and a sum of such
/// amounts must not round.
pub const MONEY_SCALE: u32 = 12;

/// An amount in US dollars, exact to [`MONEY_SCALE`] digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The largest magnitude of one event's amount: decimal(18,12) holds six
    /// digits before the point.
    pub const EVENT_PICOS_MAX: i128 = 999_999_999_999_999_999;

    /// The amount of `picos` × 10⁻¹² USD: the integer that a decimal(_, 12)
    /// column holds. `None` beyond about 7.9 × 10¹⁶ USD.
    pub fn from_picos(picos: i128) -> Option<Self> {
        Decimal::try_from_i128_with_scale(picos, MONEY_SCALE).ok().map(Self)
    }

    /// The amount as the integer that a decimal(_, 12) column holds.
    pub fn picos(self) -> i128 {
        let mut scaled = self.0;
        scaled.rescale(MONEY_SCALE);
        scaled.mantissa()
    }

    /// Reads a decimal literal (`0.25`, `1.35e-05`) digit by digit, rounding
    /// half-even at the twelfth digit. The flag says whether it was rounded.
    pub fn parse(literal: &str) -> Result<(Self, bool), DecimalError> {
        let parsed = parse_decimal(literal, MONEY_SCALE)?;
        let money = Self::from_picos(parsed.mantissa).ok_or(DecimalError::TooLarge)?;
        Ok((money, parsed.rounded))
    }
}

/// The shortest decimal that is exactly this amount: `0.0000135`, `12`, `-3.5`.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = self.0.normalize();
        // Decimal keeps a sign on zero, which no reader expects.
        if shortest.is_zero() { formatter.write_str("0") } else { write!(formatter, "{shortest}") }
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_keeps_its_digits() {
        for (literal, shown) in [
            ("1.35e-05", "0.0000135"),
            ("0.25", "0.25"),
            ("12", "12"),
            ("-0.0", "0"),
            ("2.5E-8", "0.000000025"),
            ("999999.999999999999", "999999.999999999999"),
        ] {
            let (money, rounded) = Money::parse(literal).expect(literal);
            assert_eq!((money.to_string().as_str(), rounded), (shown, false), "{literal}");
        }
    }

    #[test]
    fn the_thirteenth_digit_rounds_half_even_and_says_so() {
        for (literal, picos) in [
            ("0.0000000000005", 0),
            ("0.0000000000015", 2),
            ("0.0000000000025", 2),
            ("0.00000000000251", 3),
            ("-0.0000000000015", -2),
        ] {
            let (money, rounded) = Money::parse(literal).expect(literal);
            assert_eq!((money.picos(), rounded), (picos, true), "{literal}");
        }
    }

    #[test]
    fn picos_round_trip() {
        for picos in [0, 1, -1, Money::EVENT_PICOS_MAX, -Money::EVENT_PICOS_MAX] {
            assert_eq!(Money::from_picos(picos).map(Money::picos), Some(picos));
        }
    }
}
