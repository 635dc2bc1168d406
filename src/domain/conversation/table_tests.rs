//! The full table: every event in every state, and every result of an attempt.

use super::*;
use crate::domain::{Lease, millis};

/// The events of the rows. "Early" and "late" mean before and after [`Conversation::next_wake_at`].
#[derive(Clone, Copy, Debug)]
enum Event {
    ClaimEarly,
    /// One millisecond earlier than [`DeliveryPolicy::CLAIM_AHEAD`] allows.
    ClaimBeforeTheMargin,
    /// At the earliest time that [`DeliveryPolicy::CLAIM_AHEAD`] allows.
    ClaimWithinTheMargin,
    ClaimOnTime,
    /// One millisecond before the pause after a lost attempt ends.
    ClaimInThePause,
    /// At the end of that pause.
    ClaimAfterThePause,
    CancelEarly,
    CancelOnTime,
    CancelLate,
    Redeliver,
}

/// The results that a worker can record. Only the holder of a [`ClaimedAttempt`] can record one, so these events exist
/// only while an attempt is under way.
#[derive(Clone, Copy, Debug)]
enum Completion {
    Succeeds,
    /// The attempt succeeds after the end of its lease, and no other worker has claimed.
    SucceedsLate,
    Fails,
    FailsForGood,
    IsLost,
}

/// The expected results.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// This attempt is under way.
    Attempt(u32),
    /// This attempt is under way, and the one before is recorded as lost.
    Lost(u32),
    /// The attempt is recorded as lost, and the conversation waits for its next attempt.
    LostRetry,
    /// The last attempt is recorded as lost, and the conversation has failed.
    Exhausted,
    /// The conversation waits for its next attempt.
    Retry,
    Completed,
    Failed,
    Cancelled,
    /// The conversation waits for its next attempt, which is due now, and has all of its attempts again.
    Redelivered,
    /// The conversation is cancelled, and the attempt that was under way is recorded as lost.
    CancelledLost,
    NotDue,
    Leased,
    Final,
    BeingSent,
    WasSent,
    HasFailed,
    Already,
    HasNotFailed,
}

