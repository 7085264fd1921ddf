//! What is answered where something cannot be done: SQLSTATE and message.

use std::fmt;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

use crate::error::{Error, ErrorKind};

/// Longest message, bytes: what clients accept in one answer.
const MESSAGE_BYTES_MAX: usize = 20_000;

/// Why a statement, or the connection, cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// SQLSTATE, five signs.
    pub(super) code: &'static str,
    /// For the client.
    pub(super) message: String,
    /// Whether the connection ends.
    pub(super) is_fatal: bool,
}

/// The result of what a client asked for.
pub(super) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// The statement fails.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), is_fatal: false }
    }

    /// The connection ends.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { is_fatal: true, ..Self::new(code, message) }
    }

    /// The client broke the protocol: nothing it sends later can be trusted to
    /// mean what it says.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::fatal("08P01", message)
    }

    /// Something that PostgreSQL has and this server has not.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("0A000", message)
    }

    /// As the client is told.
    pub(super) fn to_message(&self) -> PgWireBackendMessage {
        let severity = if self.is_fatal { "FATAL" } else { "ERROR" };
        let mut message = self.message.clone();
        // Cut at a sign, never inside one.
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(end.unwrap_or_default());
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', message),
        ]))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = match error.kind() {
            ErrorKind::Internal => {
                let cause = error.full_message();
                tracing::error!(error = cause, "a statement over the PostgreSQL protocol failed");
                "the statement failed for a reason that is not in its text; see the server's log"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Self::new(sqlstate(error.kind(), &message), message)
    }
}

/// Parts of messages of the engine, and the SQLSTATE of what they say. The
/// first one that is found counts.
const INVALID: [(&str, &str); 22] = [
    ("is not run;", "25006"),
    ("SQL here only reads", "25006"),
    ("sql parser error", "42601"),
    ("SQL error: ParserError", "42601"),
    ("SQL error: TokenizerError", "42601"),
    ("SQL error: RecursionLimitExceeded", "54001"),
    ("No field named", "42703"),
    ("Ambiguous reference", "42702"),
    ("ambiguous", "42702"),
    ("Invalid function", "42883"),
    ("No function matches", "42883"),
    ("failed to match any signature", "42883"),
    ("able function", "42883"),
    ("table '", "42P01"),
    ("must appear in the GROUP BY", "42803"),
    ("GROUP BY", "42803"),
    ("Divide by zero", "22012"),
    ("divide by zero", "22012"),
    ("overflow", "22003"),
    ("Parser error", "22P02"),
    ("Cannot cast", "22P02"),
    ("Placeholder", "42P02"),
];

/// The SQLSTATE for an error of ours.
fn sqlstate(kind: ErrorKind, message: &str) -> &'static str {
    let says = |part: &str| message.contains(part);
    match kind {
        ErrorKind::Invalid => {
            let known = INVALID.iter().find(|(part, _)| says(part));
            match known {
                Some((_, code)) => code,
                None if says("not implemented") || says("not supported") => "0A000",
                // Neither syntax nor names: the values or the shape of the plan.
                None => "42000",
            }
        }
        ErrorKind::NotFound => "42P01",
        ErrorKind::Unauthenticated => "28000",
        ErrorKind::Forbidden => "42501",
        ErrorKind::Busy => "53300",
        ErrorKind::Cancelled => "57014",
        ErrorKind::RateLimited => "53400",
        ErrorKind::LimitExceeded if says("query_seconds_max") => "57014",
        ErrorKind::LimitExceeded if says("memory") => "53200",
        ErrorKind::LimitExceeded if says("spill") => "53100",
        ErrorKind::LimitExceeded => "53400",
        ErrorKind::Unavailable => "57P03",
        ErrorKind::Internal => "XX000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_engine_has_the_sqlstate_of_what_it_says() {
        let invalid = |message| sqlstate(ErrorKind::Invalid, message);
        assert_eq!(invalid("sql parser error: Expected: an expression, found: FROM"), "42601");
        assert_eq!(invalid("table 'spendlake.public.nothing' not found"), "42P01");
        assert_eq!(
            invalid("No field named nothing. Valid fields are usage_events.event_id."),
            "42703"
        );
        assert_eq!(invalid("Invalid function 'nothing'. Did you mean 'now'?"), "42883");
        assert_eq!(invalid("DDL not supported: DropTable; SQL here only reads: SELECT"), "25006");
        assert_eq!(invalid("Divide by zero error"), "22012");
        assert_eq!(invalid("Cannot cast string 'x' to value of Int64 type"), "22P02");
        assert_eq!(invalid("This feature is not implemented: x"), "0A000");
    }

    #[test]
    fn a_limit_has_the_sqlstate_of_its_resource() {
        let limit = |message| sqlstate(ErrorKind::LimitExceeded, message);
        assert_eq!(limit("ran for 5 seconds, the most allowed (query_seconds_max)"), "57014");
        assert_eq!(limit("the 10 bytes of memory for SQL (query_memory_bytes_max)"), "53200");
        assert_eq!(limit("the 10 bytes of disk for spilling (query_spill_bytes_max)"), "53100");
        assert_eq!(sqlstate(ErrorKind::Forbidden, "no"), "42501");
    }

    #[test]
    fn an_internal_cause_stays_in_the_log() {
        let fault = Fault::from(Error::internal("opening /data/secret"));
        assert_eq!(fault.code, "XX000");
        assert!(!fault.message.contains("secret"), "{fault}");
    }

    #[test]
    fn a_long_message_is_cut_between_signs() {
        let fault = Fault::new("42000", "é".repeat(MESSAGE_BYTES_MAX));
        let PgWireBackendMessage::ErrorResponse(answer) = fault.to_message() else {
            panic!("another message");
        };
        assert!(answer.fields.iter().all(|(_, text)| text.len() <= MESSAGE_BYTES_MAX));
    }
}
