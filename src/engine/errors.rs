//! DataFusion's errors in our kinds: what the text got wrong, which limit was
//! reached, and what is ours to repair.

use std::path::PathBuf;
use std::time::Duration;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::memory::{MemoryBounds, SHARE_SETTING, WHOLE_SETTING};
use crate::config::Config;
use crate::error::{Error, ErrorKind};

/// Most bytes of what a message says.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// The limits of ad-hoc SQL, for the messages that name them.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// Most rows of an answer, where there is such a number.
    pub(super) rows: Option<u64>,
    memory: MemoryBounds,
    spill_bytes: u64,
    data_dir: PathBuf,
}

impl Limits {
    pub(super) fn new(config: &Config, memory: MemoryBounds) -> Self {
        Self {
            time: Duration::from_secs(config.query_seconds_max.into()),
            rows: Some(config.query_rows_max).filter(|rows| *rows > 0),
            memory,
            spill_bytes: config.query_spill_bytes_max,
            data_dir: config.data_dir.clone(),
        }
    }

    /// Whether `text` tells where our files are.
    fn names_our_files(&self, text: &str) -> bool {
        let folder = std::path::absolute(&self.data_dir).unwrap_or_default();
        let folder = folder.to_string_lossy();
        let folder = folder.trim_matches('/');
        !folder.is_empty() && text.contains(folder)
    }
}

/// The statement ran for as long as it may.
pub(super) fn query_timeout(limits: &Limits) -> Error {
    let seconds = limits.time.as_secs();
    limit_exceeded(format!(
        "the statement ran for {seconds} seconds, the most allowed (query_seconds_max); ask for \
         fewer days or organizations, or raise the setting"
    ))
}

/// A statement was planned, or waited for that, for as long as it may.
pub(super) fn describe_timeout(limits: &Limits) -> Error {
    let seconds = limits.time.as_secs();
    limit_exceeded(format!(
        "the statement was not described within {seconds} seconds (query_seconds_max); make it \
         simpler, or ask again when less is under way"
    ))
}

/// The answer has more rows than it may have. It is never cut off silently: a
/// sum over half of the rows would look like a sum.
pub(super) fn too_many_rows(limits: &Limits) -> Error {
    let rows = limits.rows.unwrap_or_default();
    limit_exceeded(format!(
        "the answer has more than {rows} rows, the most allowed (query_rows_max); aggregate, add \
         a LIMIT, or use the export route, which has no such limit"
    ))
}

/// What a caller should know of `error`.
pub(super) fn explain(error: DataFusionError, limits: &Limits) -> Error {
    let text = error.to_string();
    if text.len() > MESSAGE_BYTES_MAX {
        // It repeats a value, which may be as large as memory; nobody keeps it.
        return match users_fault(error.find_root(), limits) {
            Some(message) => Error::invalid(clean(beginning(&message))),
            None => Error::internal(clean(beginning(&text))),
        };
    }
    if text.contains("used disk space during the spilling process") {
        let bytes = limits.spill_bytes;
        return limit_exceeded(format!(
            "the statement needs more than the {bytes} bytes of disk for spilling \
             (query_spill_bytes_max); ask for less, or raise the setting"
        ))
        .caused_by(error);
    }
    if is_gone(&error) {
        let message = "rows that the statement was reading were rewritten meanwhile; send it again";
        return Error::new(ErrorKind::Busy, message).caused_by(error);
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(said) if said.contains(SHARE_SETTING) => {
            let bytes = limits.memory.of_one;
            limit_exceeded(format!(
                "your statements together need more than the {bytes} bytes of memory for SQL of \
                 one caller ({SHARE_SETTING}); ask for less, one after the other, or raise the \
                 setting"
            ))
            .caused_by(error)
        }
        DataFusionError::ResourcesExhausted(_) => {
            let bytes = limits.memory.whole;
            limit_exceeded(format!(
                "the statement needs more than the {bytes} bytes of memory for SQL \
                 ({WHOLE_SETTING}); ask for less, or raise the setting"
            ))
            .caused_by(error)
        }
        root => match users_fault(root, limits) {
            Some(message) => Error::invalid(clean(&message)).caused_by(error),
            None => Error::internal("the statement failed for a reason that is not in its text")
                .caused_by(error),
        },
    }
}

/// Whether a file was deleted while it was read: forgetting a person leaves no
/// copy for those who are still reading.
fn is_gone(error: &DataFusionError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if matches!(one.downcast_ref(), Some(object_store::Error::NotFound { .. })) {
            return true;
        }
        cause = one.source();
    }
    // The Parquet reader hands some causes on as text.
    error.to_string().contains("No such file or directory")
}

/// The message, where the statement's text or the values it meets are wrong.
fn users_fault(root: &DataFusionError, limits: &Limits) -> Option<String> {
    match root {
        DataFusionError::SQL(error, _) => Some(error.to_string()),
        DataFusionError::SchemaError(error, _) => Some(error.to_string()),
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text) => Some(text.clone()),
        // Said while rows are made: of their values, or of the files they are in.
        DataFusionError::Execution(text) if limits.names_our_files(text) => None,
        DataFusionError::Execution(text) => Some(text.clone()),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::ComputeError(_)
            | ArrowError::DivideByZero
            | ArrowError::ArithmeticOverflow(_)
            | ArrowError::InvalidArgumentError(_)
            | ArrowError::NotYetImplemented(_) => Some(error.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn beginning(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// The first part of a message, on one line.
fn clean(message: &str) -> String {
    let first = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn limit_exceeded(message: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, message)
}
