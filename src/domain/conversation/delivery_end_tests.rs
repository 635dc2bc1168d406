//! When a delivery has ended, and how.

use super::series_tests::{HOUR, after, claimed, first, recurring};
use super::*;
use crate::domain::{Claim, Recurrence};

const FAILURE: Option<&str> = Some("the endpoint answered 410, which is not tried again");

/// How the delivery of a conversation that does not recur has ended.
fn end(conversation: &Conversation) -> Option<(Timestamp, Timestamp, u32, Option<&str>)> {
    let DeliveryEnd { occurrence, due, ended, attempts, failure } = conversation.delivery_end(None)?;
    assert_eq!(occurrence, None);
    Some((due, ended, attempts, failure))
}

/// How this occurrence has ended.
fn end_of(conversation: &Conversation, number: u32) -> Option<(Timestamp, Option<&str>)> {
    let end = conversation.delivery_end(Some(number))?;
    assert_eq!(end.occurrence, Some(number));
    Some((end.due, end.failure))
}

#[test]
fn a_conversation_that_is_not_final_or_cancelled_has_no_end() {
    let scheduled = scheduled(2);
    assert_eq!(end(&scheduled), None);
    assert_eq!(end(&scheduled.clone().cancel(DUE).unwrap()), None);
    let claimed = claimed(scheduled, DUE);
    assert_eq!(end(claimed.conversation()), None);
    let waiting = claimed.complete(DUE, result(Outcome::Failure), RETRY, DUE);
    assert_eq!(end(&waiting), None);
    let failed = after(waiting, Outcome::Failure, DUE + RETRY);
    assert_eq!(end(&failed), Some((DUE, DUE + RETRY, 2, Some("the endpoint answered 503"))));
    let waiting = failed.redeliver(DUE + HOUR).unwrap();
    assert_eq!(end(&waiting), None);
    let completed = after(waiting, Outcome::Success, DUE + HOUR);
    assert_eq!(end(&completed), Some((DUE, DUE + HOUR, 3, None)));
}

#[test]
fn a_delivery_that_is_lost_or_too_late_has_failed() {
    let Claim::Attempt(claimed) = scheduled(1).claim(OWNER, DUE, RETRY).unwrap() else { panic!("it is due") };
    let Claim::Lost(lost) = claimed.conversation().clone().claim(OTHER, DUE + HOUR, RETRY).unwrap() else {
        panic!("it was the last attempt")
    };
    assert_eq!(
        end(&lost).map(|(_, ended, attempts, failure)| (ended, attempts, failure.is_some())),
        Some((DUE + HOUR, 1, true))
    );
    let expires = Conversation { expiry: Some(Expiry::of(DUE, TIMEOUT)), ..scheduled(1) };
    assert_eq!(end(&expires.expired(DUE + HOUR).unwrap()), Some((DUE, DUE + HOUR, 0, Some("expired"))));
}

#[test]
fn each_occurrence_has_an_end_of_its_own() {
    let waiting = after(recurring(|_| ()), Outcome::Failure, first());
    assert_eq!(end_of(&waiting, 1), None);
    let second = after(waiting, Outcome::PermanentFailure, first() + RETRY);
    assert_eq!(end_of(&second, 1), Some((first(), FAILURE)));
    let third = after(second, Outcome::Success, first() + HOUR);
    assert_eq!(end_of(&third, 2), Some((first() + HOUR, None)));
}

#[test]
fn an_occurrence_that_is_redelivered_has_no_end_until_it_is_over_again() {
    let failed = after(recurring(|it: &mut Recurrence| it.stop_on_failure = true), Outcome::PermanentFailure, first());
    assert_eq!(end_of(&failed, 1), Some((first(), FAILURE)));
    let waiting = failed.redeliver(first()).unwrap();
    assert_eq!(end_of(&waiting, 1), None);
    let waiting = after(waiting, Outcome::Failure, first());
    assert_eq!(end_of(&waiting, 1), None, "another attempt follows");
    assert_eq!(end_of(&after(waiting, Outcome::Success, first() + RETRY), 1), Some((first(), None)));
}

#[test]
fn the_last_attempt_of_a_cancelled_series_has_no_end() {
    let claimed = claimed(recurring(|_| ()), first());
    let proof = claimed.proof();
    let ending = claimed.conversation().clone().cancel_after_attempt(first()).unwrap();
    let over = proof.on(ending).unwrap().complete(first(), result(Outcome::Success), RETRY, first());
    assert_eq!((over.status(), end_of(&over, 1)), (Status::Cancelled, None));
}
