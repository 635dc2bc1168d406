//! The outcome of an exchange: success, a failure that another attempt follows, or a permanent failure.
//!
//! | the endpoint | outcome |
//! |---|---|
//! | answered 2xx | success, or failure if the response does not meet the caller's check |
//! | answered 408, 409, 425, 429, 5xx, or a number that no HTTP status has (RFC 9110 §15: treated as 5xx) | failure |
//! | answered 1xx, 3xx (never followed), 410, or any other 4xx | permanent failure |
//! | was not reached, or violated HTTP | failure |
//! | has an address that the egress guard blocks | permanent failure |
//! | was not called, because the payload is lost | permanent failure |

use super::success_check::is_met;
use crate::domain::{AttemptResult, ErrorClass, Outcome, SuccessWhen};
use crate::outbound::{EndpointResponse, Exchange};

/// The result of an attempt, from its exchange and the caller's check on the response.
pub(super) fn classify_checked(exchange: Exchange, check: Option<&SuccessWhen>) -> AttemptResult {
    let body = exchange.result.as_ref().ok().and_then(|response| response.body.clone());
    let result = classify(exchange);
    match check {
        Some(check) if result.outcome == Outcome::Success && !is_met(check, body.as_deref()) => {
            AttemptResult { outcome: Outcome::Failure, error: Some(ErrorClass::SuccessWhenNotMet), ..result }
        }
        _ => result,
    }
}

/// The result of an attempt, from its exchange.
#[must_use]
pub fn classify(exchange: Exchange) -> AttemptResult {
    let Exchange { duration_ms, result } = exchange;
    match result {
        Ok(EndpointResponse { status, excerpt, retry_after: _, body: _ }) => AttemptResult {
            outcome: of_status(status),
            duration_ms,
            http_status: Some(status),
            error: None,
            response_excerpt: excerpt,
            settled: Vec::new(),
        },
        Err(class) => AttemptResult {
            outcome: of_error(class),
            duration_ms,
            http_status: None,
            error: Some(class),
            response_excerpt: String::new(),
            settled: Vec::new(),
        },
    }
}

const fn of_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Success,
        // A timeout, a conflict, too early, too many requests: each may be over at the next attempt.
        408 | 409 | 425 | 429 => Outcome::Failure,
        100..=499 => Outcome::PermanentFailure,
        _ => Outcome::Failure,
    }
}

const fn of_error(class: ErrorClass) -> Outcome {
    match class {
        ErrorClass::Blocked | ErrorClass::PayloadLost => Outcome::PermanentFailure,
        // An error of a name server, a network or a deployment may be over at the next attempt.
        _ => Outcome::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Expected;

    fn response() -> EndpointResponse {
        EndpointResponse { status: 200, retry_after: None, excerpt: "said".to_owned(), body: None }
    }

    fn outcome(result: Result<u16, ErrorClass>) -> Outcome {
        let result = result.map(|status| EndpointResponse { status, ..response() });
        classify(Exchange { duration_ms: 7, result }).outcome
    }

    #[test]
    fn every_status_has_the_outcome_of_the_table() {
        for status in 0..=u16::MAX {
            let expected = match status {
                200..=299 => Outcome::Success,
                408 | 409 | 425 | 429 => Outcome::Failure,
                100..=199 | 300..=499 => Outcome::PermanentFailure,
                _ => Outcome::Failure,
            };
            assert_eq!(outcome(Ok(status)), expected, "{status}");
        }
    }

    #[test]
    fn only_a_blocked_address_and_a_lost_payload_are_permanent_failures() {
        use ErrorClass::*;
        for class in [
            DnsError,
            ConnectRefused,
            ConnectTimeout,
            ConnectFailed,
            TlsError,
            ConnectionReset,
            FirstByteTimeout,
            TotalTimeout,
            ProtocolError,
            SuccessWhenNotMet,
        ] {
            assert_eq!(outcome(Err(class)), Outcome::Failure, "{class:?}");
        }
        for class in [Blocked, PayloadLost] {
            assert_eq!(outcome(Err(class)), Outcome::PermanentFailure, "{class:?}");
        }
    }

    #[test]
    fn the_result_contains_the_response_or_the_error() {
        let response =
            EndpointResponse { status: 503, retry_after: Some("7".to_owned()), excerpt: "busy".to_owned(), body: None };
        let result = classify(Exchange { duration_ms: 7, result: Ok(response) });
        let expected = AttemptResult {
            outcome: Outcome::Failure,
            duration_ms: 7,
            http_status: Some(503),
            error: None,
            response_excerpt: "busy".to_owned(),
            settled: Vec::new(),
        };
        assert_eq!(result, expected);
        let result = classify(Exchange { duration_ms: 9, result: Err(ErrorClass::TlsError) });
        assert_eq!((result.http_status, result.error, result.duration_ms), (None, Some(ErrorClass::TlsError), 9));
    }

    #[test]
    fn a_check_decides_only_about_responses_that_are_a_success_without_it() {
        let check = SuccessWhen { pointer: "/ok".to_owned(), expected: Expected::Equals("true".to_owned()) };
        let checked = |status: u16, body: &'static str| {
            let result = Ok(EndpointResponse { status, body: Some(body.into()), ..response() });
            let result = classify_checked(Exchange { duration_ms: 7, result }, Some(&check));
            assert_eq!((result.http_status, &*result.response_excerpt), (Some(status), "said"));
            (result.outcome, result.error)
        };
        assert_eq!(checked(200, r#"{"ok":true}"#), (Outcome::Success, None));
        assert_eq!(checked(201, r#"{"ok":false}"#), (Outcome::Failure, Some(ErrorClass::SuccessWhenNotMet)));
        for body in [r#"{"ok":true}"#, r#"{"ok":false}"#] {
            assert_eq!(checked(410, body), (Outcome::PermanentFailure, None));
            assert_eq!(checked(503, body), (Outcome::Failure, None));
        }
        let not_sent = Exchange { duration_ms: 7, result: Err(ErrorClass::Blocked) };
        assert_eq!(classify_checked(not_sent, Some(&check)).error, Some(ErrorClass::Blocked));
    }
}
