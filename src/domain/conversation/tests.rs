//! Every event in every state.

use super::transitions::millis;
use super::*;
use crate::domain::{AttemptResult, EndpointPolicy, Format, Headers, Lease, LeaseToken, Method, Outcome, Target};

const DUE: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_mins(1);
const OWNER: LeaseToken = LeaseToken::new([1; 8]);
const OTHER: LeaseToken = LeaseToken::new([2; 8]);

fn scheduled(max_attempts: u32) -> Conversation {
    let new = NewConversation {
        due: DUE,
        content: Content { text: "hello".into(), info: None, format: Format::Json },
        destination: Destination::Endpoint(Target {
            endpoint: EndpointPolicy::default().check("https://example.com/hook").unwrap(),
            method: Method::Post,
            headers: Headers::default(),
        }),
        policy: DeliveryPolicy { max_attempts, timeout_seconds: 10 },
    };
    let created = Timestamp::from_millis(DUE.as_millis() - 3_600_000);
    Conversation::new(ConversationId::new(created, &[0; 10]), "client".parse().unwrap(), new, created)
}

fn result(outcome: Outcome) -> AttemptResult {
    match outcome {
        Outcome::Unknown => AttemptResult::unknown(5),
        outcome => {
            let http_status = Some(match outcome {
                Outcome::Success => 200,
                Outcome::PermanentFailure => 410,
                _ => 503,
            });
            AttemptResult { outcome, duration_ms: 5, http_status, error: None, response_excerpt: String::new() }
        }
    }
}

