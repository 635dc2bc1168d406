//! The failure of a call to Azure storage, and what the caller may conclude from it.

use std::error::Error as _;
use std::fmt;

use azure_core::StatusCode;
use azure_core::error::ErrorKind;

use super::super::StoreError;
use super::limit::NoTurn;
use super::transaction::FailedOperation;

/// The reason why a call failed. It does not quote the request. The errors of the crates quote whole URLs, which can
/// contain a shared access signature.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service responded with an error.
    ErrorResponse {
        /// The HTTP status.
        status: StatusCode,
        /// The error code of the service, such as `EntityAlreadyExists`.
        code: String,
        /// The position of the failed operation, if a transaction failed and the service named it.
        operation: Option<usize>,
    },
    /// The request was not sent.
    NotSent(&'static str),
    /// The request was sent, at least in part, and no valid response was received.
    NoResponse(&'static str),
}

impl From<azure_core::Error> for Failure {
    fn from(error: azure_core::Error) -> Self {
        if let Some(http) = error.as_http_error() {
            let code = http.error_code().unwrap_or_default();
            return Self::ErrorResponse {
                status: http.status(),
                code: code.chars().take(64).collect(),
                operation: None,
            };
        }
        if let Some(failed) = error.get_ref().and_then(|cause| cause.downcast_ref::<FailedOperation>()) {
            let FailedOperation { status, code, position } = failed.clone();
            return Self::ErrorResponse { status, code, operation: position };
        }
        if error.downcast_ref::<NoTurn>().is_some() {
            return Self::NotSent("too many requests wait");
        }
        if *error.kind() == ErrorKind::Credential {
            return Self::NotSent("no access token");
        }
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(http) = source.downcast_ref::<reqwest::Error>() {
                return match http {
                    _ if http.is_connect() => Self::NotSent("no connection"),
                    _ if http.is_timeout() => Self::NoResponse("no response within the time limit"),
                    _ => Self::NoResponse("the connection was closed"),
                };
            }
            cause = source.source();
        }
        Self::NoResponse("the response cannot be read")
    }
}

impl Failure {
    /// Whether the table, the queue, the row or the message does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::ErrorResponse { status: StatusCode::NotFound, .. })
    }

    /// Whether the table or the queue that was to be created already exists.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::ErrorResponse { status: StatusCode::Conflict, .. })
    }

    /// The error of a call that changes nothing.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::ErrorResponse { status, .. } if is_defect(status) => StoreError::Refused(self.to_string()),
            _ => StoreError::Unavailable(self.into()),
        }
    }

    /// The error of a call that changes something. The change was certainly not made only if the service says so or if
    /// the request was not sent. After a timeout inside the service (500, 504) the change may have been made.
    pub(super) fn of_write(self) -> StoreError {
        match self {
            Self::ErrorResponse { status, .. } if is_defect(status) => StoreError::Refused(self.to_string()),
            Self::ErrorResponse { status, .. } if changed_nothing(status) => StoreError::Unavailable(self.into()),
            Self::NotSent(_) => StoreError::Unavailable(self.into()),
            Self::ErrorResponse { .. } | Self::NoResponse(_) => StoreError::Unknown(self.into()),
        }
    }
}

/// Whether the status shows a defect in this program. The same call would always fail.
fn is_defect(status: StatusCode) -> bool {
    matches!(status, StatusCode::BadRequest | StatusCode::PayloadTooLarge | StatusCode::MethodNotAllowed)
}

/// Whether the service made no change: it throttles us, is too busy, refuses our credentials, or has no such row.
fn changed_nothing(status: StatusCode) -> bool {
    let client_error = (400..500).contains(&u16::from(status)) && status != StatusCode::RequestTimeout;
    client_error || status == StatusCode::ServiceUnavailable
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorResponse { status, code, .. } => {
                write!(f, "Azure storage responded with {} {code}", u16::from(*status))
            }
            Self::NotSent(reason) | Self::NoResponse(reason) => write!(f, "Azure storage: {reason}"),
        }
    }
}

impl std::error::Error for Failure {}
