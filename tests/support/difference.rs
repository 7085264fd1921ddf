//! Compares two JSON values and names the first place at which they differ.

use serde_json::Value;

/// Fails with the first place at which the two differ.
pub(crate) fn assert_same(what: &str, expected: &Value, found: &Value) {
    if let Some(difference) = first_difference(expected, found, "") {
        panic!("{what}\n  {difference}");
    }
}

fn first_difference(expected: &Value, found: &Value, place: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys());
            names.into_iter().find_map(|name| match (left.get(name), right.get(name)) {
                (Some(left), Some(right)) => {
                    first_difference(left, right, &format!("{place}.{name}"))
                }
                (left, right) => {
                    Some(format!("{place}.{name}: expected {left:?}, found {right:?}"))
                }
            })
        }
        (Value::Array(left), Value::Array(right)) => {
            let both = left.iter().zip(right).enumerate();
            let inside = both.into_iter().find_map(|(at, (left, right))| {
                first_difference(left, right, &format!("{place}[{at}]"))
            });
            let (left, right) = (left.len(), right.len());
            inside.or_else(|| {
                (left != right).then(|| format!("{place}: expected {left} items, found {right}"))
            })
        }
        _ => (expected != found).then(|| format!("{place}: expected {expected}, found {found}")),
    }
}
