//! Rows of Arrow as rows of PostgreSQL, in the text or the binary format.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Schema, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use bytes::{BufMut, BytesMut};
use chrono_tz::Tz;

use super::fault::{Fault, Outcome};
use super::frontend::Formats;
use super::nested::{json, list};
use super::numeric;
use super::time;
use super::types::pg_type;

/// Writes one value that is not null.
pub(super) type Put = Box<dyn Fn(usize, &mut BytesMut) -> Outcome<()> + Send + Sync>;

/// Writes the rows of one batch.
pub(super) struct RowWriter {
    columns: Vec<Column>,
}

/// Writes the values of one column.
pub(super) struct Column {
    pub(super) nulls: Option<NullBuffer>,
    pub(super) put: Put,
}

impl RowWriter {
    /// For `batch`, whose columns the client was told to be those of
    /// `announced`; times with a zone are written in `zone`.
    pub(super) fn new(
        batch: &RecordBatch,
        announced: &Schema,
        formats: &Formats,
        zone: Tz,
    ) -> Outcome<Self> {
        let columns = batch.columns().iter().zip(announced.fields()).enumerate();
        let columns = columns.map(|(at, (array, field))| {
            let array = announced_type(array, field)?;
            Column::new(&array, field, Style { is_binary: formats.is_binary(at), zone })
        });
        Ok(Self { columns: columns.collect::<Outcome<_>>()? })
    }

    /// Adds one row, as a whole message.
    pub(super) fn put_row(&self, row: usize, out: &mut BytesMut) -> Outcome<()> {
        out.put_u8(b'D');
        let length = placeholder(out);
        out.put_u16(u16::try_from(self.columns.len()).map_err(|_| too_large())?);
        for column in &self.columns {
            column.put(row, out)?;
        }
        fill(out, length, 0)
    }
}

/// A statement is described before its values are known, and a plan with
/// values may find a narrower type: clients get what they were told.
fn announced_type(array: &ArrayRef, field: &Field) -> Outcome<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    cast(array, field.data_type()).map_err(|error| Fault::new("22000", error.to_string()))
}

/// How values are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) is_binary: bool,
    zone: Tz,
}

impl Column {
    pub(super) fn new(array: &ArrayRef, field: &Arc<Field>, style: Style) -> Outcome<Self> {
        Ok(Self { nulls: array.logical_nulls(), put: writer(array, field, style)? })
    }

    /// Adds a value behind its length; null has the length −1.
    pub(super) fn put(&self, row: usize, out: &mut BytesMut) -> Outcome<()> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.put_i32(-1);
            return Ok(());
        }
        let length = placeholder(out);
        (self.put)(row, out)?;
        fill(out, length, 4)
    }
}

/// Room for a length, to be filled when what follows is written.
fn placeholder(out: &mut BytesMut) -> usize {
    let at = out.len();
    out.put_i32(0);
    at
}

/// Fills the length at `at`: of all that follows it, less `less` bytes.
fn fill(out: &mut BytesMut, at: usize, less: usize) -> Outcome<()> {
    let length = i32::try_from(out.len() - at - less).map_err(|_| too_large())?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(super) fn too_large() -> Fault {
    Fault::new("54000", "a row is too large for the PostgreSQL protocol; select fewer columns")
}

fn writer(array: &ArrayRef, field: &Arc<Field>, style: Style) -> Outcome<Put> {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Ok(Box::new(move |row, out| {
                let value = values.value(row);
                let text = if value { b't' } else { b'f' };
                out.put_u8(if style.is_binary { u8::from(value) } else { text });
                Ok(())
            }))
        }
        DataType::Int8 => {
            Ok(number::<Int8Type, 2>(array, style, |value| i16::from(value).to_be_bytes()))
        }
        DataType::UInt8 => {
            Ok(number::<UInt8Type, 2>(array, style, |value| i16::from(value).to_be_bytes()))
        }
        DataType::Int16 => Ok(number::<Int16Type, 2>(array, style, i16::to_be_bytes)),
        DataType::UInt16 => {
            Ok(number::<UInt16Type, 4>(array, style, |value| i32::from(value).to_be_bytes()))
        }
        DataType::Int32 => Ok(number::<Int32Type, 4>(array, style, i32::to_be_bytes)),
        DataType::UInt32 => {
            Ok(number::<UInt32Type, 8>(array, style, |value| i64::from(value).to_be_bytes()))
        }
        DataType::Int64 => Ok(number::<Int64Type, 8>(array, style, i64::to_be_bytes)),
        DataType::UInt64 => Ok(large_number(array, style)),
        DataType::Float32 => Ok(float::<Float32Type, 4>(array, style, f32::to_be_bytes)),
        DataType::Float64 => Ok(float::<Float64Type, 8>(array, style, f64::to_be_bytes)),
        DataType::Decimal128(_, scale) => Ok(decimal::<Decimal128Type>(array, *scale, style)),
        DataType::Decimal256(_, scale) => Ok(decimal::<Decimal256Type>(array, *scale, style)),
        DataType::Utf8 => {
            let values = array.as_string::<i32>().clone();
            Ok(Box::new(move |row, out| {
                out.put_slice(values.value(row).as_bytes());
                Ok(())
            }))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>().clone();
            Ok(Box::new(move |row, out| {
                bytes(values.value(row), style, out);
                Ok(())
            }))
        }
        DataType::Date32 => Ok(plain::<Date32Type>(array, style, time::put_date)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Ok(plain::<TimestampMicrosecondType>(array, style, time::put_timestamp))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Box::new(move |row, out| {
                let Style { is_binary, zone } = style;
                time::put_timestamp_with_zone(values.value(row), zone, is_binary, out)
            }))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            Ok(plain::<Time64MicrosecondType>(array, style, time::put_time))
        }
        DataType::Interval(unit) => Ok(interval(array, *unit, style)),
        other => converted(array, other, field, style),
    }
}