#[rustfmt::skip]
const TABLE: [(Event, [Then; 7]); 10] = {
    use Event::*;
    use Then::*;
    [
        //                       Scheduled   Delivering     LastAttempt    Waiting     Completed Failed     Cancelled
        (ClaimEarly,            [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimBeforeTheMargin,  [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimWithinTheMargin,  [Attempt(1), Leased,        Leased,        Attempt(2), Final,    Final,     Final]),
        (ClaimOnTime,           [Attempt(1), LostRetry,     Exhausted,     Attempt(2), Final,    Final,     Final]),
        (ClaimInThePause,       [Attempt(1), LostRetry,     Exhausted,     Attempt(2), Final,    Final,     Final]),
        (ClaimAfterThePause,    [Attempt(1), Lost(2),       Exhausted,     Attempt(2), Final,    Final,     Final]),
        (CancelEarly,           [Cancelled,  BeingSent,     BeingSent,     Cancelled,  WasSent,  HasFailed, Already]),
        (CancelOnTime,          [Cancelled,  CancelledLost, CancelledLost, Cancelled,  WasSent,  HasFailed, Already]),
        (CancelLate,            [Cancelled,  CancelledLost, CancelledLost, Cancelled,  WasSent,  HasFailed, Already]),
        (Redeliver,             [HasNotFailed, HasNotFailed, HasNotFailed, HasNotFailed, HasNotFailed, Redelivered, HasNotFailed]),
    ]
};

#[rustfmt::skip]
const COMPLETIONS: [(Completion, [Then; 2]); 5] = {
    use Completion::*;
    [
        //              Delivering       LastAttempt
        (Succeeds,     [Then::Completed, Then::Completed]),
        (SucceedsLate, [Then::Completed, Then::Completed]),
        (Fails,        [Then::Retry,     Then::Failed]),
        (FailsForGood, [Then::Failed,    Then::Failed]),
        (IsLost,       [Then::Retry,     Then::Failed]),
    ]
};

impl Event {
    /// The time at which the event happens.
    fn at(self, conversation: &Conversation) -> Timestamp {
        let next_wake_at = conversation.next_wake_at().unwrap_or(DUE);
        match self {
            Self::ClaimEarly | Self::CancelEarly => shift(next_wake_at, -1000),
            Self::ClaimBeforeTheMargin => shift(next_wake_at, -11),
            Self::ClaimWithinTheMargin => shift(next_wake_at, -10),
            Self::ClaimOnTime | Self::CancelOnTime | Self::Redeliver => next_wake_at,
            Self::ClaimInThePause => shift(next_wake_at + RETRY, -1),
            Self::ClaimAfterThePause => next_wake_at + RETRY,
            Self::CancelLate => shift(next_wake_at, 5000),
        }
    }

    fn happens_to(self, conversation: Conversation) -> Result<Conversation, Refused> {
        let now = self.at(&conversation);
        match self {
            Self::ClaimEarly
            | Self::ClaimBeforeTheMargin
            | Self::ClaimWithinTheMargin
            | Self::ClaimOnTime
            | Self::ClaimInThePause
            | Self::ClaimAfterThePause => match conversation.claim(OTHER, now, RETRY).map_err(Refused::Claim)? {
                Claim::Attempt(claimed) => {
                    assert_eq!(claimed.conversation().in_flight(), Some(claimed.attempt()));
                    Ok(claimed.conversation().clone())
                }
                Claim::Lost(next) | Claim::Expired(next) => {
                    assert_eq!(next.in_flight(), None);
                    Ok(next)
                }
            },
            Self::CancelEarly | Self::CancelOnTime | Self::CancelLate => {
                conversation.cancel(now).map_err(Refused::Cancel)
            }
            Self::Redeliver => conversation.redeliver(now).map_err(Refused::Redeliver),
        }
    }
}

impl Completion {
    fn at(self, claimed: &ClaimedAttempt) -> Timestamp {
        let lease_end = claimed.conversation().next_wake_at().unwrap();
        shift(lease_end, if matches!(self, Self::SucceedsLate) { 5000 } else { -1 })
    }

    fn result(self) -> AttemptResult {
        result(match self {
            Self::Succeeds | Self::SucceedsLate => Outcome::Success,
            Self::Fails => Outcome::Failure,
            Self::FailsForGood => Outcome::PermanentFailure,
            Self::IsLost => Outcome::Unknown,
        })
    }
}

/// The typed errors of all events.
#[derive(Debug, PartialEq)]
enum Refused {
    Claim(ClaimRefused),
    Cancel(TooLate),
    Redeliver(RedeliveryRefused),
}

/// The conversation in its next state, with the attempt that has ended.
fn after(before: &Conversation, updated: Timestamp, state: State, ended: Option<Attempt>) -> Conversation {
    let mut after = Conversation { updated, state, ..before.clone() };
    after.attempts.extend(ended);
    after
}

fn failed(result: &AttemptResult) -> State {
    State::Failed { reason: result.reason() }
}

impl Then {
    /// The conversation or the error that an entry of the first table stands for.
    fn expected(self, before: &Conversation, event: Event) -> Result<Conversation, Refused> {
        let next_wake_at = before.next_wake_at().unwrap_or(DUE);
        let now = event.at(before);
        // An attempt that is claimed early starts at the time at which it is due.
        let started = now.max(next_wake_at);
        let attempt = |number| State::Delivering {
            attempt: AttemptStart { number, started },
            lease: Lease { until: started + TIMEOUT + Duration::from_secs(30), token: OTHER },
        };
        let lost = |at: Timestamp| {
            let start = before.in_flight().unwrap();
            Some(Attempt { start, result: AttemptResult::unknown(millis(start.started.until(at))) })
        };
        match self {
            Self::Attempt(number) => Ok(after(before, started, attempt(number), None)),
            Self::Lost(number) => Ok(after(before, started, attempt(number), lost(started))),
            Self::LostRetry => {
                let waiting = State::Waiting { next_attempt: next_wake_at + RETRY };
                Ok(after(before, started, waiting, lost(started)))
            }
            Self::Exhausted => Ok(after(before, started, failed(&AttemptResult::unknown(0)), lost(started))),
            Self::Redelivered => Ok(Conversation {
                updated: now,
                state: State::Waiting { next_attempt: now },
                generation: before.generation + 1,
                attempts_before_redelivery: 2,
                ..before.clone()
            }),
            Self::Cancelled => Ok(after(before, now, State::Cancelled, None)),
            Self::CancelledLost => Ok(after(before, now, State::Cancelled, lost(now))),
            Self::NotDue => Err(Refused::Claim(ClaimRefused::NotDue { until: next_wake_at })),
            Self::Leased => Err(Refused::Claim(ClaimRefused::Leased { until: next_wake_at })),
            Self::Final => Err(Refused::Claim(ClaimRefused::Final(before.status()))),
            Self::BeingSent => Err(Refused::Cancel(TooLate::Delivering { until: next_wake_at })),
            Self::WasSent => Err(Refused::Cancel(TooLate::Final(AlreadyFinal::Completed))),
            Self::HasFailed => Err(Refused::Cancel(TooLate::Final(AlreadyFinal::Failed))),
            Self::Already => Err(Refused::Cancel(TooLate::Already)),
            Self::HasNotFailed => Err(Refused::Redeliver(RedeliveryRefused::NotFailed(before.status()))),
            Self::Retry | Self::Completed | Self::Failed => panic!("{self:?} follows completions only"),
        }
    }

    /// The conversation that an entry of the second table stands for.
    fn completed(self, claimed: &ClaimedAttempt, sent_at: Timestamp, completion: Completion) -> Conversation {
        let now = completion.at(claimed);
        let start = AttemptStart { started: sent_at, ..claimed.attempt() };
        let state = match self {
            Self::Retry => State::Waiting { next_attempt: now + RETRY },
            Self::Completed => State::Completed,
            Self::Failed => failed(&completion.result()),
            other => panic!("{other:?} follows no completion"),
        };
        after(claimed.conversation(), now, state, Some(Attempt { start, result: completion.result() }))
    }
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    for (event, thens) in TABLE {
        for (start, then) in STARTS.into_iter().zip(thens) {
            let before = start.conversation();
            let expected = then.expected(&before, event);
            assert_eq!(event.happens_to(before), expected, "{event:?} in {start:?}");
        }
    }
}

#[test]
fn every_completion_of_an_attempt_does_what_the_table_says() {
    for (completion, thens) in COMPLETIONS {
        for (claimed, then) in attempts_under_way().into_iter().zip(thens) {
            let sent_at = shift(claimed.attempt().started, 3);
            let expected = then.completed(&claimed, sent_at, completion);
            let now = completion.at(&claimed);
            assert_eq!(claimed.complete(sent_at, completion.result(), RETRY, now), expected, "{completion:?}");
        }
    }
}
