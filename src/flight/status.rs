//! Our errors as gRPC statuses.

use tonic::{Code, Status};

use crate::error::{Error, ErrorKind};

/// The code of each kind of error: the only place that knows.
fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        // Clients send again what was unavailable, and only that.
        ErrorKind::Busy | ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::RateLimited | ErrorKind::LimitExceeded => Code::ResourceExhausted,
        ErrorKind::Internal => Code::Internal,
    }
}

/// What a caller is told of `error`. An internal error's message goes to the
/// log alone, and so does every cause.
pub(super) fn status_of(error: &Error) -> Status {
    let code = code_of(error.kind());
    let cause = error.full_message();
    if code == Code::Internal {
        tracing::error!(cause, "a Flight SQL call failed");
        return Status::internal("the call met a defect; the server's log says more");
    }
    tracing::debug!(cause, "a Flight SQL call was refused");
    let mut status = Status::new(code, error.to_string());
    if let Some(seconds) = error.retry_after_seconds() {
        status.metadata_mut().insert("retry-after", seconds.into());
    }
    status
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        status_of(&error)
    }
}

/// What this door never does: it only reads.
pub(super) fn read_only(what: &str) -> Status {
    Status::unimplemented(format!(
        "{what} is not possible: this server is read-only; events come in through POST /api/events"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_defect_stays_in_the_log() {
        let status = status_of(&Error::internal("file /secret/place is torn"));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"), "{}", status.message());
    }

    #[test]
    fn a_limit_is_no_reason_to_send_the_same_again() {
        let status = status_of(&Error::new(ErrorKind::LimitExceeded, "too long"));
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too long"));
        let error = Error::new(ErrorKind::Busy, "full").retry_after(3);
        let status = status_of(&error);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.metadata().get("retry-after").expect("a value"), "3");
    }
}
