//! What a reconciliation says in words.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::line_up::Untold;
use super::split::Cause;
use super::{ReconciliationFigures, ReconciliationRequest};
use crate::model::Money;

/// The difference and its biggest cause.
pub(super) fn summary(request: &ReconciliationRequest, total: &ReconciliationFigures) -> String {
    let provider = &request.provider;
    let size = |money: Money| money.picos().unsigned_abs();
    // The first of equals, so that the sentence is always the same.
    let biggest = total.causes.iter().rev().max_by_key(|(_, money)| size(*money));
    let Some((cause, part)) = biggest.filter(|(_, money)| *money != Money::ZERO) else {
        return format!("{provider} charges what we recorded: {} USD.", total.our_cost);
    };
    let difference = total.difference;
    let direction = match difference.picos().signum() {
        1 => format!("{difference} USD more than"),
        -1 => format!("{} USD less than", -difference),
        _ => "as much as".to_owned(),
    };
    let sign = if part.picos() < 0 { "−" } else { "+" };
    let part = if part.picos() < 0 { -*part } else { *part };
    format!(
        "{provider} charges {direction} we recorded; the biggest cause is {}: {sign}{part} USD.",
        in_words(*cause)
    )
}

fn in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::MissingEvents => "calls that one side does not have (missing_events)",
        Cause::Unpriced => "our events without a price (unpriced)",
        Cause::PriceDifference => "another price for the same tokens (price_difference)",
        Cause::TokenDifference => "other tokens for the same calls (token_difference)",
        Cause::TimeZone => "calls that our time zone books on another day (time_zone)",
        Cause::ClosedMonth => "corrections booked after their month was closed (closed_month)",
        Cause::OutsideScope => "charges for what we do not track (outside_scope)",
        Cause::Undetermined => "what a cost report alone cannot tell apart (undetermined)",
    }
}

/// What the reports leave open, and what would tell it.
pub(super) fn untold(untold: &Untold) -> Vec<String> {
    let mut sentences = Vec::new();
    if !untold.without_costs.is_empty() {
        sentences.push(format!(
            "No cost report covers {}: these days are left out.",
            days(&untold.without_costs)
        ));
    }
    if !untold.without_usage.is_empty() {
        sentences.push(format!(
            "No usage report covers {}: there missing_events, unpriced, price_difference and \
             token_difference of lines that both sides have cannot be told apart and are \
             undetermined.",
            days(&untold.without_usage)
        ));
    }
    if !untold.without_models.is_empty() {
        sentences.push(format!(
            "The reports are not grouped by model (description, line_item) on {}: each of these \
             days is one line, at the average price of a token.",
            days(&untold.without_models)
        ));
    }
    if untold.without_requests {
        sentences.push(
            "The usage report counts no requests: calls count as missing as far as prompt and \
             output tokens fall short alike, and the rest is token_difference."
                .to_owned(),
        );
    }
    if untold.without_keys {
        sentences.push(
            "No key of the reports is a key of our events: lines are by day and model.".to_owned(),
        );
    }
    sentences
}

/// `2026-10-01`, or `12 days from 2026-10-01 to 2026-10-31`.
fn days(dates: &BTreeSet<NaiveDate>) -> String {
    match (dates.first(), dates.last()) {
        (Some(first), Some(last)) if dates.len() > 1 => {
            format!("{} days from {first} to {last}", dates.len())
        }
        (Some(only), _) => only.to_string(),
        _ => "no day".to_owned(),
    }
}
