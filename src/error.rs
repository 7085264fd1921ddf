//! One error type with few kinds. The kind says what the caller should do;
//! the message names the thing, the value, the rule and the way out.

use std::fmt::Display;

/// What the caller should do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: change it before sending it again.
    Invalid,
    /// The named thing does not exist: check the name.
    NotFound,
    /// Nobody knows who the caller is: bring a credential that holds.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// Too much is under way: send the same request again a little later.
    Busy,
    /// The caller sends more than it may: send less often, and the same
    /// request again after [`Error::retry_after_seconds`].
    RateLimited,
    /// A limit was reached: ask for less, or raise the named setting.
    LimitExceeded,
    /// Somebody stopped it: send it again if it is still wanted.
    Cancelled,
    /// The service cannot do this now (disk full, replaying, failed): an
    /// operator has to look; nothing was acknowledged.
    Unavailable,
    /// A defect or damaged data: report it. The message is for the log only.
    Internal,
}

/// An error with the kind of reaction it asks for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retry_after_seconds: Option<u32>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` whose message a user may read.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_seconds: None, source: None }
    }

    /// The request is wrong; `message` names field, value, rule and way out.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The named thing does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The service cannot do this now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A defect or damaged data.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Keeps `source` as the cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when the same request may succeed.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// When the same request may succeed, where that is known.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message with its chain of causes, for logs and the command line.
    pub fn full_message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }
}

/// Adds what was being done to an error of another library.
pub trait Context<T> {
    /// Turns the error into one of `kind`, with `doing` as its message.
    fn context(self, kind: ErrorKind, doing: impl Display) -> Result<T>;

    /// Turns the error into an internal one.
    fn internal(self, doing: impl Display) -> Result<T>;
}

impl<T, E> Context<T> for std::result::Result<T, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn context(self, kind: ErrorKind, doing: impl Display) -> Result<T> {
        self.map_err(|source| Error::new(kind, doing.to_string()).caused_by(source))
    }

    fn internal(self, doing: impl Display) -> Result<T> {
        self.context(ErrorKind::Internal, doing)
    }
}
