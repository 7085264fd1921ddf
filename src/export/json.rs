//! JSON objects whose amounts are strings.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;

use super::shortest_decimal;
use crate::error::{Context, Result};

/// Writes rows as objects, nulls included, either one a line or as an array.
#[derive(Debug)]
pub(super) struct JsonWriter {
    array: bool,
    rows_written: bool,
}

impl JsonWriter {
    pub(super) fn array() -> Self {
        Self { array: true, rows_written: false }
    }

    pub(super) fn lines() -> Self {
        Self { array: false, rows_written: false }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        let builder = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.6fZ".to_owned())
            .with_encoder_factory(Arc::new(DecimalsAsStrings));
        let mut writer = builder.build::<_, LineDelimited>(Vec::new());
        writer.write(batch).internal("writing JSON")?;
        let lines = writer.into_inner();
        if !self.array {
            return Ok(lines.into());
        }
        // Each object is one line, and a line break inside a string is
        // escaped: the lines become the items of the array.
        let mut items = Vec::with_capacity(lines.len() + batch.num_rows() + 1);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            items.extend_from_slice(if self.rows_written { b",\n" } else { b"[" });
            items.extend_from_slice(line);
            self.rows_written = true;
        }
        Ok(items.into())
    }

    pub(super) fn finish(self) -> Bytes {
        match (self.array, self.rows_written) {
            (false, _) => Bytes::new(),
            (true, true) => Bytes::from_static(b"]\n"),
            (true, false) => Bytes::from_static(b"[]\n"),
        }
    }
}

/// Arrow writes decimals as JSON numbers, which most readers take as floats.
#[derive(Debug)]
struct DecimalsAsStrings;

impl EncoderFactory for DecimalsAsStrings {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> std::result::Result<Option<NullableEncoder<'a>>, ArrowError> {
        let decimal = matches!(
            array.data_type(),
            DataType::Decimal32(_, _)
                | DataType::Decimal64(_, _)
                | DataType::Decimal128(_, _)
                | DataType::Decimal256(_, _)
        );
        if !decimal {
            return Ok(None);
        }
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new())?;
        let encoder = Box::new(DecimalEncoder(formatter));
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct DecimalEncoder<'a>(ArrayFormatter<'a>);

impl Encoder for DecimalEncoder<'_> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let digits = self.0.value(index).to_string();
        // Writing to a vector cannot fail.
        let _ = write!(out, "\"{}\"", shortest_decimal(&digits));
    }
}
