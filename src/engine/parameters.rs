//! The values of `$1`, `$2`, …: bound to a plan, never written into its text.

use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;

use super::statement::parameter_types;
use crate::model::parse_decimal;

/// Longest value that a message repeats, characters.
const SHOWN_CHARS_MAX: usize = 40;

/// Most digits after the point that a decimal column can have.
const SCALE_MAX: i64 = 38;

/// `plan` with each parameter replaced by its value.
///
/// Errors name the parameter: one without a value, a value without one, and a
/// value of another kind than its place needs.
pub(super) fn bind(plan: LogicalPlan, values: &[ScalarValue]) -> Result<LogicalPlan> {
    let needed = parameter_types(&plan)?;
    if needed.len() != values.len() {
        return Err(wrong_count(needed.len(), values.len()));
    }
    if values.is_empty() {
        return Ok(plan);
    }
    let fitted =
        values.iter().zip(&needed).zip(1..).map(|((value, needed), number)| match needed {
            Some(needed) => fit(number, value, needed),
            None => Ok(value.clone()),
        });
    plan.with_param_values(fitted.collect::<Result<Vec<_>>>()?)
}

fn wrong_count(parameters: usize, values: usize) -> DataFusionError {
    let has = match parameters {
        0 => "no parameters".to_owned(),
        1 => "1 parameter ($1)".to_owned(),
        more => format!("{more} parameters ($1 to ${more})"),
    };
    let missing = values + 1;
    DataFusionError::Plan(if values < parameters {
        format!("the parameter ${missing} has no value: the statement has {has}, {values} came")
    } else {
        let extra = parameters + 1;
        format!("there is no parameter ${extra}: the statement has {has}, {values} values came")
    })
}

/// What a value is, for whoever writes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    Moment,
    Other,
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            kind if kind.is_string() => Self::Text,
            kind if kind.is_numeric() => Self::Number,
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Boolean => Self::Truth,
            kind if kind.is_temporal() => Self::Moment,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Moment => "a date or time",
            Self::Other => "something else",
        }
    }
}

/// `value` as its place needs it. A text is read as what is needed. A number
/// that the needed type cannot hold exactly stays as it is, so that a
/// comparison with it is exact.
fn fit(number: usize, value: &ScalarValue, needed: &DataType) -> Result<ScalarValue> {
    if value.is_null() {
        return ScalarValue::try_from(needed);
    }
    if value.data_type() == *needed {
        return Ok(value.clone());
    }
    let wrong = |shown: &str| {
        let needed = Kind::of(needed).name();
        DataFusionError::Plan(format!(
            "the parameter ${number} is {shown}; its place needs {needed}"
        ))
    };
    match (Kind::of(&value.data_type()), Kind::of(needed)) {
        (Kind::Text, Kind::Number) => {
            let text = text_of(value)?;
            let read = number_value(text.trim()).ok_or_else(|| wrong(&shown(&text)))?;
            Ok(exactly(read, needed))
        }
        (Kind::Text, Kind::Text) => value.cast_to(needed),
        (Kind::Text, _) => {
            let text = text_of(value)?;
            value.cast_to(needed).map_err(|_| wrong(&shown(&text)))
        }
        (Kind::Number, Kind::Number) => Ok(exactly(value.clone(), needed)),
        (own, other) if own == other => Ok(value.clone()),
        (own, _) => Err(wrong(own.name())),
    }
}

/// `value` as a `needed`, where that changes nothing about it.
fn exactly(value: ScalarValue, needed: &DataType) -> ScalarValue {
    let there = value.cast_to(needed).ok().filter(|cast| !cast.is_null());
    let and_back = there.as_ref().and_then(|cast| cast.cast_to(&value.data_type()).ok());
    match there {
        Some(cast) if and_back.as_ref() == Some(&value) => cast,
        _ => value,
    }
}

fn text_of(value: &ScalarValue) -> Result<String> {
    let texts = value.cast_to(&DataType::Utf8)?.to_array()?;
    Ok(as_string_array(&texts)?.value(0).to_owned())
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The value of a number's literal, digit by digit: a 64-bit integer where it
/// is one, else an exact decimal. `None` where it is no number, or has more
/// digits than a decimal holds.
pub fn number_value(literal: &str) -> Option<ScalarValue> {
    if let Ok(whole) = literal.parse::<i64>() {
        return Some(ScalarValue::Int64(Some(whole)));
    }
    let (digits, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    let fraction = i64::try_from(fraction.len()).ok()?;
    let scale = fraction.checked_sub(exponent.parse::<i64>().ok()?)?.max(0);
    if scale > SCALE_MAX {
        return None;
    }
    let mantissa = parse_decimal(literal, u32::try_from(scale).ok()?).ok()?.mantissa;
    if scale == 0
        && let Ok(whole) = i64::try_from(mantissa)
    {
        return Some(ScalarValue::Int64(Some(whole)));
    }
    let digits = mantissa.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    let precision = u8::try_from(i64::from(digits).max(scale)).ok()?;
    Some(ScalarValue::Decimal128(Some(mantissa), precision, i8::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests;
