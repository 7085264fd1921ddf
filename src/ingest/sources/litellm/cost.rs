//! What LiteLLM's `response_cost` says, and what it does not.
//!
//! It is 0 in four cases that mean four things: LiteLLM answered from its own
//! cache (nothing was paid), the call was refused (nothing was paid), it has no
//! price for the model (not known), or it saw no usage (not known). A model
//! that the operator added to LiteLLM is in its price map with all prices 0,
//! so that the map's entry does not tell "free" from "nobody said".

use super::Call;
use crate::model::TokenCounts;

/// Where an event's actual cost comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cost<'a> {
    /// LiteLLM's figure, as its literal.
    Reported(&'a str),
    /// Our price book decides, which may leave the event unpriced.
    ByPriceBook,
    /// Nobody knows what was used, so that no price can tell the cost.
    Unknown,
}

/// Answers of a provider, or of LiteLLM itself, that refuse a call before the
/// model runs. Not among them are timeouts (408, 499) and errors of the server
/// (5xx), after which a provider may bill what it had produced.
const REFUSED: [&str; 8] = ["400", "401", "402", "403", "404", "413", "422", "429"];

/// The cost of `call`; `tokens` is `None` where no usage was counted.
pub(super) fn cost<'a>(call: &Call<'a>, tokens: Option<&TokenCounts>, provider: &str) -> Cost<'a> {
    let literal = call.payload.number("response_cost").or_else(|| call.payload.number("cost"));
    match literal {
        Some(literal) if !is_zero(literal) => Cost::Reported(literal),
        _ if call.payload.is_true("cache_hit") => Cost::Reported("0"),
        _ if tokens.is_some() => Cost::ByPriceBook,
        _ if call.failed() && was_refused(call, provider) => Cost::Reported("0"),
        _ => Cost::Unknown,
    }
}

/// Azure bills prompts that its content filter refuses with 400.
fn was_refused(call: &Call<'_>, provider: &str) -> bool {
    let Some(code) = call.error.id("error_code") else { return false };
    REFUSED.contains(&&*code) && !(provider == "azure" && code == "400")
}

/// Whether a number's literal is 0, whatever its sign and exponent.
fn is_zero(literal: &str) -> bool {
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().all(|byte| !matches!(byte, b'1'..=b'9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_a_zero_in_every_spelling() {
        assert!(["0", "0.0", "-0.0", "0e5", "0.000E-9"].into_iter().all(is_zero));
        assert!(!["1e-9", "0.00033000000000000005", "10"].into_iter().any(is_zero));
    }
}
