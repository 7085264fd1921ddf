//! Prices per token class, and what tokens cost at them.

use crate::model::{Money, TokenCounts};

/// Prices are per this many tokens.
pub(super) const TOKENS_PER_PRICE: i128 = 1_000_000;

/// Picos (10⁻¹² USD) per million tokens of each class; `None` is "not priced
/// separately".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rates {
    pub(super) input: Option<i128>,
    pub(super) cache_read: Option<i128>,
    pub(super) cache_write: Option<i128>,
    pub(super) cache_write_1h: Option<i128>,
    pub(super) output: Option<i128>,
    pub(super) reasoning: Option<i128>,
}

impl Rates {
    /// The classes in the order of the columns.
    pub(super) fn classes(&self) -> [Option<i128>; 6] {
        [
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.output,
            self.reasoning,
        ]
    }

    /// Whether any class has a price.
    pub(super) fn any(&self) -> bool {
        self.classes().iter().any(Option::is_some)
    }

    /// A rate as the shortest decimal in USD per million tokens.
    pub(super) fn shown(rate: i128) -> String {
        Money::from_picos(rate).unwrap_or_default().to_string()
    }

    /// The exact sum of tokens × rate over the classes, in picos ×
    /// [`TOKENS_PER_PRICE`]. A class without tokens needs no price; `None`
    /// where one with tokens has none.
    pub(super) fn sum(&self, tokens: &TokenCounts) -> Option<i128> {
        // Reasoning tokens are a part of the output tokens, never more.
        let reasoning =
            if self.reasoning.is_some() { tokens.reasoning.min(tokens.output) } else { 0 };
        let cache_write = self.cache_write.or(self.input);
        let charges = [
            (tokens.input, self.input),
            (tokens.cache_read, self.cache_read.or(self.input)),
            (tokens.cache_write, cache_write),
            (tokens.cache_write_1h, self.cache_write_1h.or(cache_write)),
            (tokens.output - reasoning, self.output),
            (reasoning, self.reasoning),
        ];
        // No overflow: a rate is below 10¹⁸ and a count below 10¹⁹, so that
        // six products stay below 10³⁸.
        let mut sum = 0_i128;
        for (count, rate) in charges {
            if count != 0 {
                sum += i128::from(count) * rate?;
            }
        }
        Some(sum)
    }
}
