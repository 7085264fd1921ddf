//! Why the provider's amount and ours differ, as a pure function of figures.
//!
//! Each intermediate value is computed, and rounded, once, and enters the sum
//! twice with opposite signs. So the parts add up to the difference exactly,
//! whatever the figures are, and nothing is left over for a rounding line
//! (`docs/reconciliation.md` works it through).

use std::ops::AddAssign;

/// What makes the provider's amount differ from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Calls that one side has and the other has not.
    MissingEvents,
    /// Our events without a cost, valued at the provider's prices.
    Unpriced,
    /// The same tokens at another price.
    PriceDifference,
    /// Other tokens for the same calls.
    TokenDifference,
    /// Events booked on a neighbouring day, where the organization's local
    /// date is not the UTC date.
    TimeZone,
    /// Events booked into a later month, since theirs was closed.
    ClosedMonth,
    /// What is no call of a model that we track.
    OutsideScope,
    /// What cannot be told apart without a usage report.
    Undetermined,
}

impl Cause {
    /// Every cause, in the order in which they are taken off the difference.
    pub const ALL: [Self; 8] = [
        Self::MissingEvents,
        Self::Unpriced,
        Self::PriceDifference,
        Self::TokenDifference,
        Self::TimeZone,
        Self::ClosedMonth,
        Self::OutsideScope,
        Self::Undetermined,
    ];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingEvents => "missing_events",
            Self::Unpriced => "unpriced",
            Self::PriceDifference => "price_difference",
            Self::TokenDifference => "token_difference",
            Self::TimeZone => "time_zone",
            Self::ClosedMonth => "closed_month",
            Self::OutsideScope => "outside_scope",
            Self::Undetermined => "undetermined",
        }
    }
}

/// The parts of a difference, 10⁻¹² USD each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Causes([i128; 8]);

impl Causes {
    /// A difference with one cause.
    pub(super) fn only(cause: Cause, picos: i128) -> Self {
        let mut causes = Self::default();
        causes.add(cause, picos);
        causes
    }

    pub(super) fn add(&mut self, cause: Cause, picos: i128) {
        self.0[cause as usize] += picos;
    }

    /// The part of `cause`.
    pub(super) fn picos(&self, cause: Cause) -> i128 {
        self.0[cause as usize]
    }

    /// The whole difference.
    #[cfg(test)]
    pub(super) fn total_picos(&self) -> i128 {
        self.0.iter().sum()
    }
}

impl AddAssign for Causes {
    fn add_assign(&mut self, other: Self) {
        for (own, others) in self.0.iter_mut().zip(other.0) {
            *own += others;
        }
    }
}

/// An amount for so many tokens, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) picos: i128,
    pub(super) tokens: i128,
}

/// One class of tokens on both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Meter {
    /// What the provider charges, 10⁻¹² USD.
    pub(super) picos: i128,
    /// Tokens that it charges for.
    pub(super) billed: i128,
    /// Tokens that it counts and charges elsewhere (the priority tier).
    pub(super) unbilled: i128,
    /// Our tokens, those of unpriced events included.
    pub(super) ours: i128,
    /// Our tokens of unpriced events.
    pub(super) unpriced: i128,
    /// What the provider charges for this class.
    pub(super) price: Option<Price>,
    /// Whether these are generated tokens.
    pub(super) output: bool,
}

/// What both sides say of the calls of one day, model and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TokenLine {
    pub(super) meters: Vec<Meter>,
    /// `None` when the report counts no requests.
    pub(super) provider_requests: Option<i128>,
    pub(super) our_requests: i128,
    /// Our known cost, by the UTC day of the call, 10⁻¹² USD.
    pub(super) our_picos: i128,
}

/// Splits the sum of the meters' amounts minus our cost.
pub(super) fn split_tokens(line: &TokenLine) -> Causes {
    let provider: i128 = line.meters.iter().map(|meter| meter.picos).sum();
    let value = |tokens: fn(&Meter) -> i128| -> i128 {
        let of = |meter: &Meter| {
            meter.price.map_or(0, |price| portion(price.picos, tokens(meter), price.tokens))
        };
        line.meters.iter().map(of).sum()
    };
    let unbilled = value(|meter| meter.unbilled);
    // Without any price of the provider ours is the best known value.
    let priced = line.meters.iter().any(|meter| meter.price.is_some());
    let ours = if priced { value(|meter| meter.ours) } else { line.our_picos };
    let unpriced = value(|meter| meter.unpriced);
    let quantity = provider + unbilled - ours;
    let missing = missing_events(line, provider + unbilled, ours);
    let mut causes = Causes::only(Cause::OutsideScope, -unbilled);
    causes.add(Cause::MissingEvents, missing);
    causes.add(Cause::TokenDifference, quantity - missing);
    causes.add(Cause::Unpriced, unpriced);
    causes.add(Cause::PriceDifference, ours - unpriced - line.our_picos);
    causes
}

/// The value of the calls that one side lacks: their share of the calls of
/// the side that has more, as that share of its value.
fn missing_events(line: &TokenLine, provider_value: i128, our_value: i128) -> i128 {
    let (part, whole) = match line.provider_requests {
        Some(provider) => (provider - line.our_requests, provider.max(line.our_requests)),
        None => missing_share(&line.meters),
    };
    if whole <= 0 {
        return 0;
    }
    let value = if part > 0 { provider_value } else { our_value };
    portion(value, part, whole)
}

/// Without counts of requests: whole calls are missing as far as prompt and
/// output fall short alike. The smaller of both shares is taken; positive
/// when we have fewer tokens, negative when we have more.
fn missing_share(meters: &[Meter]) -> (i128, i128) {
    let mut shares = Vec::new();
    for output in [false, true] {
        let group = || meters.iter().filter(|meter| meter.output == output);
        let provider: i128 = group().map(|meter| meter.billed + meter.unbilled).sum();
        let ours: i128 = group().map(|meter| meter.ours).sum();
        if provider != 0 || ours != 0 {
            shares.push((provider - ours, provider.max(ours)));
        }
    }
    let alike =
        shares.iter().all(|(part, _)| *part > 0) || shares.iter().all(|(part, _)| *part < 0);
    let smallest = shares.into_iter().filter(|(_, whole)| *whole > 0);
    let smallest = smallest.min_by_key(|(part, whole)| portion(1_000_000_000, part.abs(), *whole));
    smallest.filter(|_| alike).unwrap_or((0, 0))
}

/// `value` × `part` / `whole`, rounded half-even. Figures too large to
/// multiply lose their last digits on both sides of the fraction.
pub(super) fn portion(value: i128, part: i128, whole: i128) -> i128 {
    let (mut part, mut whole) = (part, whole);
    if whole <= 0 {
        return 0;
    }
    if part == whole {
        return value;
    }
    let product = loop {
        if whole == 0 {
            return 0;
        }
        match value.checked_mul(part) {
            Some(product) => break product,
            None => (part, whole) = (part / 2, whole / 2),
        }
    };
    let (quotient, rest) = (product.div_euclid(whole), product.rem_euclid(whole));
    let up = match (rest - (whole - rest)).signum() {
        0 => quotient % 2 != 0,
        sign => sign > 0,
    };
    quotient + i128::from(up)
}
