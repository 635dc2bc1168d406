//! Conversations that recur. `DUE` is 2030-03-17T17:46:40Z, and the occurrences are at each full hour.

use proptest::prelude::*;

use super::*;
use crate::domain::{Recurrence, Zone};

pub(super) const HOUR: Duration = Duration::from_hours(1);

fn recurrence() -> Recurrence {
    let cron = "0 * * * *".parse().unwrap();
    Recurrence { cron, zone: Zone::UTC, period: None, end: None, max_occurrences: None, stop_on_failure: false }
}

pub(super) fn first() -> Timestamp {
    recurrence().next_after(DUE).unwrap()
}

/// A conversation before its first occurrence.
pub(super) fn recurring(change: impl FnOnce(&mut Recurrence)) -> Conversation {
    let mut recurrence = recurrence();
    change(&mut recurrence);
    Conversation { due: first(), series: Some(Box::new(Series::new(recurrence))), ..scheduled(2) }
}

pub(super) fn claimed(conversation: Conversation, at: Timestamp) -> ClaimedAttempt {
    match conversation.claim(OWNER, at, RETRY).unwrap() {
        Claim::Attempt(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

/// The conversation after one attempt that begins and ends at this time.
pub(super) fn after(conversation: Conversation, outcome: Outcome, at: Timestamp) -> Conversation {
    claimed(conversation, at).complete(at, result(outcome), RETRY, at)
}

fn series(conversation: &Conversation) -> &Series {
    conversation.series().unwrap()
}

#[test]
fn the_next_occurrence_follows_in_the_transition_that_ends_the_last() {
    let next = after(recurring(|_| ()), Outcome::Success, first());
    assert_eq!((next.status(), next.due()), (Status::Scheduled, first() + HOUR));
    assert_eq!((next.next_wake_at(), next.attempts()), (Some(first() + HOUR), &[][..]));
    assert_eq!((series(&next).number, series(&next).missed), (2, 0));
    let over = Occurrence { number: 1, due: first(), missed: 0, ended: first(), attempts: 1, failure: None };
    assert_eq!(series(&next).history, [over]);
}

#[test]
fn an_occurrence_that_fails_is_retried_and_then_the_next_one_comes() {
    let waiting = after(recurring(|_| ()), Outcome::Failure, first());
    assert_eq!((waiting.status(), waiting.due()), (Status::InProgress, first()));
    let next = after(waiting, Outcome::Failure, first() + RETRY);
    assert_eq!((next.status(), next.due(), next.attempts_begun()), (Status::Scheduled, first() + HOUR, 0));
    let over = series(&next).history.last().unwrap();
    assert_eq!((over.attempts, over.failure.is_some()), (2, true));
    assert_eq!(
        after(next, Outcome::Success, first() + HOUR).status(),
        Status::Scheduled,
        "it has all its attempts again"
    );
}

#[test]
fn a_failure_ends_the_series_if_its_client_wants_it_and_a_redelivery_goes_on_with_it() {
    let failed = after(recurring(|it| it.stop_on_failure = true), Outcome::PermanentFailure, first());
    assert_eq!((failed.status(), failed.next_wake_at()), (Status::Failed, None));
    let again = failed.redeliver(first() + RETRY).unwrap();
    let next = after(again, Outcome::Success, first() + RETRY);
    assert_eq!((next.status(), next.due()), (Status::Scheduled, first() + HOUR));
    assert_eq!(series(&next).history.len(), 1, "the occurrence has one record");
    assert_eq!(series(&next).history[0].failure, None);
}

#[test]
fn the_last_occurrence_ends_the_conversation_with_its_own_outcome() {
    for (outcome, status) in [(Outcome::Success, Status::Completed), (Outcome::PermanentFailure, Status::Failed)] {
        for change in [
            |it: &mut Recurrence| it.max_occurrences = Some(2),
            |it: &mut Recurrence| {
                it.end = Some(first() + HOUR);
            },
        ] {
            let second = after(recurring(change), Outcome::Success, first());
            let last = after(second, outcome, first() + HOUR);
            assert_eq!((last.status(), last.next_wake_at()), (status, None));
            assert_eq!(series(&last).history.len(), 2);
        }
    }
}

#[test]
fn occurrences_that_were_missed_become_one_that_counts_them() {
    // While an occurrence was tried again.
    let waiting = after(recurring(|_| ()), Outcome::Failure, first());
    let late = after(waiting, Outcome::Success, first() + 3 * HOUR + RETRY);
    assert_eq!((late.due(), series(&late).missed, series(&late).number), (first() + 3 * HOUR, 2, 2));
    // While no worker ran: the first is left out too.
    let stopped = claimed(recurring(|_| ()), first() + 3 * HOUR + RETRY);
    let current = stopped.conversation();
    assert_eq!((current.due(), series(current).missed, series(current).number), (first() + 3 * HOUR, 3, 1));
    assert_eq!(stopped.due_at(), first() + 3 * HOUR);
    let next = stopped.complete(first() + 4 * HOUR, result(Outcome::Success), RETRY, first() + 4 * HOUR);
    assert_eq!((next.due(), series(&next).missed), (first() + 4 * HOUR, 0));
}

#[test]
fn a_retry_does_not_move_the_occurrence() {
    let waiting = after(recurring(|_| ()), Outcome::Failure, first());
    let retried = claimed(waiting, first() + 5 * HOUR);
    assert_eq!(retried.conversation().due(), first());
}

#[test]
fn a_paused_series_waits_for_its_client_and_catches_up_with_nothing() {
    let paused = recurring(|_| ()).pause(DUE).unwrap();
    assert_eq!((paused.status(), paused.next_wake_at()), (Status::Scheduled, None));
    assert_eq!(paused.clone().claim(OWNER, first(), RETRY), Err(ClaimRefused::Paused));
    let early = paused.clone().resume(DUE).unwrap();
    assert_eq!(early.next_wake_at(), Some(first()));
    let late = paused.clone().resume(first() + 5 * HOUR + RETRY).unwrap();
    assert_eq!((late.next_wake_at(), series(&late).missed), (Some(first() + 6 * HOUR), 0));
    assert_eq!(paused.cancel(DUE).unwrap().status(), Status::Cancelled);
    let ended = recurring(|it| it.end = Some(first())).pause(DUE).unwrap().resume(first() + HOUR).unwrap();
    assert_eq!(ended.status(), Status::Completed, "nothing is left");
}

#[test]
fn an_occurrence_that_has_begun_when_it_is_paused_goes_on_to_its_end() {
    let paused = claimed(recurring(|_| ()), first()).conversation().clone().pause(first()).unwrap();
    let held = claimed(recurring(|_| ()), first()).proof().on(paused).unwrap();
    let waiting = held.complete(first(), result(Outcome::Failure), RETRY, first());
    assert_eq!((waiting.status(), waiting.next_wake_at()), (Status::InProgress, Some(first() + RETRY)));
    let next = after(waiting, Outcome::Success, first() + RETRY);
    assert_eq!((next.status(), next.next_wake_at(), next.is_paused()), (Status::Scheduled, None, true));
}

#[test]
fn a_cancellation_during_an_attempt_ends_the_series_after_it() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::PermanentFailure] {
        let held = claimed(recurring(|_| ()), first());
        let current = held.conversation().clone();
        assert!(matches!(current.clone().cancel(first()), Err(TooLate::Delivering { .. })));
        let ending = current.cancel_after_attempt(first()).unwrap();
        assert_eq!(ending.status(), Status::InProgress);
        assert_eq!(ending.clone().cancel_after_attempt(first()), Err(TooLate::Already));
        assert_eq!(ending.clone().pause(first()), Err(PauseRefused::Ending));
        let over = held.proof().on(ending).unwrap().complete(first(), result(outcome), RETRY, first());
        assert_eq!((over.status(), over.next_wake_at()), (Status::Cancelled, None), "{outcome:?}");
        assert_eq!(series(&over).history.len(), 1);
    }
}

#[test]
fn a_cancelled_series_whose_worker_is_lost_has_no_other_attempt() {
    let ending = claimed(recurring(|_| ()), first()).conversation().clone().cancel_after_attempt(first()).unwrap();
    let after_lease = ending.next_wake_at().unwrap();
    match ending.claim(OTHER, after_lease, RETRY).unwrap() {
        Claim::Lost(over) => assert_eq!(over.status(), Status::Cancelled),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_that_another_worker_has_taken_over_writes_no_result() {
    let held = claimed(recurring(|_| ()), first());
    let lost = held.conversation().clone().claim(OTHER, held.conversation().next_wake_at().unwrap(), RETRY).unwrap();
    let Claim::Lost(current) = lost else { panic!("{lost:?}") };
    assert_eq!(held.proof().on(current.clone()), None);
    // The other worker has the next attempt under way.
    let Claim::Attempt(other) = current.clone().claim(OTHER, current.next_wake_at().unwrap(), RETRY).unwrap() else {
        panic!("{current:?}")
    };
    assert_eq!(held.proof().on(other.conversation().clone()), None);
}

#[test]
fn what_does_not_recur_cannot_be_paused() {
    assert_eq!(scheduled(1).pause(DUE), Err(PauseRefused::DoesNotRecur));
    let cancelled = recurring(|_| ()).cancel(DUE).unwrap();
    assert_eq!(cancelled.resume(DUE), Err(PauseRefused::Final(Status::Cancelled)));
}

#[test]
fn each_occurrence_expires_by_its_own_time() {
    let with_expiry = Conversation { expiry: Some(Expiry::of(first(), 2 * HOUR)), ..recurring(|_| ()) };
    let late = with_expiry.clone().expired(first() + 3 * HOUR);
    assert_eq!(late, None, "the occurrence of that hour is in time");
    let expiring = Conversation { expiry: Some(Expiry::of(first(), RETRY)), ..with_expiry };
    let next = expiring.expired(first() + 2 * RETRY).unwrap();
    assert_eq!((next.status(), next.due()), (Status::Scheduled, first() + HOUR));
    assert_eq!(next.expiry(), Some(Expiry::of(first() + HOUR, RETRY)));
    assert_eq!(series(&next).history[0].failure.as_deref(), Some(Expiry::REASON));
}

proptest! {
    #[test]
    fn occurrences_come_one_at_a_time_in_order_and_only_at_their_times(
        steps in prop::collection::vec((0_u64..20_000, 0..6_u8), 1..60),
    ) {
        let (mut conversation, mut now) = (recurring(|_| ()), DUE);
        let mut last = (0, Timestamp::MIN);
        for (seconds, step) in steps {
            now = now + Duration::from_secs(seconds);
            let before = conversation.clone();
            conversation = match step {
                0 => conversation.pause(now).unwrap_or(before),
                1 => conversation.resume(now).unwrap_or(before),
                2 => conversation.cancel_after_attempt(now).unwrap_or(before),
                _ => match conversation.claim(OWNER, now, RETRY) {
                    Ok(Claim::Attempt(held)) => {
                        let (number, due) = (series(held.conversation()).number, held.conversation().due());
                        prop_assert!((number, due) >= last, "an occurrence comes again");
                        prop_assert!(number == last.0 || due > last.1);
                        prop_assert!(held.attempt().started >= due && due.as_millis() % 3_600_000 == 0);
                        last = (number, due);
                        let outcome = [Outcome::Success, Outcome::Failure, Outcome::PermanentFailure][usize::from(step - 3)];
                        held.complete(now, result(outcome), RETRY, now)
                    }
                    Ok(Claim::Lost(next) | Claim::Expired(next)) => next,
                    Err(_) => before,
                },
            };
            prop_assert!(series(&conversation).history.len() <= Series::MAX_KEPT);
            prop_assert!(series(&conversation).history.is_sorted_by(|a, b| a.number < b.number && a.due < b.due));
            prop_assert_eq!(conversation.next_wake_at().is_none(), conversation.status().is_final()
                || (conversation.is_paused() && *conversation.state() == State::Scheduled));
        }
    }
}
