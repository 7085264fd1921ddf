//! NDJSON: the lines are events already.

use std::io::{BufRead, Read};

use super::rows::{Row, Rows};
use crate::error::{Context, Error, ErrorKind, Result};

/// Longest line that is read, bytes; ingest has its own, smaller limit.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The lines of a text.
pub(super) struct NdjsonRows<R> {
    reader: R,
    line: u64,
}

impl<R: BufRead + Send> NdjsonRows<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: 0 }
    }
}

impl<R: BufRead + Send> Rows for NdjsonRows<R> {
    fn next(&mut self, output: &mut Vec<u8>) -> Result<Row> {
        let start = output.len();
        self.line += 1;
        let line = self.line;
        let read = self
            .reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', output)
            .context(ErrorKind::Invalid, format!("reading line {line}"))?;
        if read as u64 == LINE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "line {line} is longer than {LINE_BYTES_MAX} bytes; is this one event a line?"
            )));
        }
        let text = output[start..].trim_ascii();
        if self.line == 1 && text.first() == Some(&b'[') {
            let message = "the file is a JSON array; write one event a line, for example with \
                           jq -c '.[]'";
            return Err(Error::invalid(message));
        }
        let blank = text.is_empty();
        if blank {
            output.truncate(start);
        } else if output.last() != Some(&b'\n') {
            output.push(b'\n');
        }
        Ok(match (read, blank) {
            (0, _) => Row::End,
            (_, true) => Row::Blank,
            (_, false) => Row::Event,
        })
    }
}
