//! The measures of some events, and exact arithmetic on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Row;

/// The measures of every answer.
pub(crate) const MEASURES: [&str; 16] = [
    "total_cost",
    "actual_api_cost",
    "profit_amount",
    "total_events",
    "total_conversations",
    "total_users",
    "total_tokens",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_events",
    "failed_events",
    "duration_ms",
];

/// Every measure of some events; money in picodollars, unknown as `None`.
pub(super) fn numbers(rows: &[&Row]) -> BTreeMap<&'static str, Option<i128>> {
    let known = |pick: &dyn Fn(&Row) -> Option<i128>| {
        let values: Vec<i128> = rows.iter().filter_map(|row| pick(row)).collect();
        // Nothing costs nothing; events of unknown cost have an unknown sum.
        (rows.is_empty() || !values.is_empty()).then(|| values.iter().sum())
    };
    let count =
        |keep: &dyn Fn(&Row) -> bool| Some(rows.iter().filter(|row| keep(row)).count() as i128);
    let distinct = |pick: &dyn Fn(&Row) -> Option<String>| {
        let pairs: BTreeSet<(&str, String)> =
            rows.iter().filter_map(|row| Some((row.organization.as_str(), pick(row)?))).collect();
        Some(pairs.len() as i128)
    };
    let tokens = |class: usize| Some(rows.iter().map(|row| i128::from(row.tokens[class])).sum());
    let total = rows.iter().flat_map(|row| &row.tokens[..5]).map(|tokens| i128::from(*tokens));
    let durations: Vec<i64> = rows.iter().filter_map(|row| row.duration_ms).collect();
    BTreeMap::from([
        ("total_cost", known(&|row| row.charged)),
        ("actual_api_cost", known(&|row| row.actual)),
        ("profit_amount", known(&|row| Some(row.charged? - row.actual?))),
        ("total_events", Some(rows.len() as i128)),
        ("total_conversations", distinct(&|row| row.conversation.clone())),
        ("total_users", distinct(&|row| row.user.clone())),
        ("total_tokens", Some(total.sum())),
        ("input_tokens", tokens(0)),
        ("cache_read_tokens", tokens(1)),
        ("cache_write_tokens", tokens(2)),
        ("cache_write_1h_tokens", tokens(3)),
        ("output_tokens", tokens(4)),
        ("reasoning_tokens", tokens(5)),
        ("unpriced_events", count(&|row| row.actual.is_none())),
        ("failed_events", count(&|row| row.status == "failed")),
        (
            "duration_ms",
            (!durations.is_empty()).then(|| durations.iter().map(|ms| i128::from(*ms)).sum()),
        ),
    ])
}

pub(super) fn measures(rows: &[&Row]) -> Map<String, Value> {
    wire(&numbers(rows))
}

pub(super) fn wire(numbers: &BTreeMap<&'static str, Option<i128>>) -> Map<String, Value> {
    let value = |name: &str, number: Option<i128>| match number {
        None => Value::Null,
        Some(picos) if MEASURES[..3].contains(&name) => money_text(picos).into(),
        Some(number) => whole_number(number).into(),
    };
    numbers.iter().map(|(name, number)| ((*name).to_owned(), value(name, *number))).collect()
}

pub(super) fn whole_number(number: i128) -> i64 {
    i64::try_from(number).expect("a small number")
}

/// The shortest decimal that is exactly this many picodollars.
pub(crate) fn money_text(picos: i128) -> String {
    let unit = 10_u128.pow(12);
    let sign = if picos < 0 { "-" } else { "" };
    let (dollars, rest) = (picos.unsigned_abs() / unit, picos.unsigned_abs() % unit);
    let digits = format!("{sign}{dollars}.{rest:012}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Rounded half-even; both are 0 or more.
pub(crate) fn divide(numerator: i128, denominator: i128) -> i128 {
    let (quotient, twice_rest) = (numerator / denominator, numerator % denominator * 2);
    let up = twice_rest > denominator || (twice_rest == denominator && quotient % 2 == 1);
    quotient + i128::from(up)
}

/// Six digits; `None` of nothing.
pub(super) fn ratio(part: i128, whole: i128) -> Option<String> {
    let millionths = (whole > 0).then(|| divide(part * 1_000_000, whole))?;
    Some(format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))
}
