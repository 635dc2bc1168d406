//! One try to deliver, and what came of it.

use super::Timestamp;
use super::words::words;

/// An attempt that was claimed and has not been reported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptStart {
    /// Counts from 1 over the life of the conversation.
    pub number: u32,
    /// When it was claimed; the first byte is sent later.
    pub started: Timestamp,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, and since when.
    pub start: AttemptStart,
    /// What came of it.
    pub result: AttemptResult,
}

/// What one exchange with the endpoint came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// Whether the endpoint took the conversation.
    pub outcome: Outcome,
    /// How long the exchange took, in milliseconds; for a lost worker, how long it was waited for.
    pub duration_ms: u64,
    /// The answer's status, if there was an answer.
    pub http_status: Option<u16>,
    /// Why there was none, or why it was not enough.
    pub error: Option<ErrorClass>,
    /// The beginning of the answer's body: at most [`AttemptResult::MAX_EXCERPT`] bytes.
    pub response_excerpt: String,
}

impl AttemptResult {
    /// How much of an answer is kept, in bytes.
    pub const MAX_EXCERPT: usize = 1024;

    /// The report of an attempt whose worker never came back.
    #[must_use]
    pub const fn unknown(duration_ms: u64) -> Self {
        Self {
            outcome: Outcome::Unknown,
            duration_ms,
            http_status: None,
            error: Some(ErrorClass::WorkerLost),
            response_excerpt: String::new(),
        }
    }

    /// One sentence for people: why the attempt failed.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.error, self.http_status) {
            (Some(error), _) => error.describe().to_owned(),
            (None, Some(status)) if self.outcome == Outcome::PermanentFailure => {
                format!("the endpoint answered {status}, which is not tried again")
            }
            (None, Some(status)) => format!("the endpoint answered {status}"),
            (None, None) => "the endpoint did not answer".to_owned(),
        }
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered 2xx.
    Success,
    /// It answered something else, or not at all; another attempt follows, if one is left.
    Failure,
    /// It answered that it will not take it, or may not be reached at all: no other attempt follows.
    PermanentFailure,
    /// The worker died or was cut off: the endpoint may or may not have taken it.
    Unknown,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::PermanentFailure, Self::Unknown];

    /// The word for it, in the API and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::PermanentFailure => "permanentFailure",
            Self::Unknown => "unknown",
        }
    }
}

/// Why an exchange has no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The host's name could not be resolved.
    DnsError,
    /// Nothing listens there.
    ConnectRefused,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// The connection failed otherwise.
    ConnectFailed,
    /// The TLS handshake failed.
    TlsError,
    /// The connection was cut before the answer was complete.
    ConnectionReset,
    /// The endpoint had the request and did not begin to answer.
    FirstByteTimeout,
    /// The whole exchange took longer than `timeoutSeconds`.
    TotalTimeout,
    /// The answer was not HTTP.
    ProtocolError,
    /// Deliveries may not go there. Which address it was, and why, is not the caller's business: it could be told
    /// from that what our network looks like.
    Blocked,
    /// The worker died or was cut off.
    WorkerLost,
}

impl ErrorClass {
    /// All error classes.
    pub const ALL: [Self; 11] = [
        Self::DnsError,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::TlsError,
        Self::ConnectionReset,
        Self::FirstByteTimeout,
        Self::TotalTimeout,
        Self::ProtocolError,
        Self::Blocked,
        Self::WorkerLost,
    ];

    /// The word for it, in the API and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsError => "dns_error",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::TlsError => "tls_error",
            Self::ConnectionReset => "connection_reset",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::ProtocolError => "protocol_error",
            Self::Blocked => "blocked",
            Self::WorkerLost => "worker_lost",
        }
    }

    /// One sentence for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::DnsError => "the endpoint's host name could not be resolved",
            Self::ConnectRefused => "the endpoint refused the connection",
            Self::ConnectTimeout => "no connection to the endpoint within the connect timeout",
            Self::ConnectFailed => "the connection to the endpoint failed",
            Self::TlsError => "the TLS handshake with the endpoint failed",
            Self::ConnectionReset => "the endpoint closed the connection before its answer was complete",
            Self::FirstByteTimeout => {
                "the endpoint had the whole request and did not begin to answer within 15 seconds"
            }
            Self::TotalTimeout => "the endpoint did not answer within timeoutSeconds",
            Self::ProtocolError => "the endpoint's answer was not valid HTTP",
            Self::Blocked => "the endpoint's address is not allowed",
            Self::WorkerLost => "the worker stopped before it learned the result; the endpoint may have received it",
        }
    }
}

words!(Outcome);
words!(ErrorClass);
