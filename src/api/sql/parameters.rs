//! JSON scalars as values of `$1`, `$2`, ….

use datafusion::scalar::ScalarValue;
use serde_json::value::RawValue;

use crate::api::problem::Problem;
use crate::engine::number_value;

/// Reads each value; numbers digit by digit, never through a float.
pub(super) fn read(parameters: &[Box<RawValue>]) -> Result<Vec<ScalarValue>, Problem> {
    parameters.iter().zip(1..).map(|(raw, number)| read_one(raw.get(), number)).collect()
}

fn read_one(json: &str, number: usize) -> Result<ScalarValue, Problem> {
    let refused = |rule: &str| {
        let name = format!("${number}");
        let detail =
            format!("the parameter {name} {rule}; it is a text, a number, true, false or null");
        Problem::parameter(&name, json, detail)
    };
    match json.as_bytes().first() {
        Some(b'"') => {
            let text = serde_json::from_str(json).map_err(|_| refused("is no text"))?;
            Ok(ScalarValue::Utf8(Some(text)))
        }
        Some(b't') => Ok(ScalarValue::Boolean(Some(true))),
        Some(b'f') => Ok(ScalarValue::Boolean(Some(false))),
        Some(b'n') => Ok(ScalarValue::Null),
        Some(b'[') => Err(refused("is an array")),
        Some(b'{') => Err(refused("is an object")),
        _ => number_value(json).ok_or_else(|| refused("has more digits than a decimal holds (36)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Result<Vec<ScalarValue>, Problem> {
        read(&serde_json::from_str::<Vec<Box<RawValue>>>(json).expect("JSON"))
    }

    #[test]
    fn scalars_keep_what_they_are() {
        let read = values(r#"["a\"b", 5, 0.10, 1e-7, true, null]"#).expect("values");
        assert_eq!(
            read,
            [
                ScalarValue::Utf8(Some("a\"b".to_owned())),
                ScalarValue::Int64(Some(5)),
                ScalarValue::Decimal128(Some(10), 2, 2),
                ScalarValue::Decimal128(Some(1), 7, 7),
                ScalarValue::Boolean(Some(true)),
                ScalarValue::Null,
            ]
        );
    }

    #[test]
    fn what_is_no_scalar_is_refused_by_its_number() {
        for json in ["[1, [2]]", "[1, {}]", &format!("[1, {}]", "9".repeat(60))] {
            let problem = values(json).expect_err(json);
            assert!(problem.detail().contains("$2"), "{json}: {}", problem.detail());
        }
    }
}
