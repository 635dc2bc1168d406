//! The time within which an attempt must begin.

use super::*;

const AFTER: Duration = Duration::from_mins(5);
const MILLISECOND: Duration = Duration::from_millis(1);

fn expiring(max_attempts: u32) -> Conversation {
    Conversation { expiry: Some(Expiry::of(DUE, AFTER)), ..scheduled(max_attempts) }
}

fn is_expired(conversation: &Conversation) -> bool {
    *conversation.state() == State::Failed { reason: "expired".to_owned() }
}

fn claim(conversation: Conversation, now: Timestamp) -> Claim {
    conversation.claim(OWNER, now, RETRY).unwrap()
}

fn attempt(conversation: Conversation, now: Timestamp) -> ClaimedAttempt {
    match claim(conversation, now) {
        Claim::Attempt(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_may_begin_at_the_last_moment_and_not_later() {
    let last = DUE + AFTER;
    assert_eq!(expiring(2).expired(last), None);
    assert_eq!(attempt(expiring(2), last).attempt().started, last);
    let late = last + MILLISECOND;
    let Claim::Expired(claimed) = claim(expiring(2), late) else { panic!("it is too late") };
    let expired = expiring(2).expired(late).unwrap();
    assert_eq!(claimed, expired);
    assert!(is_expired(&expired) && expired.attempts().is_empty(), "{expired:?}");
    assert_eq!((expired.updated(), expired.next_wake_at()), (late, None));
    // Without the field nothing expires.
    assert_eq!(scheduled(2).expired(late + 1000 * AFTER), None);
    attempt(scheduled(2), late + 1000 * AFTER);
}

#[test]
fn an_attempt_that_began_in_time_counts_however_long_it_takes() {
    let claimed = attempt(expiring(2), DUE + AFTER);
    let under_way = claimed.conversation().clone();
    let late = DUE + 2 * AFTER;
    assert_eq!(under_way.expired(late), None, "a lease is no reason to expire");
    let completed = claimed.complete(DUE + AFTER, result(Outcome::Success), RETRY, late);
    assert_eq!(*completed.state(), State::Completed);
}

#[test]
fn a_retry_that_would_begin_too_late_ends_the_conversation_at_once() {
    let ended = |pause| {
        let claimed = attempt(expiring(2), DUE);
        claimed.complete(DUE, result(Outcome::Failure), pause, DUE)
    };
    assert_eq!(*ended(AFTER).state(), State::Waiting { next_attempt: DUE + AFTER });
    let expired = ended(AFTER + MILLISECOND);
    assert!(is_expired(&expired), "{expired:?}");
    assert_eq!(expired.attempts().len(), 1, "the attempt stays on record");
    // An attempt that failed for another reason says that reason.
    let claimed = attempt(expiring(1), DUE);
    let last = claimed.complete(DUE, result(Outcome::Failure), 2 * AFTER, DUE);
    assert!(matches!(last.state(), State::Failed { reason } if reason.contains("503")), "{last:?}");
    let claimed = attempt(expiring(2), DUE);
    let refused = claimed.complete(DUE, result(Outcome::PermanentFailure), 2 * AFTER, DUE);
    assert!(matches!(refused.state(), State::Failed { reason } if reason.contains("410")), "{refused:?}");
    // A worker that comes late finds a retry that was due in time.
    let waiting = ended(RETRY);
    assert_eq!(waiting.expired(DUE + AFTER), None);
    assert!(is_expired(&waiting.expired(DUE + AFTER + MILLISECOND).unwrap()));
}

#[test]
fn an_attempt_whose_worker_was_lost_is_recorded_before_the_conversation_expires() {
    let under_way = attempt(expiring(3), DUE).conversation().clone();
    let lease_end = under_way.next_wake_at().unwrap();
    let Claim::Lost(waiting) = claim(under_way.clone(), lease_end) else { panic!("the next attempt is in time") };
    assert_eq!(*waiting.state(), State::Waiting { next_attempt: lease_end + RETRY });
    let late = DUE + AFTER + MILLISECOND;
    let Claim::Expired(expired) = claim(under_way.clone(), late) else { panic!("it is too late") };
    assert!(is_expired(&expired));
    assert_eq!(expired.attempts().last().unwrap().result.outcome, Outcome::Unknown);
    // The pause alone can make it too late.
    let Ok(Claim::Expired(expired)) = under_way.claim(OTHER, lease_end, AFTER) else { panic!("it is too late") };
    assert!(is_expired(&expired));
}

#[test]
fn a_redelivery_has_the_same_time_from_its_own_beginning() {
    let now = DUE + 10 * AFTER;
    let again = expiring(2).expired(now).unwrap().redeliver(now).unwrap();
    assert_eq!(*again.state(), State::Waiting { next_attempt: now });
    assert_eq!(again.expiry(), Some(Expiry { after: AFTER, at: now + AFTER }));
    assert!(again.is_being_redelivered(), "although no attempt came before");
    let begun = attempt(again.clone(), now + AFTER).conversation().clone();
    assert!(begun.is_being_redelivered());
    assert!(is_expired(&again.expired(now + AFTER + MILLISECOND).unwrap()));
    assert!(!expiring(2).is_being_redelivered());
    assert!(!attempt(expiring(2), DUE).conversation().is_being_redelivered());
}

#[test]
fn nothing_final_expires() {
    let late = DUE + 2 * AFTER;
    let cancelled = expiring(2).cancel(DUE).unwrap();
    let completed = attempt(expiring(2), DUE).complete(DUE, result(Outcome::Success), RETRY, DUE);
    let expired = expiring(2).expired(late).unwrap();
    for last in [cancelled, completed, expired] {
        assert_eq!(last.expired(late), None, "{last:?}");
    }
}