/// An instant so many milliseconds after (or before) another.
fn shift(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

/// The states of the table's columns.
#[derive(Clone, Copy, Debug)]
enum Start {
    Scheduled,
    /// The first of two attempts is under way.
    Delivering,
    /// The second of two attempts is under way.
    LastAttempt,
    /// The first of two attempts has failed.
    Waiting,
    Completed,
    Failed,
    Cancelled,
}

/// The events of its rows. "Early" and "late" are before and after the wake-up: the due time, the
/// time of the next attempt, or the end of the lease.
#[derive(Clone, Copy, Debug)]
enum Event {
    ClaimEarly,
    /// A millisecond more than [`DeliveryPolicy::CLAIM_AHEAD`] early.
    ClaimBeforeTheMargin,
    /// Exactly that early.
    ClaimWithinTheMargin,
    ClaimOnTime,
    ClaimLate,
    CancelEarly,
    CancelOnTime,
    CancelLate,
    Redeliver,
}

/// What the worker of an attempt can report. Only the holder of a [`ClaimedAttempt`] can report anything, so these
/// events exist only while an attempt is under way.
#[derive(Clone, Copy, Debug)]
enum Completion {
    Succeeds,
    /// After the lease, when no other worker has claimed.
    SucceedsLate,
    Fails,
    FailsForGood,
    IsLost,
}

/// What comes of it.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// This attempt is under way.
    Attempt(u32),
    /// This attempt is under way, and the one before is written down as lost.
    Lost(u32),
    /// The last attempt is written down as lost, and the conversation has failed.
    Exhausted,
    /// It waits for the next attempt.
    Retry,
    Completed,
    Failed,
    Cancelled,
    /// It waits for its next attempt, which begins now, and has all of its attempts again.
    Redelivered,
    /// It is cancelled, and the attempt that was under way is written down as lost.
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
const TABLE: [(Event, [Then; 7]); 9] = {
    use Event::*;
    use Then::*;
    [
        //                       Scheduled   Delivering     LastAttempt    Waiting     Completed Failed     Cancelled
        (ClaimEarly,            [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimBeforeTheMargin,  [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimWithinTheMargin,  [Attempt(1), Leased,        Leased,        Attempt(2), Final,    Final,     Final]),
        (ClaimOnTime,           [Attempt(1), Lost(2),       Exhausted,     Attempt(2), Final,    Final,     Final]),
        (ClaimLate,             [Attempt(1), Lost(2),       Exhausted,     Attempt(2), Final,    Final,     Final]),
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

const STARTS: [Start; 7] = [
    Start::Scheduled,
    Start::Delivering,
    Start::LastAttempt,
    Start::Waiting,
    Start::Completed,
    Start::Failed,
    Start::Cancelled,
];

fn claim(conversation: Conversation) -> ClaimedAttempt {
    let at = conversation.next_wake_at().unwrap();
    match conversation.claim(OWNER, at) {
        Ok(Claim::Attempt(claimed)) => claimed,
        other => panic!("no attempt but {other:?}"),
    }
}

fn end(claimed: ClaimedAttempt, outcome: Outcome) -> Conversation {
    let started = claimed.attempt().started;
    claimed.complete(started, result(outcome), RETRY, shift(started, 5))
}

/// The first and the last of two attempts, under way.
fn attempts_under_way() -> [ClaimedAttempt; 2] {
    let first = claim(scheduled(2));
    [first.clone(), claim(end(first, Outcome::Failure))]
}

impl Start {
    fn conversation(self) -> Conversation {
        let [first, last] = attempts_under_way();
        match self {
            Self::Scheduled => scheduled(2),
            Self::Delivering => first.conversation().clone(),
            Self::LastAttempt => last.conversation().clone(),
            Self::Waiting => end(first, Outcome::Failure),
            Self::Completed => end(first, Outcome::Success),
            Self::Failed => end(last, Outcome::Failure),
            Self::Cancelled => scheduled(2).cancel(DUE).unwrap(),
        }
    }
}

impl Event {
    /// When it happens to a conversation.
    fn at(self, conversation: &Conversation) -> Timestamp {
        let next_wake_at = conversation.next_wake_at().unwrap_or(DUE);
        match self {
            Self::ClaimEarly | Self::CancelEarly => shift(next_wake_at, -1000),
            Self::ClaimBeforeTheMargin => shift(next_wake_at, -11),
            Self::ClaimWithinTheMargin => shift(next_wake_at, -10),
            Self::ClaimOnTime | Self::CancelOnTime | Self::Redeliver => next_wake_at,
            Self::ClaimLate | Self::CancelLate => shift(next_wake_at, 5000),
        }
    }

    fn happens_to(self, conversation: Conversation) -> Result<Conversation, Refused> {
        let now = self.at(&conversation);
        match self {
            Self::ClaimEarly
            | Self::ClaimBeforeTheMargin
            | Self::ClaimWithinTheMargin
            | Self::ClaimOnTime
            | Self::ClaimLate => match conversation.claim(OTHER, now).map_err(Refused::Claim)? {
                Claim::Attempt(claimed) => {
                    assert_eq!(claimed.conversation().in_flight(), Some(claimed.attempt()));
                    Ok(claimed.conversation().clone())
                }
                Claim::Exhausted(next) => {
                    assert_eq!(next.status(), Status::Failed);
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
    Redeliver(NotFailed),
}

/// A conversation after an attempt has ended with a result.
fn after(before: &Conversation, updated: Timestamp, state: State, ended: Option<Attempt>) -> Conversation {
    let mut after = Conversation { updated, state, ..before.clone() };
    after.attempts.extend(ended);
    after
}

fn failed(result: &AttemptResult) -> State {
    State::Failed { reason: result.reason() }
}

impl Then {
    /// The whole conversation, or the error, that this word of the first table stands for.
    fn spelt_out(self, before: &Conversation, event: Event) -> Result<Conversation, Refused> {
        let next_wake_at = before.next_wake_at().unwrap_or(DUE);
        let now = event.at(before);
        // A claim within the margin begins at its time, not before.
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
            Self::HasNotFailed => Err(Refused::Redeliver(NotFailed(before.status()))),
            Self::Retry | Self::Completed | Self::Failed => panic!("{self:?} follows completions only"),
        }
    }

    /// The whole conversation that this word of the second table stands for.
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
            let expected = then.spelt_out(&before, event);
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

#[test]
fn an_attempt_is_due_at_its_own_time() {
    let [first, last] = attempts_under_way();
    assert_eq!(first.due_at(), DUE);
    assert_eq!(last.due_at(), shift(DUE, 5) + RETRY);
    let Ok(Claim::Attempt(early)) = scheduled(2).claim(OWNER, shift(DUE, -10)) else { panic!("not claimed") };
    assert_eq!((early.due_at(), early.attempt().started), (DUE, DUE));
    let Ok(Claim::Attempt(late)) = scheduled(2).claim(OWNER, shift(DUE, 700)) else { panic!("not claimed") };
    assert_eq!((late.due_at(), late.attempt().started), (DUE, shift(DUE, 700)));
}

#[test]
fn each_state_shows_one_of_the_five_words() {
    let words = STARTS.map(|start| start.conversation().status().as_str());
    let in_progress = "InProgress";
    assert_eq!(words, ["Scheduled", in_progress, in_progress, in_progress, "Completed", "Failed", "Cancelled"]);
}

#[test]
fn the_only_attempt_is_also_the_last() {
    let failed = end(claim(scheduled(1)), Outcome::Failure);
    assert_eq!(failed.state, State::Failed { reason: "the endpoint answered 503".to_owned() });
}

#[test]
fn the_last_forty_attempts_are_kept_and_the_count_goes_on() {
    let conversation = (0..44).fold(scheduled(45), |next, _| end(claim(next), Outcome::Failure));
    let kept: Vec<u32> = conversation.attempts.iter().map(|a| a.start.number).collect();
    assert_eq!(kept, (5..=44).collect::<Vec<_>>());
    assert_eq!(claim(conversation).attempt().number, 45);
}

#[test]
fn each_redelivery_has_as_many_attempts_as_the_first_delivery_had() {
    let mut conversation = Start::Failed.conversation();
    for (first, last) in [(3, 4), (5, 6)] {
        conversation = conversation.redeliver(shift(DUE, 1_000_000)).unwrap();
        assert_eq!((conversation.attempts_used(), conversation.due), (0, DUE));
        conversation = end(claim(conversation), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::InProgress, first));
        assert_eq!(conversation.attempts_used(), 1);
        conversation = end(claim(conversation), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::Failed, last));
    }
    assert_eq!(conversation.attempts.len(), 6, "the history is kept");
}

#[test]
fn a_redelivery_whose_last_attempt_is_lost_fails() {
    let again = Start::Failed.conversation().redeliver(DUE).unwrap();
    let last = claim(end(claim(again), Outcome::Failure));
    let last = last.conversation().clone();
    let lease_over = last.next_wake_at().unwrap();
    let Ok(Claim::Exhausted(failed)) = last.claim(OTHER, lease_over) else { panic!("an attempt was left") };
    assert_eq!((failed.status(), failed.attempts_begun()), (Status::Failed, 4));
}

#[path = "properties.rs"]
mod properties;
