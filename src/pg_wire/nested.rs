//! Values that hold others: arrays of PostgreSQL, and JSON for the rest.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use arrow::json::writer::{EncoderOptions, make_encoder};
use bytes::{BufMut, BytesMut};

use super::encode::{Column, Put, Style, too_large};
use super::fault::{Fault, Outcome};
use super::types::{is_text, pg_type};

/// Objects and arrays as JSON, in both formats the same text.
pub(super) fn json(array: &ArrayRef, field: &Arc<Field>) -> Outcome<Put> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, array.as_ref(), &options).map_err(|error| {
        Fault::unsupported(format!("values of type {} cannot be sent: {error}", array.data_type()))
    })?;
    let nulls = array.logical_nulls();
    let mut text = Vec::new();
    let mut ends = vec![0];
    for row in 0..array.len() {
        if !nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            encoder.encode(row, &mut text);
        }
        ends.push(text.len());
    }
    Ok(Box::new(move |row, out| {
        out.put_slice(&text[ends[row]..ends[row + 1]]);
        Ok(())
    }))
}

/// Arrays of one dimension: `array_out` and `array_send` of PostgreSQL.
pub(super) fn list(array: &ArrayRef, style: Style) -> Outcome<Put> {
    let lists = array.as_list::<i32>().clone();
    let DataType::List(inner) = lists.data_type() else { return Err(too_large()) };
    let inner = Arc::clone(inner);
    let element = pg_type(&inner).oid();
    let quotes = is_text(inner.data_type());
    let values = Column::new(lists.values(), &inner, style)?;
    Ok(Box::new(move |row, out| {
        let offsets = lists.value_offsets();
        let range = offset(offsets[row])..offset(offsets[row + 1]);
        if style.is_binary {
            put_array(&values, range, element, out)
        } else {
            put_array_text(&values, range, quotes, out)
        }
    }))
}

fn offset(value: i32) -> usize {
    usize::try_from(value).unwrap_or_default()
}

fn put_array(
    values: &Column,
    range: Range<usize>,
    element: u32,
    out: &mut BytesMut,
) -> Outcome<()> {
    let nulls = values.nulls.as_ref();
    let has_nulls = range.clone().any(|at| nulls.is_some_and(|nulls| nulls.is_null(at)));
    out.put_i32(i32::from(!range.is_empty()));
    out.put_i32(i32::from(has_nulls));
    out.put_u32(element);
    if range.is_empty() {
        return Ok(());
    }
    out.put_i32(i32::try_from(range.len()).map_err(|_| too_large())?);
    out.put_i32(1);
    for at in range {
        values.put(at, out)?;
    }
    Ok(())
}

fn put_array_text(
    values: &Column,
    range: Range<usize>,
    quotes: bool,
    out: &mut BytesMut,
) -> Outcome<()> {
    out.put_u8(b'{');
    let first = range.start;
    for at in range {
        if at > first {
            out.put_u8(b',');
        }
        if values.nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
            out.put_slice(b"NULL");
            continue;
        }
        let mut text = BytesMut::new();
        (values.put)(at, &mut text)?;
        // Whatever is not plain digits may hold signs that mean something.
        if !quotes && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(byte))
        {
            out.put_slice(&text);
            continue;
        }
        out.put_u8(b'"');
        for byte in text {
            if byte == b'"' || byte == b'\\' {
                out.put_u8(b'\\');
            }
            out.put_u8(byte);
        }
        out.put_u8(b'"');
    }
    out.put_u8(b'}');
    Ok(())
}
