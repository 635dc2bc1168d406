//! An attempt to deliver a conversation, and its result.

use super::words::words;
use super::{Settled, Timestamp};

/// A claimed attempt whose result is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptStart {
    /// The number of the attempt. It counts from 1, and a redelivery does not reset it.
    pub number: u32,
    /// The time of the claim. When the attempt is over, the time of its first byte replaces it.
    pub started: Timestamp,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The number and the start of the attempt.
    pub start: AttemptStart,
    /// The result that its worker recorded, or that was recorded because the worker was lost.
    pub result: AttemptResult,
}

/// The result of one exchange with the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// Whether the endpoint accepted the conversation, and whether another attempt may follow.
    pub outcome: Outcome,
    /// The duration of the exchange in milliseconds. For a lost worker, the time from the start of the attempt until it
    /// was given up.
    pub duration_ms: u64,
    /// The status of the response, if there was one.
    pub http_status: Option<u16>,
    /// The reason why there was no complete response, or why a 2xx response is not a success.
    pub error: Option<ErrorClass>,
    /// The beginning of the response's body: at most [`AttemptResult::MAX_EXCERPT`] bytes.
    pub response_excerpt: String,
    /// The subscriptions that have settled the event in this attempt.
    pub settled: Vec<Settled>,
}

impl AttemptResult {
    /// The largest excerpt of a response that is kept, in bytes.
    pub const MAX_EXCERPT: usize = 1024;

    /// The result of an attempt whose worker did not record one.
    #[must_use]
    pub const fn unknown(duration_ms: u64) -> Self {
        Self {
            outcome: Outcome::Unknown,
            duration_ms,
            http_status: None,
            error: Some(ErrorClass::WorkerLost),
            response_excerpt: String::new(),
            settled: Vec::new(),
        }
    }

    /// The reason why the attempt failed, as one clause for people.
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

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered 2xx, and the response meets the caller's check if there is one.
    Success,
    /// The endpoint answered otherwise, or did not answer. Another attempt follows, if one is left.
    Failure,
    /// The endpoint rejected the conversation permanently, its address is not allowed, or the payload is lost. No other
    /// attempt follows.
    PermanentFailure,
    /// The worker stopped before it recorded a result. The endpoint may have received the conversation.
    Unknown,
}

impl Outcome {
    /// All outcomes, for parsing.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::PermanentFailure, Self::Unknown];

    /// The name in the API and in stored rows.
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

/// The reason why an exchange has no complete response, or why its 2xx response is not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The name of the host could not be resolved.
    DnsError,
    /// No program listens at the address and port.
    ConnectRefused,
    /// No connection was made within the connect timeout.
    ConnectTimeout,
    /// The connection failed for another reason.
    ConnectFailed,
    /// The TLS handshake failed.
    TlsError,
    /// The connection was closed before the response was complete.
    ConnectionReset,
    /// The endpoint received the whole request and did not begin to answer in time.
    FirstByteTimeout,
    /// The whole exchange took longer than `timeoutSeconds`.
    TotalTimeout,
    /// The response was not valid HTTP.
    ProtocolError,
    /// The egress guard does not allow the endpoint's address. The error names neither the address nor the rule,
    /// because both could reveal the structure of our network to the client.
    Blocked,
    /// The worker stopped before it recorded a result.
    WorkerLost,
    /// The store has lost the payload of the conversation, or the payload is damaged. Nothing was sent.
    PayloadLost,
    /// The endpoint answered 2xx, but the response does not meet the caller's check.
    SuccessWhenNotMet,
    /// The receiver of an inbox did not acknowledge the conversation before its lease ended.
    NotAcknowledged,
    /// The receiver of an inbox reported that it has failed.
    ReceiverFailed,
    /// The client has no subscription that takes the event.
    NoSubscription,
    /// A subscriber refused the event for good, and no other one is left.
    SubscriberRefused,
    /// The subscriber's host has too many deliveries under way, so nothing was sent to it.
    SubscriberBusy,
}

impl ErrorClass {
    /// All error classes, for parsing.
    pub const ALL: [Self; 18] = [
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
        Self::PayloadLost,
        Self::SuccessWhenNotMet,
        Self::NotAcknowledged,
        Self::ReceiverFailed,
        Self::NoSubscription,
        Self::SubscriberRefused,
        Self::SubscriberBusy,
    ];

    /// The name in the API and in stored rows.
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
            Self::PayloadLost => "payload_lost",
            Self::SuccessWhenNotMet => "success_when_not_met",
            Self::NotAcknowledged => "not_acknowledged",
            Self::ReceiverFailed => "receiver_failed",
            Self::NoSubscription => "no_subscription",
            Self::SubscriberRefused => "subscriber_refused",
            Self::SubscriberBusy => "subscriber_busy",
        }
    }

    /// The error as one clause for people. Failed conversations store this text.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::DnsError => "the endpoint's host name could not be resolved",
            Self::ConnectRefused => "the endpoint refused the connection",
            Self::ConnectTimeout => "no connection to the endpoint was made within the connect timeout",
            Self::ConnectFailed => "the connection to the endpoint failed",
            Self::TlsError => "the TLS handshake with the endpoint failed",
            Self::ConnectionReset => "the endpoint closed the connection before its answer was complete",
            Self::FirstByteTimeout => {
                "the endpoint received the whole request and did not begin to answer within 15 seconds"
            }
            Self::TotalTimeout => "the endpoint did not answer within timeoutSeconds",
            Self::ProtocolError => "the endpoint's answer was not valid HTTP",
            Self::Blocked => "the endpoint's address is not allowed",
            Self::WorkerLost => "the worker stopped before it learned the result; the endpoint may have received it",
            Self::PayloadLost => "the stored text cannot be read any more, so nothing was sent; schedule it again",
            Self::SuccessWhenNotMet => "the endpoint answered 2xx, but its response does not meet successWhen",
            Self::NotAcknowledged => "no receiver acknowledged it before the lease ended; one may have processed it",
            Self::ReceiverFailed => "the receiver reported that it failed",
            Self::NoSubscription => "no program of this client has subscribed to the event",
            Self::SubscriberRefused => "a subscriber refused the event, which is not tried again",
            Self::SubscriberBusy => "the subscriber has too many deliveries under way",
        }
    }
}

words!(Outcome);
words!(ErrorClass);
