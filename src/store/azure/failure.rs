//! What a failed call to Azure storage leaves behind: nothing, or nobody knows.

use std::error::Error as _;
use std::fmt;

use azure_core::StatusCode;
use azure_core::error::ErrorKind;

use super::super::StoreError;
use super::transaction::FailedOperation;

/// Why a call failed. Says nothing of what was sent: the crates' own errors quote whole addresses,
/// and a shared access signature is part of one.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered with an error.
    Answered {
        /// The status of the answer.
        status: StatusCode,
        /// The service's own name for the error.
        code: String,
        /// The position of the operation that failed, in a transaction.
        operation: Option<usize>,
    },
    /// The request never left.
    NotSent(&'static str),
    /// The request left, or part of it, and no answer came that says what became of it.
    NoAnswer(&'static str),
}

impl From<azure_core::Error> for Failure {
    fn from(error: azure_core::Error) -> Self {
        if let Some(http) = error.as_http_error() {
            let code = http.error_code().unwrap_or_default();
            return Self::Answered { status: http.status(), code: code.chars().take(64).collect(), operation: None };
        }
        if let Some(failed) = error.get_ref().and_then(|cause| cause.downcast_ref::<FailedOperation>()) {
            let FailedOperation { status, code, position } = failed.clone();
            return Self::Answered { status, code, operation: position };
        }
        if *error.kind() == ErrorKind::Credential {
            return Self::NotSent("no access token");
        }
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(http) = source.downcast_ref::<reqwest::Error>() {
                return match http {
                    _ if http.is_connect() => Self::NotSent("no connection"),
                    _ if http.is_timeout() => Self::NoAnswer("no answer in time"),
                    _ => Self::NoAnswer("the connection broke"),
                };
            }
            cause = source.source();
        }
        Self::NoAnswer("an answer that cannot be read")
    }
}

impl Failure {
    /// Whether the table, the queue, the row or the message is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answered { status: StatusCode::NotFound, .. })
    }

    /// Whether what was to be created exists.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Answered { status: StatusCode::Conflict, .. })
    }

    /// The error of a call that changes nothing.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::Answered { status, .. } if is_our_fault(status) => StoreError::Refused(self.to_string()),
            _ => StoreError::Unavailable(self.into()),
        }
    }

    /// The error of a call that changes something. A call is taken for not done only if the service
    /// says so, or if it never left; a timeout inside the service (500, 504) may have been too late.
    pub(super) fn of_write(self) -> StoreError {
        match self {
            Self::Answered { status, .. } if is_our_fault(status) => StoreError::Refused(self.to_string()),
            Self::Answered { status, .. } if is_done_nothing(status) => StoreError::Unavailable(self.into()),
            Self::NotSent(_) => StoreError::Unavailable(self.into()),
            Self::Answered { .. } | Self::NoAnswer(_) => StoreError::Unknown(self.into()),
        }
    }
}

/// No such call can succeed, however often it is made.
fn is_our_fault(status: StatusCode) -> bool {
    matches!(status, StatusCode::BadRequest | StatusCode::PayloadTooLarge | StatusCode::MethodNotAllowed)
}

/// Throttled, too busy, not let in, or there is nothing to do it to.
fn is_done_nothing(status: StatusCode) -> bool {
    let client_error = (400..500).contains(&u16::from(status)) && status != StatusCode::RequestTimeout;
    client_error || status == StatusCode::ServiceUnavailable
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, code, .. } => write!(f, "Azure storage answered {} {code}", u16::from(*status)),
            Self::NotSent(what) | Self::NoAnswer(what) => write!(f, "Azure storage: {what}"),
        }
    }
}

impl std::error::Error for Failure {}