/// What is written as another type, as JSON, or as an array.
fn converted(array: &ArrayRef, from: &DataType, field: &Arc<Field>, style: Style) -> Outcome<Put> {
    let target = match from {
        DataType::List(_) if pg_type(field) != pgwire::api::Type::TEXT => {
            return list(array, style);
        }
        DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            DataType::List(Arc::clone(inner))
        }
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => return json(array, field),
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::Utf8,
    };
    let array = cast(array, &target).map_err(|error| {
        Fault::unsupported(format!("values of type {from} cannot be sent: {error}"))
    })?;
    let field = Arc::new(Field::new(field.name(), target, true));
    writer(&array, &field, style)
}

/// A primitive value, by a function that writes either format.
fn plain<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    style: Style,
    put: impl Fn(T::Native, bool, &mut BytesMut) + Send + Sync + 'static,
) -> Put {
    let values = array.as_primitive::<T>().clone();
    Box::new(move |row, out| {
        put(values.value(row), style.is_binary, out);
        Ok(())
    })
}

fn number<T: ArrowPrimitiveType, const N: usize>(
    array: &ArrayRef,
    style: Style,
    binary: impl Fn(T::Native) -> [u8; N] + Send + Sync + 'static,
) -> Put
where
    T::Native: std::fmt::Display,
{
    plain::<T>(array, style, move |value, is_binary, out| {
        if is_binary {
            out.put_slice(&binary(value));
        } else {
            let _ = write!(out, "{value}");
        }
    })
}

fn large_number(array: &ArrayRef, style: Style) -> Put {
    let values = array.as_primitive::<UInt64Type>().clone();
    Box::new(move |row, out| {
        let value = values.value(row);
        let value = i64::try_from(value).map_err(|_| {
            Fault::new("22003", format!("{value} is out of range for type bigint; cast it to text"))
        })?;
        if style.is_binary {
            out.put_i64(value);
        } else {
            let _ = write!(out, "{value}");
        }
        Ok(())
    })
}

fn float<T: ArrowPrimitiveType, const N: usize>(
    array: &ArrayRef,
    style: Style,
    binary: impl Fn(T::Native) -> [u8; N] + Send + Sync + 'static,
) -> Put
where
    T::Native: std::fmt::Display + std::fmt::LowerExp,
{
    plain::<T>(array, style, move |value, is_binary, out| {
        if is_binary {
            out.put_slice(&binary(value));
        } else {
            out.put_slice(float_text(&value.to_string(), &format!("{value:e}")).as_bytes());
        }
    })
}

/// The shortest text that reads back as the same number, in PostgreSQL's
/// spelling: with an exponent from 10^15 on and below 10^-4.
fn float_text(plain: &str, scientific: &str) -> String {
    match plain {
        "inf" => return "Infinity".to_owned(),
        "-inf" => return "-Infinity".to_owned(),
        _ => {}
    }
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return plain.to_owned() };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..15).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => plain.to_owned(),
    }
}

fn decimal<T: ArrowPrimitiveType>(array: &ArrayRef, scale: i8, style: Style) -> Put
where
    T::Native: std::fmt::Display,
{
    plain::<T>(array, style, move |value, is_binary, out| {
        let digits = value.to_string();
        if is_binary {
            numeric::put_binary(out, &digits, scale);
        } else {
            numeric::put_text(out, &digits, scale);
        }
    })
}

fn bytes(value: &[u8], style: Style, out: &mut BytesMut) {
    if style.is_binary {
        out.put_slice(value);
        return;
    }
    out.put_slice(b"\\x");
    for byte in value {
        let _ = write!(out, "{byte:02x}");
    }
}

fn interval(array: &ArrayRef, unit: IntervalUnit, style: Style) -> Put {
    match unit {
        IntervalUnit::YearMonth => {
            plain::<IntervalYearMonthType>(array, style, |months, is_binary, out| {
                time::put_interval((months, 0, 0), is_binary, out);
            })
        }
        IntervalUnit::DayTime => {
            plain::<IntervalDayTimeType>(array, style, |value, is_binary, out| {
                let micros = i64::from(value.milliseconds) * 1_000;
                time::put_interval((0, value.days, micros), is_binary, out);
            })
        }
        IntervalUnit::MonthDayNano => {
            plain::<IntervalMonthDayNanoType>(array, style, |value, is_binary, out| {
                let micros = value.nanoseconds / 1_000;
                time::put_interval((value.months, value.days, micros), is_binary, out);
            })
        }
    }
}

#[cfg(test)]
mod tests;
